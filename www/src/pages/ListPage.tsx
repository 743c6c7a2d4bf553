import * as React from "react";
import {useTopbarItems} from "buildbot-ui";
import {Link, useSearchParams} from "react-router-dom";
import {Change, Empty, ExternalLink, Name, RelativeTime, TagList, Value} from "../components/Basics";
import {LabelledField, Select} from "../components/Controls";
import {Sparkline} from "../components/Sparkline";
import {useQuery} from "../hooks/useQuery";
import {useInView} from "../hooks/useInView";
import {readListState, seriesRoute, writeListState, type ListState} from "../lib/urlState";
import {getLinks, getPoints, meaningOf, type Point, type Series} from "../lib/api";
import {formatValue, unitName} from "../lib/format";
import {newestOfLine} from "../lib/lines";
import {filterSeries, ownerOfValue, sortSeries} from "../lib/seriesList";
import {sparklineRequests} from "../lib/concurrencyLimiter";
import {changeOf} from "../lib/statistics";

const INITIAL_ROWS = 100;
const SPARK_POINTS = 60;
const SPARK_VALUES = 30;

interface RowProps {
  series: Series;
  builder: string | null;
  branch: string | null;
  now: number;
  /** Called with the branches of the points that the row has loaded. */
  onBranches: (branches: readonly string[]) => void;
}

const Row = ({series, builder, branch, now, onBranches}: RowProps) => {
  const [element, inView] = useInView<HTMLTableRowElement>();
  const meaning = meaningOf(series);
  const key = JSON.stringify([series.name, builder, branch, meaning]);
  const version = (series.last ?? 0) + series.count;
  const answer = useQuery(inView ? key : null, version, signal =>
    sparklineRequests.run(() => getPoints(series.name, {builder, branch, ...meaning}, SPARK_POINTS, signal), signal));
  React.useEffect(() => onBranches(branchesOf(answer.data ?? [])), [answer.data]);
  const isWhole = builder === null && branch === null;
  const line = newestOfLine(answer.data ?? []);
  const value = line.last?.value ?? (isWhole ? series.last_value : null);
  const owner = ownerOfValue(series, line.last);
  const others = series.builders.filter(name => name !== owner);
  const isTruncated = answer.data?.length === SPARK_POINTS;
  const count = isWhole ? formatValue(series.count) : isTruncated ? `≥ ${SPARK_POINTS}` : formatValue(answer.data?.length);
  return (
    <tr ref={element} data-series={series.name}>
      <th scope="row" className="bbm-cell-name">
        <Link to={seriesRoute(series.name, {...(builder === null ? {} : {builder}), ...(branch === null ? {} : {branch}), ...meaning})}>
          <Name text={series.name} clamp/>
        </Link>
        {series.ambiguous && <span className="bbm-more"> {[series.kind, unitName(series.unit, series.kind)].filter(Boolean).join(", ")}</span>}
      </th>
      <td className="bbm-cell-value">
        <Value value={value} unit={series.unit} kind={series.kind}/>
        {line.last && <TagList tags={line.last.tags}/>}
      </td>
      <td className="bbm-cell-change">
        {line.last && (
          <Change before={line.previous?.value ?? null} after={line.last.value} better={series.better}
                  change={changeOf(line.previous?.value, line.last.value)} unit={series.unit} kind={series.kind}/>
        )}
      </td>
      <td className="bbm-cell-spark">
        <Sparkline values={line.values.slice(-SPARK_VALUES)} unit={series.unit} kind={series.kind}/>
      </td>
      <td className="bbm-cell-builders">
        {(builder ?? owner) !== null && <Name text={(builder ?? owner)!} clamp/>}
        {builder === null && others.length > 0 && (
          <span className="bbm-more" title={others.slice(0, 40).join(", ")}>
            {owner === null ? `${others.length} builders` : ` +${others.length}`}
          </span>
        )}
      </td>
      <td className="bbm-cell-count">{count}</td>
      <td className="bbm-cell-last"><RelativeTime time={isWhole ? series.last : line.last?.time ?? null} now={now}/></td>
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

/** Whether the list describes all points of each series: of a builder or branch counts and times are not known. */
const isUnfiltered = ({builder, branch}: ListState) => builder === null && branch === null;

/** The sort key of the list; by name if counts and times are not known for all series. */
const sortKey = (state: ListState) => isUnfiltered(state) ? state.sort : "name";

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

const branchesOf = (points: readonly Point[]) => uniqueSorted(points.flatMap(point => point.branch ?? []));

const uniqueSorted = (names: readonly string[]) => [...new Set(names)].sort((a, b) => a.localeCompare(b));

/** The list of all series, with the last value of each. */
export const ListPage = ({all, version}: {all: Series[]; version: number}) => {
  const [query, setQuery] = useSearchParams();
  const text = query.toString();
  const state = readListState(query);
  const [rowLimit, setRowLimit] = React.useState(INITIAL_ROWS);
  const links = useQuery("links", 0, signal => getLinks({}, signal));
  useTopbarItems(React.useMemo(() => [{caption: "Measurements", route: "/measurements"}], []));
  const now = React.useMemo(() => Date.now() / 1000, [version, text]);
  const change = (next: Partial<ListState>) => setQuery(writeListState({...state, ...next}), {replace: true});

  const [search, setSearch] = React.useState(state.search);
  React.useEffect(() => setSearch(state.search), [state.search]);
  const found = React.useMemo(() => sortSeries(filterSeries(all, state), sortKey(state)), [all, text]);
  const choices = React.useMemo(() => ({
    builders: uniqueSorted(all.flatMap(series => series.builders)),
    kinds: uniqueSorted(all.map(series => series.kind)),
    units: uniqueSorted(all.map(series => series.unit)),
  }), [all]);
  const isFiltered = Boolean(state.search || state.builder || state.branch || state.kind || state.unit);
  const [branches, setBranches] = React.useState<readonly string[]>([]);
  const onBranches = React.useCallback((loaded: readonly string[]) => setBranches(known =>
    loaded.every(branch => known.includes(branch)) ? known : uniqueSorted([...known, ...loaded])), []);

  return (
    <>
      <header className="bbm-title">
        <h1>Measurements</h1>
        <p className="bbm-facts">
          <ExternalLink href={links.data?.grafana}>Grafana</ExternalLink>
          <ExternalLink href={links.data?.influxdb}>InfluxDB</ExternalLink>
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
            <LabelledField label="Search" grow>{id => (
              <input id={id} type="search" className="bbm-field" value={search} placeholder="part of a name" onChange={event => {
                setSearch(event.target.value);
                change({search: event.target.value});
              }}/>
            )}</LabelledField>
            <Select label="Builder" value={state.builder} choices={choices.builders} any="all"
                    onChange={builder => change({builder})}/>
            {(branches.length > 1 || state.branch !== null) && (
              <Select label="Branch" value={state.branch} choices={branches} any="all" onChange={branch => change({branch})}/>
            )}
            <Select label="Kind" value={state.kind} choices={choices.kinds} any="all" onChange={kind => change({kind})}/>
            <Select label="Unit" value={state.unit} choices={choices.units} any="all" onChange={unit => change({unit})}
                    nameOf={unit => unitName(unit) || "number"}/>
            {isFiltered && <button type="button" className="bbm-button" onClick={() => change(
              {search: "", builder: null, branch: null, kind: null, unit: null})}>Clear</button>}
          </form>
          <p className="bbm-note" aria-live="polite" data-testid="found">
            {found.length === all.length ? `${all.length} series` : `${found.length} of ${all.length} series`}
          </p>
          {found.length === 0 ? <Empty><p>No series fits. Try fewer letters, or clear the filters.</p></Empty> : (
            <table className="bbm-table bbm-list">
              <caption className="bbm-sr">All series with their last value</caption>
              <Head sort={sortKey(state)} all={isUnfiltered(state)} onSort={sort => change({sort})}/>
              <tbody>
                {found.slice(0, rowLimit).map(series =>
                  <Row key={JSON.stringify([series.name, series.kind, series.unit])} series={series} builder={state.builder}
                       branch={state.branch} now={now} onBranches={onBranches}/>)}
              </tbody>
            </table>
          )}
          {found.length > rowLimit && (
            <button type="button" className="bbm-button" onClick={() => setRowLimit(rowLimit + 200)}>
              Show {Math.min(200, found.length - rowLimit)} more of {found.length - rowLimit}
            </button>
          )}
        </>
      )}
    </>
  );
};
