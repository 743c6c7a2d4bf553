import * as React from "react";
import {Link} from "react-router-dom";
import {Name, TagList, Value} from "../components/Basics";
import {Sparkline} from "../components/Sparkline";
import {useInView} from "../hooks/useInView";
import {useQuery} from "../hooks/useQuery";
import {getPoints, type Alert, type Build, type Builder, type BuildRecord} from "../lib/api";
import {sparklineRequests} from "../lib/concurrencyLimiter";
import {formatChange, formatValue, truncate} from "../lib/format";
import {isNumber} from "../lib/lines";
import {changeOf, recordKey} from "./records";
import {recordRoute} from "./recordRoute";

const SPARK_BUILDS = 30;
/** Points that are requested; a series may have several lines, of which one is drawn. */
const SPARK_POINTS = 120;
const MAX_SUSPECTS = 3;
const WORDS: Readonly<Record<string, string>> = {worse: "▲ worse", broken: "⚠ broken", changed: "◆ changed"};

interface Props {
  record: BuildRecord;
  build: Build;
  builder: Builder;
  alert: Alert | undefined;
}

const Suspects = ({alert}: {alert: Alert}) => alert.suspects.length === 0 ? null : (
  <span className="bbm-told-suspects">
    {alert.suspects.slice(0, MAX_SUSPECTS).map((suspect, index) => {
      const subject = truncate(suspect.subject || suspect.revision || "a change", 60);
      return (
        <React.Fragment key={index}>
          {index > 0 && ", "}
          {suspect.url && /^https?:\/\//.test(suspect.url)
            ? <a href={suspect.url} rel="noopener noreferrer"><bdi>{subject}</bdi></a> : <bdi>{subject}</bdi>}
          {suspect.author && <> (<bdi>{truncate(suspect.author.replace(/ *<.*$/, ""), 30)}</bdi>)</>}
        </React.Fragment>
      );
    })}
    {alert.suspects.length > MAX_SUSPECTS && ` and ${alert.suspects.length - MAX_SUSPECTS} more`}
  </span>
);

/** Where the level of a record began. */
function since(record: BuildRecord, build: Build): string {
  if (record.proposal || record.since_build === build.number) {
    return "introduced here";
  }
  return record.since_build === null || record.since_build === undefined ? "" : `since #${record.since_build}`;
}

/** A record that got worse: value, what is usual, change, first build, suspects, and the builds before with the band. */
export const ToldRow = ({record, build, builder, alert}: Props) => {
  const [element, inView] = useInView<HTMLLIElement>();
  const until = build.complete_at === null ? null : build.complete_at + 2;
  const {series, branch, proposal, tags, unit, kind, usual} = record;
  const isDrawn = inView && typeof record.value === "number" && branch !== null;
  const answer = useQuery(isDrawn ? JSON.stringify([series, tags, builder.name, branch, until]) : null, build.buildid,
    signal => sparklineRequests.run(() =>
      getPoints(series, {builder: builder.name, branch, until, tags}, SPARK_POINTS, signal), signal));
  const points = (answer.data ?? []).filter(point => isNumber(point) && (point.buildid ?? 0) <= build.buildid &&
    recordKey({series, tags: point.tags}) === recordKey(record));
  const line = [...points, ...(proposal && answer.data ? [{value: record.value, buildid: build.buildid}] : [])].slice(-SPARK_BUILDS);
  const marked = line.map(point => point.buildid).lastIndexOf(build.buildid);
  const change = changeOf(record);
  const began = since(record, build);
  return (
    <li ref={element} className="bbm-told-row">
      <span className={`bbm-told-mark bbm-told-${record.verdict}`}>{WORDS[record.verdict ?? ""]}</span>
      <span className="bbm-told-what">
        <Link to={recordRoute(record, build, builder)}><Name text={series} clamp/></Link>
        <TagList tags={tags}/>
      </span>
      <span className="bbm-told-value">
        <strong><Value value={record.value} unit={unit} kind={kind}/></strong>
        {change !== null && <span className={`bbm-told-change bbm-told-${record.verdict}`}>{formatChange(change)}</span>}
        {usual && <span className="bbm-told-usual">usual {formatValue(usual[0], unit, kind)} to {formatValue(usual[1], unit, kind)}</span>}
      </span>
      {answer.error ? <span className="bbm-spark bbm-note" title={answer.error.message}>not loaded</span> : (
        <Sparkline values={line.map(point => point.value as number)} unit={unit} kind={kind}
                   marked={marked < 0 ? undefined : marked} usual={usual ?? null}/>
      )}
      <span className="bbm-told-why">
        {began && <strong>{began}</strong>}
        {!usual && record.reason && <span>{record.reason}</span>}
        {alert && <Suspects alert={alert}/>}
      </span>
    </li>
  );
};
