import * as React from "react";
import {useParams} from "react-router-dom";
import {useAnswer} from "../hooks/useAnswer";
import {useLive} from "../hooks/useLive";
import {getBuild, getBuilder, getLastBuild} from "../lib/api";
import {Panel} from "./Panel";

const RUNNING_MS = 5_000;

/** Grows every few seconds while `on`. */
function useTicks(on: boolean): number {
  const [ticks, setTicks] = React.useState(0);
  React.useEffect(() => {
    if (!on) {
      return undefined;
    }
    const timer = window.setInterval(() => !document.hidden && setTicks(value => value + 1), RUNNING_MS);
    return () => window.clearInterval(timer);
  }, [on]);
  return ticks;
}

const useBuilder = (idOrName: string) =>
  useAnswer(`builder ${idOrName}`, 0, signal => getBuilder(idOrName, signal)).data;

/** What the build on Buildbot's build page measured. */
export const BuildPanel = () => {
  const {builderid = "", buildnumber = ""} = useParams();
  const builder = useBuilder(builderid);
  const number = Number.parseInt(buildnumber, 10);
  const live = useLive(message => message.builderid === builder?.builderid);
  const [isRunning, setRunning] = React.useState(false);
  const version = live + useTicks(isRunning);
  const build = useAnswer(builder && number >= 0 ? `build ${builder.builderid}/${number}` : null, version,
    signal => getBuild(builder!.builderid, number, signal)).data;
  React.useEffect(() => setRunning(build !== null && !build.complete), [build]);
  return builder && build
    ? <Panel build={build} builder={builder} title="Measurements" version={version}/>
    : null;
};

/** What the last finished build of the builder on Buildbot's builder page measured. */
export const BuilderPanel = () => {
  const {builderid = ""} = useParams();
  const builder = useBuilder(builderid);
  const version = useLive(message => message.builderid === builder?.builderid);
  const build = useAnswer(builder ? `last of ${builder.builderid}` : null, version,
    signal => getLastBuild(builder!.builderid, signal)).data;
  return builder && build
    ? <Panel build={build} builder={builder} title={`Measurements of build ${build.number}`} version={version}/>
    : null;
};
