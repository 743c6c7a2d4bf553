import * as React from "react";
import {useTopbarItems} from "buildbot-ui";
import {useSearchParams} from "react-router-dom";
import {ImprovedLately, NeedsAttention} from "../components/AlertSections";
import {Empty, ExternalLink, Failure, Loading} from "../components/Basics";
import {BuilderMatrix} from "../components/BuilderMatrix";
import {LabelledField, Select} from "../components/Controls";
import {Pinned} from "../components/Pinned";
import {SeriesTable} from "../components/SeriesTable";
import {useOverview} from "../hooks/useOverview";
import {useQuery} from "../hooks/useQuery";
import type {Theme} from "../hooks/useTheme";
import {useTitle} from "../hooks/useTitle";
import {readListState, writeListState, type ListState} from "../lib/urlState";
import {getLinks, type OverviewRow, type Series} from "../lib/api";
import {digits, unitName} from "../lib/format";
import {listItems, sortItems} from "../lib/seriesList";
import {timeZone} from "../lib/time";

const INITIAL_ROWS = 100;

const uniqueSorted = (names: readonly string[]) => [...new Set(names)].sort((a, b) => a.localeCompare(b));

const NO_FILTER = {search: "", builder: null, branch: null, kind: null, unit: null};

const Filters = ({all, rows, state, change}: {
  all: readonly Series[]; rows: readonly OverviewRow[]; state: ListState; change: (next: Partial<ListState>) => void;
}) => {
  const [search, setSearch] = React.useState(state.search);
  React.useEffect(() => setSearch(state.search), [state.search]);
  const choices = React.useMemo(() => ({
    builders: uniqueSorted(all.flatMap(series => series.builders)),
    branches: uniqueSorted(rows.flatMap(row => row.branch ?? [])),
    kinds: uniqueSorted(all.map(series => series.kind)),
    units: uniqueSorted(all.map(series => series.unit)),
  }), [all, rows]);
  const isFiltered = Boolean(state.search || state.builder || state.branch || state.kind || state.unit);
  return (
    <form className="bbm-controls" role="search" aria-label="Find series" onSubmit={event => event.preventDefault()}>
      <LabelledField label="Search" grow>{id => (
        <input id={id} type="search" className="bbm-field" value={search} placeholder="part of a name" onChange={event => {
          setSearch(event.target.value);
          change({search: event.target.value});
        }}/>
      )}</LabelledField>
      <Select label="Builder" value={state.builder} choices={choices.builders} any="all"
              onChange={builder => change({builder})}/>
      {(choices.branches.length > 1 || state.branch !== null) && (
        <Select label="Branch" value={state.branch} choices={choices.branches} any="all" onChange={branch => change({branch})}/>
      )}
      <Select label="Kind" value={state.kind} choices={choices.kinds} any="all" onChange={kind => change({kind})}/>
      <Select label="Unit" value={state.unit} choices={choices.units} any="all" onChange={unit => change({unit})}
              nameOf={unit => unitName(unit) || "number"}/>
      {isFiltered && <button type="button" className="bbm-button" onClick={() => change(NO_FILTER)}>Clear</button>}
      <span className="bbm-buttons" role="group" aria-label="View">
        <button type="button" className="bbm-button" aria-pressed={state.view === "list"}
                onClick={() => change({view: "list"})}>Series</button>
        <button type="button" className="bbm-button" aria-pressed={state.view === "builders"}
                onClick={() => change({view: "builders"})}>Builders × series</button>
      </span>
    </form>
  );
};

const AllSeries = ({all, state, version, now, change}: {
  all: Series[]; state: ListState; version: number; now: number; change: (next: Partial<ListState>) => void;
}) => {
  const [rowLimit, setRowLimit] = React.useState(INITIAL_ROWS);
  const overview = useOverview(state, version);
  const {rows, total} = overview;
  const found = React.useMemo(() => sortItems(listItems(all, rows, state), state.sort), [all, rows, state]);
  return (
    <section aria-labelledby="bbm-all-title">
      <h2 id="bbm-all-title">All series</h2>
      <Filters all={all} rows={rows} state={state} change={change}/>
      <p className="bbm-note bbm-found" aria-live="polite">
        {found.length === all.length ? `${all.length} series` : `${found.length} of ${all.length} series`}
        {rows.length < total && `, ${digits(rows.length)} of ${digits(total)} lines are loaded`}
      </p>
      {overview.error && <Failure error={overview.error} retry={overview.retry}/>}
      {overview.loading && rows.length === 0 && found.length > 0 && <Loading what="values"/>}
      {found.length === 0 ? <Empty><p>No series fits. Try fewer letters, or clear the filters.</p></Empty>
        : state.view === "builders" ? <BuilderMatrix items={found}/>
          : <SeriesTable items={found} state={state} now={now} limit={rowLimit} onSort={sort => change({sort})}/>}
      {state.view === "list" && found.length > rowLimit && (
        <button type="button" className="bbm-button" onClick={() => setRowLimit(rowLimit + 200)}>
          Show {Math.min(200, found.length - rowLimit)} more of {found.length - rowLimit}
        </button>
      )}
      {rows.length < total && (
        <button type="button" className="bbm-button" disabled={overview.loading} onClick={overview.more}>Load more lines</button>
      )}
    </section>
  );
};

/** The first screen: pinned charts, and all series with their newest values. */
export const ListPage = ({all, theme, version}: {all: Series[]; theme: Theme; version: number}) => {
  const [query, setQuery] = useSearchParams();
  const text = query.toString();
  const state = React.useMemo(() => readListState(new URLSearchParams(text)), [text]);
  const links = useQuery("links", 0, signal => getLinks({}, signal));
  useTitle("Measurements");
  useTopbarItems(React.useMemo(() => [{caption: "Measurements", route: "/measurements"}], []));
  const now = React.useMemo(() => ({version, seconds: Date.now() / 1000}), [version]).seconds;
  const change = (next: Partial<ListState>) => setQuery(writeListState({...state, ...next}), {replace: true});
  return (
    <>
      <header className="bbm-title">
        <h1>Measurements</h1>
        <p className="bbm-facts">
          <ExternalLink href={links.data?.grafana}>Grafana</ExternalLink>
          <ExternalLink href={links.data?.influxdb}>InfluxDB</ExternalLink>
          <span className="bbm-more">Times: {timeZone(now)}</span>
        </p>
      </header>
      {all.length === 0 ? (
        <Empty>
          <p><strong>Nothing has been measured yet.</strong></p>
          <p>Once a build with a measuring step has ended, its numbers show up here by themselves; those of builders that you may not see are left out.</p>
        </Empty>
      ) : (
        <>
          <NeedsAttention theme={theme} version={version} now={now}/>
          <ImprovedLately theme={theme} version={version} now={now}/>
          <Pinned all={all} theme={theme} version={version}/>
          <AllSeries all={all} state={state} version={version} now={now} change={change}/>
        </>
      )}
    </>
  );
};
