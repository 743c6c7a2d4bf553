import * as React from "react";
import {useTopbarItems} from "buildbot-ui";
import {Link, useLocation, useSearchParams} from "react-router-dom";
import {directionLabel, Empty, Failure, Loading, Name, ExternalLink} from "../components/Basics";
import {AlertTable} from "../components/AlertTable";
import {Chart} from "../components/Chart";
import {ChangeDetails} from "../components/ChangeDetails";
import {ComparisonTable} from "../components/ComparisonTable";
import {Legend, legendRows} from "../components/Legend";
import {CopyLink, CsvLink} from "../components/PageLinks";
import {PointsTable} from "../components/PointsTable";
import {SeriesControls} from "../components/SeriesControls";
import {TextChanges} from "../components/TextChanges";
import {useBuildLinks} from "../hooks/useBuildLinks";
import {usePins} from "../hooks/usePins";
import {useQuery} from "../hooks/useQuery";
import {useSeriesView} from "../hooks/useSeriesView";
import type {Theme} from "../hooks/useTheme";
import {useTitle} from "../hooks/useTitle";
import {readSeriesState, shortName, writeSeriesState, type SeriesState} from "../lib/urlState";
import {alertOfChange} from "../lib/alerts";
import {csvUrl, EVERY_PROPOSAL, getLinks, type Series} from "../lib/api";
import {ANALYSED_BUILDS, isPartlyAnalysed, type MarkedChange} from "../lib/chartModel";
import {digits, isolateDirection, truncate, unitName} from "../lib/format";
import {MAX_LINE_POINTS, MAX_POINTS} from "../lib/chartData";
import {lineKey, nameOfPoint} from "../lib/lines";
import {isCrowded} from "../lib/plotDrawing";
import {timeZone, urlTime} from "../lib/time";

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

type View = ReturnType<typeof useSeriesView>;

/** Links to what is shown: its address, its points as CSV, and the pin that keeps it on the first page. */
const Actions = ({series, state, view}: {series: Series; state: SeriesState; view: View}) => {
  const {pathname, search} = useLocation();
  const {pins, toggle, failed} = usePins();
  // After the chart: the first use of Intl takes 15 ms.
  const zone = React.useMemo(() => view.painted ? timeZone(view.now) : null, [view.painted, view.now]);
  const route = pathname + search;
  const csv = csvUrl(series.name, {
    ...view.filters, builder: state.builders.length === 1 ? state.builders[0] : null, branch: state.branch,
    proposal: state.proposals ? EVERY_PROPOSAL : null,
  });
  const shownPoints = () => {
    const hidden = new Set(view.known.selected.filter(line => !view.known.shown.includes(line)).map(line => line.key));
    return view.points.filter(point => !hidden.has(lineKey(nameOfPoint(point, view.known.byMachine))));
  };
  return (
    <p className="bbm-actions">
      <CopyLink/>
      <CsvLink points={shownPoints} unit={series.unit} url={view.complete ? null : csv} name={series.name}/>
      {series.kind !== "text" && (
        <button type="button" className="bbm-button" aria-pressed={pins.includes(route)} onClick={() => toggle(route)}>Pin</button>
      )}
      {failed && <span className="bbm-more" role="alert">The browser does not store it.</span>}
      <span className="bbm-more">{zone !== null && `Times: ${zone}`}</span>
    </p>
  );
};

const Notes = ({state, view}: {state: SeriesState; view: View}) => (
  <>
    {view.known.unlisted > 0 && (
      <p className="bbm-note">{view.known.unlisted} more lines are not listed: choose builders, a branch or tags.</p>
    )}
    {!view.complete && (
      <p className="bbm-note">
        Lines with {digits(MAX_LINE_POINTS)} points or more are drawn as averages, the shade reaches from
        minimum to maximum. Zoom in to see each point.
      </p>
    )}
    {view.hasBuckets && state.axis !== "time" && <p className="bbm-note">By {state.axis} each point is needed: zoom in first.</p>}
    {view.unplaced > 0 && <p className="bbm-note">{digits(view.unplaced)} points have no {state.axis} and are not drawn.</p>}
    {state.band && view.models.some(({model}) => isCrowded(model)) && (
      <p className="bbm-note">With this many lines, usual ranges are drawn only for a line whose name is clicked in the table.</p>
    )}
    {state.band && view.lines.some(isPartlyAnalysed) && (
      <p className="bbm-note">
        Usual ranges and changes are shown for the newest {ANALYSED_BUILDS} builds of a line in this range. Zoom in to see earlier ones.
      </p>
    )}
  </>
);

/** The charts, their legend or comparison, and the details of a chosen change. */
const Charts = ({series, state, view, change, onOpen}: {
  series: Series; state: SeriesState; view: View; change: (next: Partial<SeriesState>) => void;
  onOpen: React.ComponentProps<typeof Chart>["onOpen"];
}) => {
  const [marked, setMarked] = React.useState<MarkedChange | null>(null);
  const onZoom = (since: number | null, until: number | null) => change({
    since: since === null ? null : urlTime(since), until: until === null ? null : urlTime(until),
  });
  const onToggle = (key: string) => {
    const shown = view.known.shown.map(line => shortName(line.key));
    const name = shortName(key);
    change({shown: shown.includes(name) ? shown.filter(other => other !== name) : [...shown, name]});
  };
  const statistics = new Map(view.groups.map(group => [group.key, group.statistics]));
  const [first, second] = view.groups;
  return (
    <>
      <section aria-label="Chart" aria-busy={view.loading} className={view.models.length > 1 ? "bbm-charts" : undefined}>
        {view.models.map(({name, model}) => (
          <div key={name ?? ""}>
            {name !== null && <h2><Name text={name} clamp/></h2>}
            <Chart model={model} name={`${series.name} ${model.axis === "time" ? "over time" : `by ${model.axis}`}${name === null ? "" : `: ${name}`}`} onZoom={onZoom} onOpen={onOpen}
                   onChange={setMarked}/>
          </div>
        ))}
      </section>
      {marked && <ChangeDetails marked={marked} alert={alertOfChange(view.alerts, marked.line, marked.change)} unit={series.unit} kind={series.kind} onClose={() => setMarked(null)}/>}
      <Notes state={state} view={view}/>
      <section aria-labelledby="bbm-statistics-title">
        <h2 id="bbm-statistics-title">{view.compared ? "Comparison" : "Statistics of this range"}</h2>
        {view.statisticsError && <Failure error={view.statisticsError}/>}
        {view.compared
          ? first && second && <ComparisonTable unit={series.unit} kind={series.kind}
            first={{label: first.label ?? "", statistics: first.statistics}} second={{label: second.label ?? "", statistics: second.statistics}}/>
          : <Legend rows={legendRows(view.lines, view.known.selected, view.known.shown, statistics)} unit={series.unit} kind={series.kind}
                    focus={view.focus} onFocus={view.setFocus} onToggle={onToggle}/>}
      </section>
    </>
  );
};

const NOTHING_CHOSEN: Partial<SeriesState> = {
  builders: [], branch: null, since: null, until: null, tags: {}, versus: null, versusRange: null, shown: null,
};

/** The page of one series: chart, statistics and points. */
export const SeriesPage = ({series, theme, version}: {series: Series; theme: Theme; version: number}) => {
  const [query, setQuery] = useSearchParams();
  const text = query.toString();
  const state = React.useMemo(() => readSeriesState(new URLSearchParams(text)), [text]);
  const change = (next: Partial<SeriesState>) => setQuery(writeSeriesState({...state, ...next}));
  const view = useSeriesView(series, state, theme, version);
  const {routeOf, open} = useBuildLinks(view.painted);
  const linkFilters = {series: series.name, builder: state.builders.length === 1 ? state.builders[0] : null};
  const links = useQuery(view.painted ? JSON.stringify(["links", linkFilters]) : null, 0, signal => getLinks(linkFilters, signal));
  useTitle(truncate(series.name, 80));
  useTopbarItems(React.useMemo(() => [
    {caption: "Measurements", route: "/measurements"}, {caption: isolateDirection(truncate(series.name, 40)), route: null},
  ], [series.name]));

  const isText = series.kind === "text";
  const isEmpty = !view.loading && !view.error && view.points.length === 0 && view.lines.length === 0;
  const isNarrowed = Boolean(
    state.builders.length || state.branch || state.since || state.until || state.shown || Object.keys(state.tags).length);
  return (
    <>
      <Title series={series} links={links.data}/>
      <SeriesControls series={series} state={state} now={view.now} tagChoices={view.tagChoices}
                      branches={view.branches} change={change}/>
      <Actions series={series} state={state} view={view}/>
      {view.rangeError && <p className="bbm-note bbm-failure" role="alert">{view.rangeError}</p>}
      {view.alertsError && <Failure error={view.alertsError}/>}
      {view.error && <Failure error={view.error} retry={view.retry}/>}
      {view.loading && !view.lines.length && !view.points.length && <Loading what="points"/>}
      {isEmpty && !view.rangeError && (
        <Empty>
          <p>No points{isNarrowed ? " for this choice" : " yet"}.</p>
          {isNarrowed && <button type="button" className="bbm-button" onClick={() => change(NOTHING_CHOSEN)}>Show all</button>}
        </Empty>
      )}
      {view.lines.length > 0 && <Charts series={series} state={state} view={view} change={change} onOpen={open}/>}
      <AlertTable alerts={view.alerts}/>
      {isText && view.points.length > 0 && (
        <TextChanges points={view.points} kind={series.kind} routeOf={routeOf} complete={view.points.length < MAX_POINTS}/>
      )}
      {view.points.length > 0 && (
        <PointsTable points={view.points} unit={series.unit} kind={series.kind} routeOf={routeOf}
                     complete={view.complete && view.points.length < MAX_POINTS}/>
      )}
    </>
  );
};
