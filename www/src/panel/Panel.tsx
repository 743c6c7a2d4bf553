import * as React from "react";
import {ExternalLink} from "../components/Basics";
import {useQuery} from "../hooks/useQuery";
import {useTheme} from "../hooks/useTheme";
import {
  ApiError, getAlerts, getLinks, getPreviousSuccess, getRecords, type Build, type Builder, type BuildRecord,
} from "../lib/api";
import {truncate} from "../lib/format";
import "./panel.css";
import {PlaceContext} from "./place";
import {countOf, missingRecords, otherCounts, toldRecords} from "./records";
import {RecordsTable} from "./RecordsTable";
import {ToldRow} from "./ToldRow";

/** Results of Buildbot whose builds may have stopped before everything was measured. */
const FAILED = [2, 4, 6];
const MAX_TOLD = 5;
const MAX_MISSING = 5;

interface Props {
  /** Null while the build is not loaded: its line is reserved. */
  build: Build | null;
  builder: Builder | null;
  title: string;
  version: number;
}

/** What the build is compared with. */
function comparedWith(records: readonly BuildRecord[]): string {
  const {branch, proposal} = records.find(record => record.proposal) ?? records[0]!;
  const name = proposal ? `${truncate(proposal, 40)}, ` : "";
  if (branch === null) {
    return `${name}of an unknown target`;
  }
  const judged = records.some(record => record.usual);
  return `${name}against ${truncate(branch)}${judged ? ", last 40 builds" : ""}`;
}

/** The series that the last successful build before this one has measured and this one has not. */
function useMissing(build: Build | null, records: readonly BuildRecord[] | null): {missing: string[]; isKnown: boolean} {
  const isAsked = build !== null && build.complete && records !== null && records.length > 0;
  const {data: before, error} = useQuery(isAsked ? `before ${build.buildid}` : null, 0, async signal => {
    const previous = await getPreviousSuccess(build!.builderid, build!.number, signal);
    return previous ? getRecords(previous.buildid, signal) : [];
  });
  const missing = React.useMemo(() => before && records ? missingRecords(before, records) : [], [before, records]);
  return {missing, isKnown: !isAsked || before !== null || error !== null};
}

const isAnswered = ({data, error}: {data: unknown; error: Error | null}) => data !== null || error !== null;

const Line = ({records}: {records: readonly BuildRecord[]}) => {
  const [worse, better] = [countOf(records, "worse"), countOf(records, "better")];
  return (
    <span className="bbm-panel-counts">
      <span className={worse ? "bbm-told-worse" : undefined}>▲ {worse} worse</span>
      <span className={better ? "bbm-told-better" : undefined}>▼ {better} better</span>
      {otherCounts(records).map(text => <span key={text}>· {text}</span>)}
      <span className="bbm-compared">· <bdi>{comparedWith(records)}</bdi></span>
    </span>
  );
};

/** One line about what a build measured, what got worse, and the rest behind a click. */
export const Panel = ({build, builder, title, version}: Props) => {
  const theme = useTheme();
  const [isExpanded, setExpanded] = React.useState(false);
  const answer = useQuery(build ? `records ${build.buildid}` : null, version, signal => getRecords(build!.buildid, signal));
  const records = answer.data;
  const hasAlerts = records?.some(record => typeof record.alert === "number") ?? false;
  const alertsAnswer = useQuery(hasAlerts ? `alerts ${builder!.name}` : null, version,
    signal => getAlerts({builder: builder!.name, state: "open"}, signal));
  const alerts = alertsAnswer.data;
  const linksAnswer = useQuery(records?.length ? `links ${builder!.name} ${build!.buildid}` : null, 0,
    signal => getLinks({builder: builder!.name, buildid: build!.buildid}, signal));
  const links = linksAnswer.data;
  const {missing, isKnown} = useMissing(build, records);
  const {phase, settle, release} = React.useContext(PlaceContext);
  const hasAllRows = records !== null && isKnown && (!hasAlerts || isAnswered(alertsAnswer)) && (!records.length || isAnswered(linksAnswer));
  const isSettled = hasAllRows || answer.error !== null;
  React.useEffect(() => {
    if (isSettled) {
      settle();
    }
  }, [isSettled, settle]);
  // what comes once the page is visible must not change the height
  const told = React.useMemo(() => toldRecords(records ?? []), [records]);
  const content = build ? `${build.buildid} ${build.complete} ${told.length}` : "";
  const [settledWith, setSettledWith] = React.useState(content);
  if (phase !== "settled" && settledWith !== content) {
    setSettledWith(content);
  }
  if (answer.error && !records) {
    return answer.error instanceof ApiError && answer.error.status === 404 ? <Reserved theme={theme} title=""/> : null;
  }
  if (!build || !builder || !records || (phase === "waiting" && !isSettled)) {
    return <Reserved theme={theme} title={title}/>;
  }
  if (records.length === 0) {
    return <Reserved theme={theme} title={title} text={build.complete ? "nothing was measured" : "nothing is measured yet"}/>;
  }
  const isFixed = phase === "late" || (phase === "settled" && settledWith !== content);
  const isFolded = isFixed || FAILED.includes(build.results ?? 0);
  const onToggle = () => {
    setExpanded(!isExpanded);
    setSettledWith(content);
    release();
  };
  const shown = isFolded && !isExpanded ? [] : told.slice(0, isExpanded ? undefined : MAX_TOLD);
  return (
    <section className="bbm bbm-panel bbm-verdicts" data-theme={theme} aria-label={title}>
      <header className="bbm-panel-head">
        <h2>{title}</h2>
        <Line records={records}/>
        <span className="bbm-panel-links">
          <button type="button" className="bbm-button" aria-expanded={isExpanded} onClick={onToggle}>
            {isExpanded ? "Hide" : "Show"} all {records.length}
          </button>
          <ExternalLink href={links?.grafana}>Grafana</ExternalLink>
          <ExternalLink href={links?.influxdb}>InfluxDB</ExternalLink>
        </span>
      </header>
      {shown.length > 0 && (
        <ul className="bbm-told" aria-label="What got worse">
          {shown.map((record, index) => <ToldRow key={index} record={record} build={build} builder={builder}
            alert={alerts?.find(({id}) => id === record.alert)}/>)}
        </ul>
      )}
      {shown.length > 0 && shown.length < told.length && <p className="bbm-note">and {told.length - shown.length} more</p>}
      {missing.length > 0 && !isFixed && (
        <p className="bbm-note bbm-missing">
          Not measured in this build: {missing.slice(0, MAX_MISSING).map((name, index) =>
            <React.Fragment key={name}>{index > 0 && ", "}<bdi>{truncate(name)}</bdi></React.Fragment>)}
          {missing.length > MAX_MISSING && ` and ${missing.length - MAX_MISSING} more`}
        </p>
      )}
      {isExpanded && <RecordsTable records={records} build={build} builder={builder}/>}
    </section>
  );
};

/** The place of the panel's line while it is loaded, and for a build without measurements. */
const Reserved = ({theme, title, text = ""}: {theme: string; title: string; text?: string}) => (
  <div className="bbm bbm-panel-place" data-theme={theme}>
    <div className="bbm-panel-head">{title && <h2>{title}</h2>}<span className="bbm-note">{text}</span></div>
  </div>
);
