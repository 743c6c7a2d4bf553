import * as React from "react";
import {Link} from "react-router-dom";
import {meaningOf, type OverviewRow} from "../lib/api";
import {formatChange, formatValue, unitName} from "../lib/format";
import {lineLabel, type LineName} from "../lib/lines";
import {changeOver, groupByPrefix, type ListItem} from "../lib/seriesList";
import {seriesRoute, type ListState} from "../lib/urlState";
import {Name, RelativeTime, Value, VerdictMark} from "./Basics";
import {Sparkline} from "./Sparkline";

const nameOf = (row: OverviewRow): LineName => ({...row, machine: row.machine_class, proposed: false});

const Usual = ({row}: {row: OverviewRow}) => {
  const [low, high] = row.usual ?? [null, null];
  return low === null && high === null ? null : (
    <span className="bbm-more bbm-usual">
      usual {formatValue(low, row.unit, row.kind)} to {formatValue(high, row.unit, row.kind)}
    </span>
  );
};

const ChangeOver = ({row}: {row: OverviewRow}) => {
  const change = changeOver(row.values);
  if (!change) {
    return <span className="bbm-change bbm-unknown" aria-label="too few values">–</span>;
  }
  const arrow = change.after > change.before ? "▲ " : change.after < change.before ? "▼ " : "= ";
  const assessment = row.verdict === "worse" || row.verdict === "better" ? row.verdict : "neutral";
  return (
    <span className={`bbm-change bbm-${assessment}`}
          title={`from ${formatValue(change.before, row.unit, row.kind)} to ${formatValue(change.after, row.unit, row.kind)}, medians of the first and last values`}>
      <span aria-hidden="true">{arrow}</span>{change.change === null ? "from 0" : formatChange(change.change)}
    </span>
  );
};

/** The line whose value a row shows, as a link to it alone. */
const LineLink = ({item, row}: {item: ListItem; row: OverviewRow}) => {
  const label = item.rows.length > 1 ? lineLabel(nameOf(row), item.rows.map(nameOf)) : row.builder ?? "";
  const others = item.rows.length - 1;
  const route = seriesRoute(row.series, {
    ...(row.builder === null ? {} : {builder: row.builder}), ...(row.branch === null ? {} : {branch: row.branch}),
    ...meaningOf(item.series),
  }, row.tags);
  return (
    <>
      {label ? <Link to={route}><Name text={label} clamp/></Link> : "–"}
      {others > 0 && <span className="bbm-more"> +{others} {others === 1 ? "line" : "lines"}</span>}
    </>
  );
};

const Row = ({item, state, now}: {item: ListItem; state: ListState; now: number}) => {
  const {series} = item;
  const row = item.rows[0];
  const route = seriesRoute(series.name, {
    ...(state.builder === null ? {} : {builder: state.builder}), ...(state.branch === null ? {} : {branch: state.branch}),
    ...meaningOf(series),
  });
  return (
    <tr>
      <th scope="row" className="bbm-cell-name">
        <Link to={route}><Name text={series.name} clamp/></Link>
        {series.ambiguous && <span className="bbm-more"> {[series.kind, unitName(series.unit, series.kind)].filter(Boolean).join(", ")}</span>}
      </th>
      <td className="bbm-cell-value">
        {row ? <Value value={row.value} unit={row.unit} kind={row.kind}/> : "–"}
        {row && <VerdictMark verdict={row.verdict} reason={row.reason}/>}
        {row && <Usual row={row}/>}
      </td>
      <td className="bbm-cell-change">{row && <ChangeOver row={row}/>}</td>
      <td className="bbm-cell-spark">
        {row && <Sparkline values={row.values} unit={row.unit} kind={row.kind} usual={row.usual}/>}
      </td>
      <td className="bbm-cell-builders">{row ? <LineLink item={item} row={row}/> : "–"}</td>
      <td className="bbm-cell-count">{formatValue(item.count)}</td>
      <td className="bbm-cell-last"><RelativeTime time={item.last} now={now}/></td>
    </tr>
  );
};

const COLUMNS: readonly {key: string; caption: string; sorts: boolean}[] = [
  {key: "name", caption: "Series", sorts: true},
  {key: "value", caption: "Newest value", sorts: false},
  {key: "change", caption: "Last 30 builds", sorts: false},
  {key: "spark", caption: "Course", sorts: false},
  {key: "worst", caption: "Worst line", sorts: true},
  {key: "count", caption: "Points", sorts: true},
  {key: "last", caption: "Measured", sorts: true},
];

const Head = ({sort, onSort}: {sort: string; onSort: (sort: string) => void}) => (
  <thead>
    <tr>
      {COLUMNS.map(({key, caption, sorts}) => (
        <th scope="col" key={key} className={`bbm-cell-${key === "worst" ? "builders" : key}`}
            aria-sort={sorts && sort === key ? (key === "name" ? "ascending" : "descending") : undefined}>
          {sorts
            ? <button type="button" className="bbm-sort" onClick={() => onSort(key)}>
              {caption}<span aria-hidden="true">{sort === key ? (key === "name" ? " ▲" : " ▼") : ""}</span>
            </button>
            : caption}
        </th>
      ))}
    </tr>
  </thead>
);

const Group = ({prefix, children, count}: {prefix: string; children: React.ReactNode; count: number}) => {
  const [isOpen, setOpen] = React.useState(true);
  return (
    <tbody>
      <tr className="bbm-group-head">
        <th scope="rowgroup" colSpan={COLUMNS.length}>
          <button type="button" className="bbm-sort" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            <span aria-hidden="true">{isOpen ? "▾ " : "▸ "}</span><bdi>{prefix || "Others"}</bdi> <span className="bbm-more">{count}</span>
          </button>
        </th>
      </tr>
      {isOpen && children}
    </tbody>
  );
};

/** Table of series: one row each, in groups of the same prefix if sorted by name. */
export const SeriesTable = ({items, state, now, limit, onSort}: {
  items: readonly ListItem[]; state: ListState; now: number; limit: number; onSort: (sort: string) => void;
}) => {
  const shown = items.slice(0, limit);
  const groups = state.sort === "name" ? groupByPrefix(shown) : [{prefix: "", items: shown}];
  const rows = (of: readonly ListItem[]) => of.map(item => <Row key={item.key} item={item} state={state} now={now}/>);
  return (
    <table className="bbm-table bbm-list">
      <caption className="bbm-sr">All series, each with the newest value of its worst line</caption>
      <Head sort={state.sort} onSort={onSort}/>
      {groups.length > 1
        ? groups.map(group => <Group key={group.prefix} prefix={group.prefix} count={group.items.length}>{rows(group.items)}</Group>)
        : <tbody>{rows(shown)}</tbody>}
    </table>
  );
};
