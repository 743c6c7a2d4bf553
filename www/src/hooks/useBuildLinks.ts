import * as React from "react";
import {useNavigate} from "react-router-dom";
import {getBuildById, getJson, type Builder, type Point} from "../lib/api";
import {useQuery} from "./useQuery";

const PATH = "api/v2/builders?field=builderid&field=name";

/**
 * Links from points to their builds: `routeOf` is null until the builders are loaded, `open` always navigates.
 *
 * The builders are requested when `isReady`.
 */
export function useBuildLinks(isReady: boolean) {
  const navigate = useNavigate();
  const builders = useQuery(isReady ? PATH : null, 0, signal => getJson<{builders: Builder[]}>(PATH, signal));
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
