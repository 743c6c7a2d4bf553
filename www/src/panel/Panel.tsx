import * as React from "react";
import {Link} from "react-router-dom";
import {Change, Name, OutLink, TagList, Value} from "../components/Basics";
import {Sparkline} from "../components/Sparkline";
import {useAnswer} from "../hooks/useAnswer";
import {useSeen} from "../hooks/useSeen";
import {useTheme} from "../hooks/useTheme";
import {seriesRoute} from "../lib/address";
import {getLinks, getPoints, getRecords, type Build, type Builder, type BuildRecord} from "../lib/api";
import {bySeverity, judge} from "../lib/judgement";
import {isNumber, lineKey} from "../lib/lines";
import {sparkQueue} from "../lib/queue";

const ROWS_AT_FIRST = 6;
const SPARK_BUILDS = 30;
/** Points asked for: a series may have several lines, told apart by tags, of which one is drawn. */
const SPARK_POINTS = 120;

const RecordRow = ({record, build, builder}: {record: BuildRecord; build: Build; builder: Builder}) => {
  const [element, seen] = useSeen<HTMLTableRowElement>();
  const until = build.complete_at === null ? null : build.complete_at + 2;
  const key = JSON.stringify([record.series, record.tags, builder.name, until]);
  const answer = useAnswer(seen && typeof record.value === "number" ? key : null, build.buildid, signal =>
    sparkQueue.run(() =>
      getPoints(record.series, {builder: builder.name, until, tags: record.tags}, SPARK_POINTS, signal), signal));
  const own = lineKey(null, record.tags);
  const line = (answer.data ?? []).filter(point => isNumber(point) && lineKey(null, point.tags) === own).slice(-SPARK_BUILDS);
  const marked = line.map(point => point.buildid).lastIndexOf(build.buildid);
  return (
    <tr ref={element} data-series={record.series}>
      <th scope="row">
        <Link to={seriesRoute(record.series, {builder: builder.name})}><Name text={record.series} clamp/></Link>
        <TagList tags={record.tags}/>
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

/** The records of a build; nothing at all where it has none. */
export const Panel = ({build, builder, title, version}: {build: Build; builder: Builder; title: string; version: number}) => {
  const theme = useTheme("panel");
  const [isWhole, setWhole] = React.useState(false);
  const records = useAnswer(`records ${build.buildid}`, version, signal => getRecords(build.buildid, signal)).data;
  const links = useAnswer(records?.length ? `links ${builder.name} ${build.buildid}` : null, 0,
    signal => getLinks({builder: builder.name, buildid: build.buildid}, signal)).data;
  if (!records?.length) {
    return null;
  }
  const judged = records
    .map((record, index) => ({record, index, change: record.change, judgement: judge(record.previous, record.value, record.better)}))
    .sort(bySeverity);
  const shown = isWhole ? judged : judged.slice(0, ROWS_AT_FIRST);
  const worse = judged.filter(({judgement}) => judgement === "worse").length;
  const better = judged.filter(({judgement}) => judgement === "better").length;
  const counts = [worse ? `${worse} worse` : "", better ? `${better} better` : ""].filter(Boolean).join(", ");
  return (
    <section className="bbm bbm-panel" data-theme={theme} aria-label={title} data-testid="panel" data-buildid={build.buildid}>
      <header className="bbm-panel-head">
        <h2>{title}</h2>
        {counts && <span className="bbm-note">{counts}</span>}
        <span className="bbm-panel-links">
          <OutLink href={links?.grafana}>Grafana</OutLink>
          <OutLink href={links?.influxdb}>InfluxDB</OutLink>
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
      {judged.length > ROWS_AT_FIRST && (
        <button type="button" className="bbm-button" aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? "Show fewer" : `Show all ${judged.length}`}
        </button>
      )}
    </section>
  );
};
