import * as React from "react";
import {useTopbarItems} from "buildbot-ui";
import {Link, useSearchParams} from "react-router-dom";
import {directionLabel, Empty, Failure, Loading, Name, ExternalLink, Swatch} from "../components/Basics";
import {Chart} from "../components/Chart";
import {PointsTable} from "../components/PointsTable";
import {SeriesControls} from "../components/SeriesControls";
import {ComparisonTable, StatisticsTable} from "../components/StatisticsTable";
import {useBuildLinks} from "../hooks/useBuildLinks";
import {useQuery} from "../hooks/useQuery";
import {useSeriesView} from "../hooks/useSeriesView";
import type {Theme} from "../hooks/useTheme";
import {readSeriesState, writeSeriesState, type SeriesState} from "../lib/urlState";
import {getBranches, getLinks, meaningOf, type Series} from "../lib/api";
import {formatValue, isolateDirection, truncate, unitName} from "../lib/format";
import {MAX_LINES, MAX_POINTS} from "../lib/chartData";
import {urlTime} from "../lib/time";

const Title = ({series, links}: {series: Series; links: {grafana: string | null; influxdb: string | null} | null}) => {
  const facts = [series.kind, unitName(series.unit, series.kind), directionLabel(series.better)].filter(Boolean);
  return (
    <header className="bbm-title">
      <p className="bbm-back"><Link to="/measurements">← All measurements</Link></p>
      <h1><Name text={series.name}/></h1>
      <p className="bbm-facts">
        {facts.map(fact => <span key={fact} className="bbm-badge"><bdi>{fact}</bdi></span>)}
        <ExternalLink href={links?.grafana}>Grafana</ExternalLink>
        <ExternalLink href={links?.influxdb}>InfluxDB</ExternalLink>
      </p>
    </header>
  );
};

const NO_BRANCHES: readonly string[] = [];

/** The page of one series: chart, statistics and points. */
export const SeriesPage = ({series, theme, version}: {series: Series; theme: Theme; version: number}) => {
  const [query, setQuery] = useSearchParams();
  const text = query.toString();
  const state = React.useMemo(() => readSeriesState(query), [text]);
  const change = React.useCallback((next: Partial<SeriesState>, replace = false) =>
    setQuery(writeSeriesState({...readSeriesState(new URLSearchParams(text)), ...next}), {replace}), [text, setQuery]);
  const view = useSeriesView(series, state, theme, version);
  const branches = useQuery(`branches ${series.name}`, version, signal => getBranches(series.name, meaningOf(series), signal));
  const {routeOf, open} = useBuildLinks();
  const linkFilters = {series: series.name, builder: state.builders.length === 1 ? state.builders[0] : null};
  const links = useQuery(JSON.stringify(linkFilters), 0, signal => getLinks(linkFilters, signal));
  useTopbarItems(React.useMemo(() => [
    {caption: "Measurements", route: "/measurements"}, {caption: isolateDirection(truncate(series.name, 40)), route: null},
  ], [series.name]));

  const onZoom = React.useCallback((since: number | null, until: number | null) => change({
    since: since === null ? null : urlTime(since), until: until === null ? null : urlTime(until),
  }, true), [change]);
  const isEmpty = !view.loading && !view.error && view.points.length === 0 && view.lines.length === 0;
  const isNarrowed = Boolean(
    state.builders.length || state.branch || state.since || state.until || Object.keys(state.tags).length);

  return (
    <>
      <Title series={series} links={links.data}/>
      <SeriesControls series={series} state={state} now={view.now} tagChoices={view.tagChoices}
                      branches={branches.data ?? NO_BRANCHES} change={change}/>
      {view.rangeError && <p className="bbm-note bbm-failure" role="alert">{view.rangeError}</p>}
      {view.error && <Failure error={view.error} retry={view.retry}/>}
      {view.loading && !view.lines.length && !view.points.length && <Loading what="points"/>}
      {isEmpty && !view.rangeError && (
        <Empty>
          <p>No points{isNarrowed ? " for this choice" : " yet"}.</p>
          {isNarrowed && <button type="button" className="bbm-button" onClick={() => change(
            {builders: [], branch: null, since: null, until: null, tags: {}, versus: null, versusRange: null})}>Show all</button>}
        </Empty>
      )}
      {view.lines.length > 0 && (
        <section aria-label="Chart" aria-busy={view.loading}>
          <Chart model={view.model} name={`${series.name} over time`} onZoom={onZoom} onOpen={open}/>
          <ul className="bbm-legend" aria-label="Lines">
            {view.lines.map(line => (
              <li key={`${line.key}${line.shift}`}>
                <button type="button" className="bbm-legend-line" aria-pressed={view.focus === line.key} data-line={line.label}
                        onClick={() => view.setFocus(view.focus === line.key ? null : line.key)}>
                  <Swatch colour={line.colour} dashed={line.dash.length > 0}/>
                  <bdi className="bbm-name bbm-clamp" title={line.label}>{line.label}</bdi>
                  <span className="bbm-legend-value">
                    {formatValue(line.buckets[line.buckets.length - 1]?.average ?? line.dots[line.dots.length - 1]?.value,
                      series.unit, series.kind)}
                  </span>
                </button>
              </li>
            ))}
          </ul>
          {view.hidden > 0 && (
            <p className="bbm-note">
              Shown are the {MAX_LINES} lines with the most points; {view.hidden} more are there: choose builders or tags.
            </p>
          )}
          {!view.complete && (
            <p className="bbm-note">
              There are {MAX_POINTS.toLocaleString("en")} points or more: drawn are averages, the shade reaches from
              minimum to maximum. Zoom in to see each.
            </p>
          )}
        </section>
      )}
      {view.lines.length > 0 && (
        <section aria-labelledby="bbm-statistics-title">
          <h2 id="bbm-statistics-title">{view.compared ? "Comparison" : "Statistics of this range"}</h2>
          {view.statisticsError && <Failure error={view.statisticsError}/>}
          {view.compared
            ? <ComparisonTable rows={view.rows} unit={series.unit} kind={series.kind} better={series.better}/>
            : <StatisticsTable rows={view.rows} unit={series.unit} kind={series.kind}/>}
        </section>
      )}
      {view.points.length > 0 && (
        <PointsTable points={view.points} unit={series.unit} kind={series.kind} routeOf={routeOf}
                     complete={view.complete && view.points.length < MAX_POINTS}
                     open={view.lines.length === 0} key={view.lines.length === 0 ? "open" : "closed"}/>
      )}
    </>
  );
};
