/** Grouping, filtering and sorting of the list of series. */

import type {ListState, SeriesState} from "./urlState";
import type {OverviewRow, Series} from "./api";
import {bySeverity} from "./lines";
import {changeOf, medianOf} from "./statistics";

/** The series of a name that a page shows: that of its kind and unit, else of its builder, else the first. */
export function findSeries(
  all: readonly Series[], name: string, {kind, unit, builders}: Pick<SeriesState, "kind" | "unit" | "builders">,
): Series | null {
  const named = all.filter(series => series.name === name);
  const meant = named.filter(series => (kind === null || series.kind === kind) && (unit === null || series.unit === unit));
  const candidates = meant.length ? meant : named;
  return candidates.find(series => builders.some(builder => series.builders.includes(builder))) ?? candidates[0] ?? null;
}

/** A series with its lines that match, the most severe first. */
export interface ListItem {
  key: string;
  series: Series;
  rows: OverviewRow[];
  count: number;
  last: number | null;
}

const keyOf = (name: string, kind: string, unit: string) => JSON.stringify([name, kind, unit]);

const matches = (row: OverviewRow, {builder, branch}: ListState) =>
  (builder === null || row.builder === builder) && (branch === null || row.branch === branch);

/** The series whose name contains every word of the search and that match every filter. */
export function listItems(all: readonly Series[], rows: readonly OverviewRow[], state: ListState): ListItem[] {
  const words = state.search.toLowerCase().split(/\s+/).filter(word => word);
  const ofSeries = new Map<string, OverviewRow[]>();
  for (const row of rows) {
    if (matches(row, state)) {
      const key = keyOf(row.series, row.kind, row.unit);
      ofSeries.set(key, [...ofSeries.get(key) ?? [], row]);
    }
  }
  return all.flatMap(series => {
    const name = series.name.toLowerCase();
    const key = keyOf(series.name, series.kind, series.unit);
    const found = (ofSeries.get(key) ?? []).sort(bySeverity);
    const isShown = words.every(word => name.includes(word))
      && (state.builder === null || series.builders.includes(state.builder))
      && (state.branch === null || found.length > 0)
      && (state.kind === null || series.kind === state.kind)
      && (state.unit === null || series.unit === state.unit);
    return isShown ? [{
      key, series, rows: found, count: found.reduce((sum, row) => sum + row.count, 0),
      last: found.length ? Math.max(...found.map(row => row.time)) : null,
    }] : [];
  });
}

/** Sort by name, by count, by last time, or by severity; all but the name descending. */
export function sortItems(items: readonly ListItem[], sort: string): ListItem[] {
  const names = new Intl.Collator(undefined, {numeric: true});
  const byName = (a: ListItem, b: ListItem) => names.compare(a.series.name, b.series.name);
  return [...items].sort((a, b) => {
    switch (sort) {
      case "count": return b.count - a.count || byName(a, b);
      case "last": return (b.last ?? 0) - (a.last ?? 0) || byName(a, b);
      case "worst": return Number(!a.rows.length) - Number(!b.rows.length)
        || (a.rows.length && b.rows.length ? bySeverity(a.rows[0]!, b.rows[0]!) : 0) || byName(a, b);
      default: return byName(a, b);
    }
  });
}

/** Series that a group needs. */
const LEAST_IN_GROUP = 3;

export const prefixOf = (name: string): string => /^[^._/:\-\s]{1,40}[._/:\-\s]+(?=.)/.exec(name)?.[0] ?? "";

/** Items in groups of the same prefix; items of small groups are in one without a prefix, which is the last. */
export function groupByPrefix(items: readonly ListItem[]): {prefix: string; items: ListItem[]}[] {
  const groups = new Map<string, ListItem[]>();
  for (const item of items) {
    const prefix = prefixOf(item.series.name);
    groups.set(prefix, [...groups.get(prefix) ?? [], item]);
  }
  const large = [...groups].filter(([prefix, members]) => prefix && members.length >= LEAST_IN_GROUP);
  const inLarge = new Set(large.map(([prefix]) => prefix));
  const others = items.filter(item => !inLarge.has(prefixOf(item.series.name)));
  return [
    ...large.map(([prefix, members]) => ({prefix, items: members})),
    ...(others.length ? [{prefix: "", items: others}] : []),
  ];
}

/** Values at both ends whose medians are compared. */
const ENDS = 5;

/** The change from the first to the last values, by their medians; null for too few values. */
export function changeOver(values: readonly number[]): {before: number; after: number; change: number | null} | null {
  const size = Math.min(ENDS, values.length >> 1);
  if (size < 1) {
    return null;
  }
  const [before, after] = [medianOf(values.slice(0, size))!, medianOf(values.slice(-size))!];
  return {before, after, change: changeOf(before, after)};
}
