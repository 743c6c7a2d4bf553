import * as React from "react";
import {resolveRange, type SeriesState} from "../lib/urlState";
import {EVERY_PROPOSAL, meaningOf, type Point, type Series} from "../lib/api";
import {lineLabel, type Line} from "../lib/lines";
import {loadLines, loadPoints, loadStatistics, MAX_LINES, MAX_NEWEST_POINTS, type PointGroup} from "../lib/chartData";
import {lineStyle, type ChartModel, type StyledLine} from "../lib/plotOptions";
import {deviation, median} from "../lib/statistics";
import type {Row} from "../components/StatisticsTable";
import {useQuery} from "./useQuery";
import type {Theme} from "./useTheme";

/** The number of times that one of `values` has changed. */
function useChangeCount(...values: readonly unknown[]): number {
  const count = React.useRef(0);
  return React.useMemo(() => { count.current += 1; return count.current; }, values);
}

const NO_LINES: readonly Line[] = [];
const NO_POINTS: readonly Point[] = [];
const MAX_TAG_VALUES = 200;

function bandOf(line: Line): StyledLine["band"] {
  const values = line.dots.map(dot => dot.value);
  const [middle, spread] = [median([...values].sort((a, b) => a - b)), deviation(values)];
  return middle === null || spread === null ? null : {median: middle, deviation: spread};
}

function styleLines(lines: readonly Line[], state: SeriesState, theme: Theme, shift: number, prefix: string): StyledLine[] {
  const shown = lines.slice(0, MAX_LINES);
  return shown.map((line, index) => {
    const look = lineStyle(index, theme);
    return {
      ...line, ...look, shift, label: prefix + lineLabel(line, lines),
      dash: shift || prefix ? [7, 4] : look.dash,
      band: state.band && !shift && !prefix ? bandOf(line) : null,
    };
  });
}

/** The values of each tag that has several values or is selected. */
function tagValues(loaded: readonly (readonly Point[])[], state: SeriesState): Record<string, string[]> {
  const values = new Map<string, Set<string>>();
  const add = (key: string, value: string) => values.set(key, (values.get(key) ?? new Set()).add(value));
  loaded.forEach(points => points.forEach(point => Object.entries(point.tags).forEach(([key, value]) => add(key, value))));
  const choices: Record<string, string[]> = {};
  for (const [key, found] of [...values].sort()) {
    if (found.size > 1 || state.tags[key] !== undefined) {
      choices[key] = [...found].sort().slice(0, MAX_TAG_VALUES);
    }
  }
  Object.keys(state.tags).forEach(key => { choices[key] ??= []; });
  return choices;
}

function groupsOf(
  state: SeriesState, lines: readonly StyledLine[], first: readonly Line[], second: readonly Line[],
  filters: PointGroup["filters"], versusFilters: PointGroup["filters"],
): PointGroup[] {
  const group = (key: string, label: string, of: readonly Line[], by: PointGroup["filters"]): PointGroup => {
    const line = of.length === 1 ? lines.find(({key: known}) => known === of[0]!.key) : undefined;
    return {
      key, label, colour: line?.colour ?? null, dashed: Boolean(line?.dash.length), lines: of, filters: by,
    };
  };
  if (state.versus !== null) {
    const builder = state.builders[0] ?? null;
    const of = (name: string | null) => first.filter(line => line.builder === name);
    return [
      group("first", builder ?? "no builder", of(builder), {...filters, builder}),
      group("second", state.versus, of(state.versus), {...filters, builder: state.versus}),
    ];
  }
  if (state.versusRange !== null) {
    const builder = state.builders.length === 1 ? state.builders[0] : null;
    return [
      group("first", "this range", first, {...filters, builder}),
      {...group("second", "compared with", second, {...versusFilters, builder}), dashed: true},
    ];
  }
  return lines.map(line => ({
    key: line.key, label: line.label, colour: line.colour, dashed: line.dash.length > 0, lines: [line],
    filters: {...filters, builder: line.builder, tags: {...filters.tags, ...line.tags}},
  }));
}

/** The data of the page of one series, for a state of its URL. */
export function useSeriesView(series: Series, state: SeriesState, theme: Theme, version: number) {
  const [attempt, setAttempt] = React.useState(0);
  const [focus, setFocus] = React.useState<string | null>(null);
  const {since: sinceText, until: untilText, tags, versus, versusRange} = state;
  const now = React.useMemo(() => Date.now() / 1000, [sinceText, untilText, version, attempt, series.name]);
  const range = React.useMemo(() => resolveRange(state, now), [sinceText, untilText, now]);
  const versusTimes = React.useMemo(
    () => versusRange && resolveRange(versusRange, now), [versusRange?.since, versusRange?.until, now]);
  const rangeError = range.error ?? versusTimes?.error ?? null;
  const builders = versus === null ? state.builders : [...new Set([...state.builders, versus])];

  const dataVersion = version + attempt;
  const ofLine = {...meaningOf(series), branch: state.branch, proposal: state.proposals ? EVERY_PROPOSAL : null};
  const queryKey = (text: {since: string | null; until: string | null}) =>
    rangeError ? null : JSON.stringify([series.name, builders, text.since, text.until, tags, ofLine]);
  const filters = {...ofLine, since: range.since, until: range.until, tags};
  const versusFilters = {...ofLine, since: versusTimes?.since, until: versusTimes?.until, tags};
  const total = series.kind === "text" ? 0 : series.count;
  const main = useQuery(queryKey(state), dataVersion,
    signal => loadLines(series.name, builders, filters, series.builders, total, signal), true);
  const newest = useQuery(main.data && !main.data.complete ? queryKey(state) : null, dataVersion,
    signal => loadPoints(series.name, builders, filters, MAX_NEWEST_POINTS, signal), true);
  const points = (main.data?.complete ? main.data.points : newest.data) ?? NO_POINTS;
  const other = useQuery(versusRange ? queryKey(versusRange) : null, dataVersion,
    signal => loadLines(series.name, builders, versusFilters, series.builders, total, signal), true);

  const first = main.data?.lines ?? NO_LINES;
  const second = (versusRange && other.data?.lines) || NO_LINES;
  const shift = versusRange ? shiftOf(versusTimes?.since ?? null, range.since, first, second) : 0;
  const lines = React.useMemo(() => [
    ...styleLines(first, state, theme, 0, ""), ...styleLines(second, state, theme, shift, "compared with: "),
  ], [first, second, theme, shift, state.band]);
  const model: ChartModel = React.useMemo(() => ({
    lines, unit: series.unit, kind: series.kind, theme, fromZero: state.fromZero, since: range.since,
    until: range.until ?? (range.since === null ? null : now),
    focus: lines.some(line => line.key === focus) ? focus : null,
  }), [lines, series.unit, series.kind, theme, state.fromZero, range, focus]);

  const groups = groupsOf(state, lines, first, second, filters, versusFilters);
  const statistics = useQuery(
    lines.length ? JSON.stringify([series.name, versus, ofLine, groups.map(group => [group.key, group.filters.builder])]) : null,
    useChangeCount(first, second),
    signal => Promise.all(groups.map(group => loadStatistics(series.name, group, signal))));
  const rows: Row[] = groups.map((group, index) => ({...group, statistics: statistics.data?.[index] ?? null}));

  return {
    now, rangeError, lines, model, rows, focus: model.focus, setFocus,
    points,
    loading: main.loading || (versusRange !== null && other.loading),
    error: main.error ?? (versusRange ? other.error : null),
    statisticsError: statistics.error,
    complete: (main.data?.complete ?? true) && (!versusRange || (other.data?.complete ?? true)),
    compared: versus !== null || versusRange !== null,
    hidden: Math.max(0, first.length - MAX_LINES),
    tagChoices: tagValues([points, (versusRange && other.data?.points) || NO_POINTS], state),
    retry: () => setAttempt(attempt + 1),
  };
}

const firstTime = (lines: readonly Line[]) =>
  Math.min(...lines.map(line => line.buckets[0]?.time ?? line.dots[0]?.time ?? Infinity));

/** Seconds from the start of the first range to the start of the second, by which the second is shifted to overlay both. */
function shiftOf(versusSince: number | null, since: number | null, first: readonly Line[], second: readonly Line[]) {
  const begin = since ?? firstTime(first);
  const versusBegin = versusSince ?? firstTime(second);
  return Number.isFinite(begin) && Number.isFinite(versusBegin) ? versusBegin - begin : 0;
}
