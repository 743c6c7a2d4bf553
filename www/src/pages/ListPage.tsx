import * as React from "react";
import {useTopbarItems} from "buildbot-ui";
import {Link, useSearchParams} from "react-router-dom";
import {Ago, Change, Empty, Name, OutLink, Value} from "../components/Basics";
import {Choice, Labelled} from "../components/Controls";
import {Sparkline} from "../components/Sparkline";
import {useAnswer} from "../hooks/useAnswer";
import {useSeen} from "../hooks/useSeen";
import {readListState, seriesRoute, writeListState, type ListState} from "../lib/address";
import {getLinks, getPoints, type Series} from "../lib/api";
import {formatValue, unitName} from "../lib/format";
import {newest} from "../lib/lines";
import {filterSeries, sortSeries} from "../lib/listing";
import {sparkQueue} from "../lib/queue";
import {changeOf} from "../lib/statistics";

const ROWS_AT_FIRST = 100;
const SPARK_POINTS = 60;
const SPARK_VALUES = 30;

const Row = ({series, builder, now}: {series: Series; builder: string | null; now: number}) => {
  const [element, seen] = useSeen<HTMLTableRowElement>();
  const key = JSON.stringify([series.name, builder]);
  const version = (series.last ?? 0) + series.count;
  const answer = useAnswer(seen ? key : null, version, signal =>
    sparkQueue.run(() => getPoints(series.name, {builder}, SPARK_POINTS, signal), signal));
  const found = newest(answer.data ?? []);
  const value = found.last?.value ?? (builder === null ? series.last_value : null);
  const others = series.builders.length - 1;
  const many = answer.data?.length === SPARK_POINTS;
  const count = builder === null ? formatValue(series.count) : many ? `≥ ${SPARK_POINTS}` : formatValue(answer.data?.length);
  return (
    <tr ref={element} data-series={series.name}>
      <th scope="row" className="bbm-cell-name">
        <Link to={seriesRoute(series.name, builder === null ? {} : {builder})}><Name text={series.name} clamp/></Link>
      </th>
      <td className="bbm-cell-value"><Value value={value} unit={series.unit} kind={series.kind}/></td>
      <td className="bbm-cell-change">
        {found.last && (
          <Change before={found.previous?.value ?? null} after={found.last.value} better={series.better}
                  change={changeOf(found.previous?.value, found.last.value)} unit={series.unit} kind={series.kind}/>
        )}
      </td>
      <td className="bbm-cell-spark">
        <Sparkline values={found.values.slice(-SPARK_VALUES)} unit={series.unit} kind={series.kind}/>
      </td>
      <td className="bbm-cell-builders">
        {series.builders[0] !== undefined && <Name text={builder ?? series.builders[0]} clamp/>}
        {builder === null && others > 0 && <span className="bbm-more" title={series.builders.slice(0, 40).join(", ")}> +{others}</span>}
      </td>
      <td className="bbm-cell-count">{count}</td>
      <td className="bbm-cell-last"><Ago time={builder === null ? series.last : found.last?.time ?? null} now={now}/></td>
    </tr>
  );
};

const COLUMNS: readonly {key: string; caption: string; sorts: boolean}[] = [
  {key: "name", caption: "Series", sorts: true},
  {key: "value", caption: "Last value", sorts: false},
  {key: "change", caption: "Change", sorts: false},
  {key: "spark", caption: "Last 30", sorts: false},
  {key: "builders", caption: "Builder", sorts: false},
  {key: "count", caption: "Points", sorts: true},
  {key: "last", caption: "Measured", sorts: true},
];

/** What a list is sorted by: of one builder alone, only names are known of all series. */
const sortOf = ({builder, sort}: ListState) => builder === null ? sort : "name";

const Head = ({sort, all, onSort}: {sort: string; all: boolean; onSort: (sort: string) => void}) => (
  <thead>
    <tr>
      {COLUMNS.map(({key, caption, sorts}) => (
        <th scope="col" key={key} className={`bbm-cell-${key}`}
            aria-sort={sorts && sort === key ? (key === "name" ? "ascending" : "descending") : undefined}>
          {sorts && all
            ? <button type="button" className="bbm-sort" onClick={() => onSort(key)}>
              {caption}<span aria-hidden="true">{sort === key ? (key === "name" ? " ▲" : " ▼") : ""}</span>
            </button>
            : caption}
        </th>
      ))}
    </tr>
  </thead>
);

const uniqueSorted = (names: readonly string[]) => [...new Set(names)].sort((a, b) => a.localeCompare(b));

/** All series, with what was last measured of each. */
export const ListPage = ({all, version}: {all: Series[]; version: number}) => {
  const [query, setQuery] = useSearchParams();
  const text = query.toString();
  const state = readListState(query);
  const [most, setMost] = React.useState(ROWS_AT_FIRST);
  const links = useAnswer("links", 0, signal => getLinks({}, signal));
  useTopbarItems(React.useMemo(() => [{caption: "Measurements", route: "/measurements"}], []));
  const now = React.useMemo(() => Date.now() / 1000, [version, text]);
  const change = (next: Partial<ListState>) => setQuery(writeListState({...state, ...next}), {replace: true});

  const [search, setSearch] = React.useState(state.search);
  React.useEffect(() => setSearch(state.search), [state.search]);
  const found = React.useMemo(() => sortSeries(filterSeries(all, state), sortOf(state)), [all, text]);
  const choices = React.useMemo(() => ({
    builders: uniqueSorted(all.flatMap(series => series.builders)),
    kinds: uniqueSorted(all.map(series => series.kind)),
    units: uniqueSorted(all.map(series => series.unit)),
  }), [all]);
  const isFiltered = Boolean(state.search || state.builder || state.kind || state.unit);

  return (
    <>
      <header className="bbm-title">
        <h1>Measurements</h1>
        <p className="bbm-facts">
          <OutLink href={links.data?.grafana}>Grafana</OutLink>
          <OutLink href={links.data?.influxdb}>InfluxDB</OutLink>
        </p>
      </header>
      {all.length === 0 ? (
        <Empty>
          <p><strong>Nothing has been measured yet.</strong></p>
          <p>Once a build with a measuring step has ended, its numbers show up here by themselves; those of builders that you may not see are left out.</p>
        </Empty>
      ) : (
        <>
          <form className="bbm-controls" role="search" aria-label="Find series" onSubmit={event => event.preventDefault()}>
            <Labelled label="Search" grow>{id => (
              <input id={id} type="search" className="bbm-field" value={search} placeholder="part of a name" onChange={event => {
                setSearch(event.target.value);
                change({search: event.target.value});
              }}/>
            )}</Labelled>
            <Choice label="Builder" value={state.builder} choices={choices.builders} any="all"
                    onChange={builder => change({builder})}/>
            <Choice label="Kind" value={state.kind} choices={choices.kinds} any="all" onChange={kind => change({kind})}/>
            <Choice label="Unit" value={state.unit} choices={choices.units} any="all" onChange={unit => change({unit})}
                    nameOf={unit => unitName(unit) || "number"}/>
            {isFiltered && <button type="button" className="bbm-button" onClick={() => change(
              {search: "", builder: null, kind: null, unit: null})}>Clear</button>}
          </form>
          <p className="bbm-note" aria-live="polite" data-testid="found">
            {found.length === all.length ? `${all.length} series` : `${found.length} of ${all.length} series`}
          </p>
          {found.length === 0 ? <Empty><p>No series fits. Try fewer letters, or clear the filters.</p></Empty> : (
            <table className="bbm-table bbm-list">
              <caption className="bbm-sr">All series with their last value</caption>
              <Head sort={sortOf(state)} all={state.builder === null} onSort={sort => change({sort})}/>
              <tbody>
                {found.slice(0, most).map(series =>
                  <Row key={series.name} series={series} builder={state.builder} now={now}/>)}
              </tbody>
            </table>
          )}
          {found.length > most && (
            <button type="button" className="bbm-button" onClick={() => setMost(most + 200)}>
              Show {Math.min(200, found.length - most)} more of {found.length - most}
            </button>
          )}
        </>
      )}
    </>
  );
};
