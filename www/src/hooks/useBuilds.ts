import * as React from "react";
import {useNavigate} from "react-router-dom";
import {getBuildById, getJson, type Builder, type Point} from "../lib/api";
import {useAnswer} from "./useAnswer";

const PATH = "api/v2/builders?field=builderid&field=name";

/** The way from a point to its build: its route where it is known at once, and a call that goes there in any case. */
export function useBuilds() {
  const navigate = useNavigate();
  const builders = useAnswer(PATH, 0, signal => getJson<{builders: Builder[]}>(PATH, signal));
  const ids = React.useMemo(
    () => new Map(builders.data?.builders.map(builder => [builder.name, builder.builderid])), [builders.data]);

  const routeOf = React.useCallback((point: Pick<Point, "builder" | "build">) => {
    const id = point.builder === null ? undefined : ids.get(point.builder);
    return id === undefined || point.build === null ? null : `/builders/${id}/builds/${point.build}`;
  }, [ids]);

  const open = React.useCallback(async (point: Pick<Point, "builder" | "build" | "buildid">) => {
    const route = routeOf(point);
    if (route) {
      navigate(route);
    } else if (point.buildid !== null) {
      const build = await getBuildById(point.buildid).catch(() => null);
      if (build) {
        navigate(`/builders/${build.builderid}/builds/${build.number}`);
      }
    }
  }, [navigate, routeOf]);

  return {routeOf, open};
}
