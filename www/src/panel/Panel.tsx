import * as React from "react";
import {Link} from "react-router-dom";
import {Change, ExternalLink, Name, TagList, Value} from "../components/Basics";
import {Sparkline} from "../components/Sparkline";
import {useQuery} from "../hooks/useQuery";
import {useInView} from "../hooks/useInView";
import {useTheme} from "../hooks/useTheme";
import {seriesRoute} from "../lib/urlState";
import {getLinks, getPoints, getRecords, type Build, type Builder, type BuildRecord} from "../lib/api";
import {assessChange, bySeverity} from "../lib/changeAssessment";
import {truncate} from "../lib/format";
import {isNumber, tagsKey} from "../lib/lines";
import {sparklineRequests} from "../lib/concurrencyLimiter";

const INITIAL_ROWS = 6;
const SPARK_BUILDS = 30;
/** Points that are requested; a series may have several lines, of which one is drawn. */
const SPARK_POINTS = 120;

const RecordRow = ({record, build, builder}: {record: BuildRecord; build: Build; builder: Builder}) => {
  const [element, inView] = useInView<HTMLTableRowElement>();
  const until = build.complete_at === null ? null : build.complete_at + 2;
  const {series, branch, proposal, tags} = record;
  const key = JSON.stringify([series, tags, builder.name, branch, until]);
  const isDrawn = inView && typeof record.value === "number" && branch !== null;  // else there is no line to compare with
  const answer = useQuery(isDrawn ? key : null, build.buildid, signal =>
    sparklineRequests.run(() =>
      getPoints(series, {builder: builder.name, branch, until, tags}, SPARK_POINTS, signal), signal));
  const recordTags = tagsKey(tags);
  const points = (answer.data ?? []).filter(point => isNumber(point) && tagsKey(point.tags) === recordTags);
  const line = [...points, ...(proposal && answer.data ? [{value: record.value, buildid: build.buildid}] : [])].slice(-SPARK_BUILDS);
  const marked = line.map(point => point.buildid).lastIndexOf(build.buildid);
  const route = seriesRoute(series, {
    builder: builder.name, ...(branch === null ? {} : {branch}), ...(proposal ? {proposals: "1"} : {}),
  }, tags);
  return (
    <tr ref={element}>
      <th scope="row">
        <Link to={route}><Name text={series} clamp/></Link>
        <TagList tags={tags}/>
      </th>
      <td className="bbm-cell-value"><Value value={record.value} unit={record.unit} kind={record.kind}/></td>
      <td className="bbm-cell-previous">
        <span className="bbm-sr">before: </span>
        <Value value={record.previous} unit={record.unit} kind={record.kind}/>
      </td>
      <td className="bbm-cell-change">
        <Change before={record.previous} after={record.value} change={record.change} better={record.better}
                unit={record.unit} kind={record.kind}/>
      </td>
      <td className="bbm-cell-spark">
        <Sparkline values={line.map(point => point.value as number)} unit={record.unit} kind={record.kind}
                   marked={marked < 0 ? undefined : marked}/>
      </td>
    </tr>
  );
};

/** Panel with the records of a build; nothing if it has none. */
export const Panel = ({build, builder, title, version}: {build: Build; builder: Builder; title: string; version: number}) => {
  const theme = useTheme();
  const [isExpanded, setExpanded] = React.useState(false);
  const records = useQuery(`records ${build.buildid}`, version, signal => getRecords(build.buildid, signal)).data;
  const links = useQuery(records?.length ? `links ${builder.name} ${build.buildid}` : null, 0,
    signal => getLinks({builder: builder.name, buildid: build.buildid}, signal)).data;
  if (!records?.length) {
    return null;
  }
  const rows = records
    .map((record, index) => ({record, index, change: record.change, assessment: assessChange(record.previous, record.value, record.better)}))
    .sort(bySeverity);
  const proposed = records.find(record => record.proposal);
  const shown = isExpanded ? rows : rows.slice(0, INITIAL_ROWS);
  const worse = rows.filter(({assessment}) => assessment === "worse").length;
  const better = rows.filter(({assessment}) => assessment === "better").length;
  const counts = [worse ? `${worse} worse` : "", better ? `${better} better` : ""].filter(Boolean).join(", ");
  return (
    <section className="bbm bbm-panel" data-theme={theme} aria-label={title}>
      <header className="bbm-panel-head">
        <h2>{title}</h2>
        {counts && <span className="bbm-note">{counts}</span>}
        {proposed && <span className="bbm-note bbm-proposal">
          <bdi>{truncate(proposed.proposal!)}</bdi>{proposed.branch === null
            ? ", of an unknown target" : <>, compared with <bdi>{truncate(proposed.branch)}</bdi></>}
        </span>}
        <span className="bbm-panel-links">
          <ExternalLink href={links?.grafana}>Grafana</ExternalLink>
          <ExternalLink href={links?.influxdb}>InfluxDB</ExternalLink>
        </span>
      </header>
      <table className="bbm-table bbm-records">
        <caption className="bbm-sr">What this build measured, beside what the build before it did</caption>
        <thead>
          <tr>
            <th scope="col">Series</th><th scope="col" className="bbm-cell-value">Value</th>
            <th scope="col" className="bbm-cell-previous">Before</th>
            <th scope="col" className="bbm-cell-change">Change</th><th scope="col" className="bbm-cell-spark">Last 30 builds</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(({record, index}) => <RecordRow key={index} record={record} build={build} builder={builder}/>)}
        </tbody>
      </table>
      {rows.length > INITIAL_ROWS && (
        <button type="button" className="bbm-button" aria-expanded={isExpanded} onClick={() => setExpanded(!isExpanded)}>
          {isExpanded ? "Show fewer" : `Show all ${rows.length}`}
        </button>
      )}
    </section>
  );
};
