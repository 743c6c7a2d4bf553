/** Builders × series: how far the newest value of each builder is from its own baseline. */

import type {OverviewRow} from "./api";
import {bySeverity, deviationOf} from "./lines";
import type {ListItem} from "./seriesList";
import {changeOf, medianOf} from "./statistics";

export interface Cell {
  row: OverviewRow;
  /** The change from the baseline, as a fraction. */
  change: number | null;
  /** In spreads; positive is worse. */
  deviation: number | null;
}

export interface BuilderTable {
  items: ListItem[];
  builders: {name: string; cells: (Cell | null)[]; worst: number}[];
  /** Series that are not columns. */
  hidden: number;
}

/** Series of the table. */
const MAX_COLUMNS = 16;

function cellOf(rows: readonly OverviewRow[]): Cell | null {
  const [row] = [...rows].sort(bySeverity);
  if (!row || typeof row.value !== "number") {
    return null;
  }
  const baseline = row.baseline ?? medianOf(row.values.slice(0, -1));
  return {row, change: changeOf(baseline, row.value), deviation: deviationOf(row)};
}

const worstOf = (cells: readonly (Cell | null)[]) => Math.max(-Infinity, ...cells.map(cell => cell?.deviation ?? -Infinity));

/** The table: the series that deviate most first, of builders the worst first. */
export function makeBuilderTable(items: readonly ListItem[]): BuilderTable {
  const numeric = items.filter(item => item.series.kind !== "text" && item.rows.some(row => row.builder !== null));
  const columns = [...numeric].sort((a, b) => bySeverity(a.rows[0]!, b.rows[0]!)).slice(0, MAX_COLUMNS);
  const names = [...new Set(columns.flatMap(item => item.rows.flatMap(row => row.builder ?? [])))];
  const builders = names.map(name => {
    const cells = columns.map(item => cellOf(item.rows.filter(row => row.builder === name)));
    return {name, cells, worst: worstOf(cells)};
  });
  const collator = new Intl.Collator(undefined, {numeric: true});
  builders.sort((a, b) => b.worst - a.worst || collator.compare(a.name, b.name));
  return {items: columns, builders, hidden: numeric.length - columns.length};
}
