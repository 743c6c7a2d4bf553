/** Filtering and sorting of the list of series. */

import type {ListState, SeriesState} from "./urlState";
import type {Point, Series} from "./api";

/** The series of a name that a page shows: that of its kind and unit, else of its builder, else the first. */
export function findSeries(
  all: readonly Series[], name: string, {kind, unit, builders}: Pick<SeriesState, "kind" | "unit" | "builders">,
): Series | null {
  const named = all.filter(series => series.name === name);
  const meant = named.filter(series => (kind === null || series.kind === kind) && (unit === null || series.unit === unit));
  const candidates = meant.length ? meant : named;
  return candidates.find(series => builders.some(builder => series.builders.includes(builder))) ?? candidates[0] ?? null;
}

/** The builder of the value that a row shows; null outside builds, and before `last` is loaded if there are several. */
export function ownerOfValue({builders}: Pick<Series, "builders">, last: Pick<Point, "builder"> | null): string | null {
  return last ? last.builder : builders.length === 1 ? builders[0]! : null;
}

/** The series whose name contains every word of the search and that match every filter. */
export function filterSeries(all: readonly Series[], state: ListState): Series[] {
  const words = state.search.toLowerCase().split(/\s+/).filter(word => word);
  return all.filter(series => {
    const name = series.name.toLowerCase();
    return words.every(word => name.includes(word))
      && (state.builder === null || series.builders.includes(state.builder))
      && (state.kind === null || series.kind === state.kind)
      && (state.unit === null || series.unit === state.unit);
  });
}

/** Sort by name, by count (descending) or by last time (descending). */
export function sortSeries(series: readonly Series[], sort: string): Series[] {
  const names = new Intl.Collator(undefined, {numeric: true});
  const byName = (a: Series, b: Series) => names.compare(a.name, b.name);
  return [...series].sort((a, b) => {
    if (sort === "count") {
      return b.count - a.count || byName(a, b);
    }
    if (sort === "last") {
      return (b.last ?? 0) - (a.last ?? 0) || byName(a, b);
    }
    return byName(a, b);
  });
}
