import * as React from "react";
import type {Statistics} from "../lib/api";
import type {StyledLine} from "../lib/chartModel";
import {MAX_CHOSEN_LINES} from "../lib/chartData";
import {formatValue} from "../lib/format";
import {lineLabel, type KnownLine} from "../lib/lines";
import {STATISTICS} from "../lib/statistics";
import {Swatch} from "./Basics";
import {STATISTIC_NAMES} from "./ComparisonTable";

/** Lines in the table at first. */
const INITIAL_ROWS = 30;

export interface LegendRow {
  key: string;
  label: string;
  colour: string | null;
  dashed: boolean;
  shown: boolean;
  /** Whether it can be hidden; lines of proposals have a control of their own. */
  togglable: boolean;
  last: number | string | null;
  count: number | null;
  statistics: Statistics | null;
}

/** The rows of all lines that match: those that are drawn first, in the order of the chart; of `shown` the others follow. */
export function legendRows(
  lines: readonly StyledLine[], known: readonly KnownLine[], shown: readonly KnownLine[], statistics: ReadonlyMap<string, Statistics | null>,
): LegendRow[] {
  const drawn = new Set(lines.map(line => line.key));
  const names = [...known, ...lines.filter(line => !known.some(({key}) => key === line.key))];
  const lastOf = (line: StyledLine) =>
    line.buckets[line.buckets.length - 1]?.average ?? line.dots[line.dots.length - 1]?.value ?? null;
  return [
    ...lines.map(line => ({
      key: line.key, label: lineLabel(line, names), colour: line.colour, dashed: line.dash.length > 0, shown: true,
      togglable: known.some(({key}) => key === line.key), last: lastOf(line), count: null,
      statistics: statistics.get(line.key) ?? null,
    })),
    ...known.filter(({key}) => !drawn.has(key)).map(line => ({
      key: line.key, label: lineLabel(line, names), colour: null, dashed: false, shown: shown.includes(line), togglable: true,
      last: line.row.value, count: line.count, statistics: null,
    })),
  ];
}

type SortKey = "label" | "last" | typeof STATISTICS[number];

function sortRows(rows: readonly LegendRow[], sort: SortKey | null, descending: boolean): LegendRow[] {
  if (sort === null) {
    return [...rows];
  }
  const names = new Intl.Collator(undefined, {numeric: true});
  const valueOf = (row: LegendRow) => sort === "last" ? row.last : sort === "count" ? row.statistics?.count ?? row.count : row.statistics?.[sort];
  return [...rows].sort((a, b) => {
    if (sort === "label") {
      return names.compare(a.label, b.label) * (descending ? -1 : 1);
    }
    const [first, second] = [valueOf(a), valueOf(b)];
    if (typeof first !== "number" || typeof second !== "number") {
      return Number(typeof second === "number") - Number(typeof first === "number");
    }
    return (first - second) * (descending ? -1 : 1);
  });
}

interface Props {
  rows: readonly LegendRow[];
  unit: string;
  kind: string;
  focus: string | null;
  onFocus: (key: string | null) => void;
  onToggle: (key: string) => void;
}

const COLUMNS: readonly [SortKey, string][] = [
  ["label", "Line"], ["last", "Last"], ...STATISTICS.map(name => [name, STATISTIC_NAMES[name]!] as [SortKey, string]),
];

/** The legend of a chart: a table of statistics that sorts, highlights and hides lines. */
export const Legend = ({rows, unit, kind, focus, onFocus, onToggle}: Props) => {
  const [sort, setSort] = React.useState<{key: SortKey | null; descending: boolean}>({key: null, descending: true});
  const [limit, setLimit] = React.useState(INITIAL_ROWS);
  const sorted = sortRows(rows, sort.key, sort.descending);
  const shown = rows.filter(row => row.shown).length;
  const onSort = (key: SortKey) => setSort(old => ({key, descending: old.key === key ? !old.descending : key !== "label"}));
  const cell = (row: LegendRow, name: string) =>
    name === "count" ? formatValue(row.statistics?.count ?? row.count) : formatValue(row.statistics?.[name] ?? null, unit, kind);
  return (
    <>
      {shown < rows.length && (
        <p className="bbm-note">
          {shown} of {rows.length} lines shown, those that are farthest from their own level first. Choose others in the table.
        </p>
      )}
      <div className="bbm-scroll" tabIndex={0} role="region" aria-label="Lines and statistics">
        <table className="bbm-table bbm-statistics">
          <caption className="bbm-sr">Lines of the chart, with statistics of the chosen range</caption>
          <thead>
            <tr>
              {COLUMNS.map(([key, caption]) => (
                <th scope="col" key={key} aria-sort={sort.key === key ? (sort.descending ? "descending" : "ascending") : undefined}>
                  <button type="button" className="bbm-sort" onClick={() => onSort(key)}>
                    {caption}<span aria-hidden="true">{sort.key === key ? (sort.descending ? " ▼" : " ▲") : ""}</span>
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {sorted.slice(0, limit).map(row => (
              <tr key={row.key} className={row.shown ? undefined : "bbm-hidden-line"}>
                <th scope="row">
                  <span className="bbm-legend-cell">
                    {rows.length > 1 && row.togglable && (
                      <input type="checkbox" checked={row.shown} aria-label={`Show ${row.label}`}
                             disabled={!row.shown && shown >= MAX_CHOSEN_LINES} onChange={() => onToggle(row.key)}/>
                    )}
                    {row.colour && <Swatch colour={row.colour} dashed={row.dashed}/>}
                    {row.shown && rows.length > 1 ? (
                      <button type="button" className="bbm-legend-line" aria-pressed={focus === row.key} title={row.label}
                              onClick={() => onFocus(focus === row.key ? null : row.key)}>
                        <bdi className="bbm-name bbm-clamp">{row.label}</bdi>
                      </button>
                    ) : <bdi className="bbm-name bbm-clamp" title={row.label}>{row.label}</bdi>}
                  </span>
                </th>
                <td>{formatValue(row.last, unit, kind)}</td>
                {STATISTICS.map(name => <td key={name}>{cell(row, name)}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {sorted.length > limit && (
        <button type="button" className="bbm-button" onClick={() => setLimit(limit + 200)}>
          Show {Math.min(200, sorted.length - limit)} more of {sorted.length - limit} lines
        </button>
      )}
    </>
  );
};
