import * as React from "react";
import {Link} from "react-router-dom";
import {useQuery} from "../hooks/useQuery";
import {ApiError, getBuilder, getCommits, MAX_COMMITS, type Alert, type LevelChange, type Suspect} from "../lib/api";
import type {MarkedChange} from "../lib/chartModel";
import {formatChange, formatValue} from "../lib/format";
import {formatTime} from "../lib/time";
import {AlertActions, AlertNote, Commits} from "./AlertActions";
import {Failure, Loading} from "./Basics";

/** No commits where Buildbot has a build no longer. */
const noneOfDeleted = (error: unknown): Suspect[] => {
  if (error instanceof ApiError && error.status === 404) {
    return [];
  }
  throw error;
};

/** The builder's id, and the commits of the first build at the new level that the last one at the old level lacks. */
async function findCommits(builder: string, {buildid, previous_buildid}: LevelChange, signal?: AbortSignal) {
  const [found, commits] = await Promise.all([
    getBuilder(builder, signal),
    buildid === null ? [] : getCommits(buildid, previous_buildid, signal).catch(noneOfDeleted),
  ]);
  return {builderid: found?.builderid ?? null, commits};
}

const BuildLink = ({builderid, number}: {builderid: number | null; number: number | null}) => number === null ? <>–</>
  : builderid === null ? <>#{number}</> : <Link to={`/builders/${builderid}/builds/${number}`}>#{number}</Link>;

/** What is known of a change of level: both levels, the builds on both sides, and the commits between. */
export const ChangeDetails = ({marked, alert, unit, kind, onClose}: {
  marked: MarkedChange; alert: Alert | null; unit: string; kind: string; onClose: () => void;
}) => {
  const {change, line} = marked;
  const heading = React.useRef<HTMLHeadingElement>(null);
  React.useEffect(() => heading.current?.focus(), [marked]);
  const {data, error, loading} = useQuery(
    line.builder === null ? null : JSON.stringify(["commits", line.builder, change.previous_buildid, change.buildid]), 0,
    signal => findCommits(line.builder!, change, signal));
  const format = (value: number) => formatValue(value, unit, kind);
  return (
    <section className="bbm-details" aria-label="Change">
      <header className="bbm-title">
        <h2 tabIndex={-1} ref={heading}>
          {change.change === null ? "Change" : `Change of ${formatChange(change.change)}`} · {formatTime(change.at)}
        </h2>
        <button type="button" className="bbm-button" onClick={onClose}>Close</button>
      </header>
      <dl className="bbm-tip-facts">
        <dt>Line</dt><dd><bdi>{line.label}</bdi></dd>
        <dt>Before</dt>
        <dd>{format(change.before)}, until build <BuildLink builderid={data?.builderid ?? null} number={change.previous_build}/></dd>
        <dt>After</dt>
        <dd>{format(change.after)}, since build <BuildLink builderid={data?.builderid ?? null} number={change.build}/></dd>
        {change.revision && <><dt>Revision</dt><dd><bdi className="bbm-code">{change.revision}</bdi></dd></>}
      </dl>
      {alert && <AlertNote alert={alert}/>}
      {alert && <AlertActions alert={alert}/>}
      <h3>Commits between</h3>
      {error && <Failure error={error}/>}
      {loading && !data && <Loading what="commits"/>}
      {data && data.commits.length === 0 && <p>Buildbot knows no commits of these builds.</p>}
      {data && data.commits.length > 0 && <Commits commits={data.commits}/>}
      {data?.commits.length === MAX_COMMITS && <p className="bbm-note">At most {MAX_COMMITS} commits are shown.</p>}
    </section>
  );
};
