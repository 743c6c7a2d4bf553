/** What the pages request: the lines of all series or of one, then the points of these. */

import {getOverview, meaningOf, type Filters, type Overview, type OverviewFilters, type Series} from "./api";
import {loadLines, MAX_CHOSEN_LINES, MAX_LINES, type ChartData, type Requested} from "./chartData";
import {bySeverity, knownLines, type KnownLine} from "./lines";
import {shortName, type Range, type SeriesState} from "./urlState";

/** The lines of a series, the ones that are selected, and of these the ones that are drawn. */
export interface KnownLines {
  all: readonly KnownLine[];
  selected: readonly KnownLine[];
  shown: readonly KnownLine[];
  /** Whether machine classes have lines of their own. */
  byMachine: boolean;
  /** The number of lines that are not listed. */
  unlisted: number;
}

/** The first pages of the lines that match. */
export const pagesRequest = (filters: OverviewFilters, count: number): Requested<Overview> => ({
  key: JSON.stringify(["overview", filters, count]),
  request: async signal => {
    const answers = await Promise.all(Array.from({length: count}, (_, index) =>
      getOverview({...filters, ...(index ? {page: index + 1} : {})}, signal)));
    return {total: answers[0]!.total, rows: answers.flatMap(answer => answer.rows)};
  },
});

/** The lines of all series of a name. */
export const linesRequest = (name: string): Requested<Overview> => ({
  key: JSON.stringify(["lines", name]), request: signal => getOverview({series: name}, signal),
});

/** The builders of a state, with the one that they are compared with. */
export const buildersOf = ({builders, versus}: SeriesState): string[] =>
  versus === null ? builders : [...new Set([...builders, versus])];

const matches = (line: KnownLine, builders: readonly string[], {branch, tags}: SeriesState) =>
  (!builders.length || builders.includes(line.builder ?? ""))
  && (branch === null || line.branch === branch)
  && Object.entries(tags).every(([key, value]) => (line.tags[key] ?? "") === value);

/** The fields that identify one of several series of the same name. */
export type SeriesMeaning = Pick<Series, "name" | "kind" | "unit" | "ambiguous">;

/** The only series in an overview of all series of a name; null if there are several, or none. */
export function onlySeries({rows, total}: Overview): SeriesMeaning | null {
  const [first] = rows;
  return first && total === rows.length && rows.every(({kind, unit}) => kind === first.kind && unit === first.unit)
    ? {name: first.series, kind: first.kind, unit: first.unit} : null;
}

/** The lines of a series in an overview of all series of its name. */
export function selectLines(series: SeriesMeaning, state: SeriesState, overview: Overview | null): KnownLines {
  const byMachine = state.split === "machine";
  const rows = overview?.rows ?? [];
  const all = knownLines(rows.filter(({kind, unit}) => !series.ambiguous || kind === series.kind && unit === series.unit), byMachine);
  const builders = buildersOf(state);
  const selected = all.filter(line => matches(line, builders, state)).sort((a, b) => bySeverity(a.row, b.row));
  const chosen = state.shown;
  const shown = chosen === null ? selected.slice(0, MAX_LINES)
    : selected.filter(line => chosen.includes(shortName(line.key))).slice(0, MAX_CHOSEN_LINES);
  return {all, selected, shown, byMachine, unlisted: (overview?.total ?? 0) - rows.length};
}

/** The points of the lines in a range; `filters` are those of the series and the range. */
export function pointsRequest(
  series: SeriesMeaning, state: SeriesState, known: KnownLines, range: Range, filters: Filters, analyse: boolean,
): Requested<ChartData> {
  const {tags, branch, proposals} = state;
  const builders = buildersOf(state);
  const isText = series.kind === "text";
  return {
    key: JSON.stringify([
      series.name, builders, [range.since, range.until], tags, branch, proposals, known.byMachine, meaningOf(series),
      known.shown.map(line => line.key),
    ]),
    request: signal => loadLines(
      {series: series.name, filters, builders, branch, proposals, byMachine: known.byMachine, analyse: analyse && !isText},
      isText ? [] : known.selected, known.shown, signal),
  };
}

/** The filters of a series, its tags and a range in unix seconds. */
export const filtersOf = (series: SeriesMeaning, {tags}: SeriesState, range: {since: number | null; until: number | null} | null): Filters =>
  ({...meaningOf(series), since: range?.since, until: range?.until, tags});
