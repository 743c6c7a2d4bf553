import * as React from "react";
import {Link} from "react-router-dom";
import {useQuery} from "../hooks/useQuery";
import {getBuild, getBuilder, getCommits, type Alert, type Commit, type LevelChange} from "../lib/api";
import type {MarkedChange} from "../lib/chartModel";
import {formatChange, formatValue} from "../lib/format";
import {formatTime} from "../lib/time";
import {AlertActions, AlertNote} from "./AlertActions";
import {ExternalLink, Failure, Loading, Name} from "./Basics";

/** Builds between both sides of a change whose commits are requested. */
const MAX_BUILDS = 20;
/** Commits that are listed. */
const MAX_COMMITS = 50;

interface Found {
  builderid: number | null;
  commits: Commit[];
  /** Whether there were more builds than are read. */
  isTruncated: boolean;
}

/** The commits of the builds after the last one at the old level, up to the first one at the new level. */
async function findCommits(builder: string, change: LevelChange, signal?: AbortSignal): Promise<Found> {
  const found = await getBuilder(builder, signal);
  if (!found || change.build === null) {
    return {builderid: null, commits: [], isTruncated: false};
  }
  const {builderid} = found;
  const first = Math.max((change.previous_build ?? change.build - 1) + 1, change.build - MAX_BUILDS + 1);
  const numbers = Array.from({length: Math.max(0, change.build - first + 1)}, (_, index) => first + index);
  const parts = await Promise.all(numbers.map(async number => {
    const build = await getBuild(builderid, number, signal).catch(() => null);
    return build ? getCommits(build.buildid, signal) : [];
  }));
  const commits = new Map(parts.flat().map(commit => [commit.changeid, commit]));
  return {builderid, commits: [...commits.values()], isTruncated: first > (change.previous_build ?? 0) + 1};
}

const subjectOf = (commit: Commit) => commit.comments.split("\n", 1)[0]!.trim() || "(no message)";

const CommitItem = ({commit}: {commit: Commit}) => (
  <li>
    <bdi className="bbm-code">{commit.revision?.slice(0, 12) ?? "–"}</bdi>{" "}
    <Name text={subjectOf(commit)}/> <span className="bbm-more">by <bdi>{commit.author}</bdi></span>{" "}
    <ExternalLink href={commit.revlink}>view</ExternalLink>
  </li>
);

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
    line.builder === null ? null : JSON.stringify(["commits", line.builder, change.previous_build, change.build]), 0,
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
      {data && data.commits.length > 0 && (
        <ul className="bbm-commits">
          {data.commits.slice(0, MAX_COMMITS).map(commit => <CommitItem key={commit.changeid} commit={commit}/>)}
        </ul>
      )}
      {data && (data.isTruncated || data.commits.length > MAX_COMMITS) &&
        <p className="bbm-note">There are more commits than are shown.</p>}
    </section>
  );
};
