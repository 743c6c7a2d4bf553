import * as React from "react";
import {useParams} from "react-router-dom";
import {useQuery} from "../hooks/useQuery";
import {useFinishedBuilds} from "../hooks/useFinishedBuilds";
import {getBuild, getBuilder, getLastBuild} from "../lib/api";
import {Panel} from "./Panel";

const RUNNING_POLL_MS = 5_000;

/** A counter that increases every RUNNING_POLL_MS while `isActive`. */
function useTicks(isActive: boolean): number {
  const [ticks, setTicks] = React.useState(0);
  React.useEffect(() => {
    if (!isActive) {
      return undefined;
    }
    const timer = window.setInterval(() => !document.hidden && setTicks(value => value + 1), RUNNING_POLL_MS);
    return () => window.clearInterval(timer);
  }, [isActive]);
  return ticks;
}

const useBuilder = (idOrName: string) =>
  useQuery(`builder ${idOrName}`, 0, signal => getBuilder(idOrName, signal)).data;

/** The panel on Buildbot's page of a build. */
export const BuildPanel = () => {
  const {builderid = "", buildnumber = ""} = useParams();
  const builder = useBuilder(builderid);
  const number = Number.parseInt(buildnumber, 10);
  const finishedBuilds = useFinishedBuilds(message => message.builderid === builder?.builderid);
  const [isRunning, setRunning] = React.useState(false);
  const version = finishedBuilds + useTicks(isRunning);
  const build = useQuery(builder && number >= 0 ? `build ${builder.builderid}/${number}` : null, version,
    signal => getBuild(builder!.builderid, number, signal)).data;
  React.useEffect(() => setRunning(build !== null && !build.complete), [build]);
  return <Panel build={build} builder={builder} title="Measurements" version={version}/>;
};

/** The panel on Buildbot's page of a builder, with its last finished build. */
export const BuilderPanel = () => {
  const {builderid = ""} = useParams();
  const builder = useBuilder(builderid);
  const version = useFinishedBuilds(message => message.builderid === builder?.builderid);
  const build = useQuery(builder ? `last of ${builder.builderid}` : null, version,
    signal => getLastBuild(builder!.builderid, signal)).data;
  return <Panel build={build} builder={builder} title={build ? `Measurements of build ${build.number}` : "Measurements"} version={version}/>;
};
