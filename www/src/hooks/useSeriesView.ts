import * as React from "react";
import {resolveRange, type SeriesState} from "../lib/urlState";
import {withAlerts} from "../lib/alerts";
import type {Alert, Filters, Series} from "../lib/api";
import {filtersOfLine, loadStatistics, type PointGroup} from "../lib/chartData";
import {makeModel, unplacedPoints, type ChartView, type StyledLine} from "../lib/chartModel";
import {lineLabel, type KnownLine, type Line} from "../lib/lines";
import {lineStyle} from "../lib/plotOptions";
import {filtersOf, linesRequest, pointsRequest, selectLines} from "../lib/requests";
import {splitLines} from "../lib/split";
import {useAlerts} from "./useAlerts";
import {usePainted} from "./usePainted";
import {useQuery} from "./useQuery";
import type {Theme} from "./useTheme";

const NO_ALERTS: readonly Alert[] = [];
const NO_LINES: readonly Line[] = [];
const MAX_TAG_VALUES = 200;

/** The values of each tag that has several values or is selected. */
function tagValues(known: readonly KnownLine[], state: SeriesState): Record<string, string[]> {
  const choices: Record<string, string[]> = {};
  const keys = new Set([...known.flatMap(({tags}) => Object.keys(tags)), ...Object.keys(state.tags)]);
  for (const key of [...keys].sort()) {
    const values = [...new Set(known.flatMap(({tags}) => tags[key] ?? []))].sort();
    if (values.length > 1 || state.tags[key] !== undefined) {
      choices[key] = values.slice(0, MAX_TAG_VALUES);
    }
  }
  return choices;
}

function styleLines(lines: readonly Line[], theme: Theme, shift: number, prefix: string): StyledLine[] {
  return lines.map((line, index) => {
    const look = lineStyle(index, theme);
    return {...line, ...look, shift, label: prefix + lineLabel(line, lines), dash: shift || prefix ? [7, 4] : look.dash};
  });
}

/** The two sides of a comparison. */
function comparedGroups(
  state: SeriesState, first: readonly Line[], second: readonly Line[], filters: Filters, versusFilters: Filters,
): (PointGroup & {label: string})[] {
  const builder = state.builders[0] ?? null;
  if (state.versus !== null) {
    const of = (name: string | null) => first.filter(line => line.builder === name);
    return [
      {key: "first", label: builder ?? "no builder", lines: of(builder), filters: {...filters, builder}},
      {key: "second", label: state.versus, lines: of(state.versus), filters: {...filters, builder: state.versus}},
    ];
  }
  const only = state.builders.length === 1 ? builder : null;
  return [
    {key: "first", label: "this range", lines: first, filters: {...filters, builder: only}},
    {key: "second", label: "compared with", lines: second, filters: {...versusFilters, builder: only}},
  ];
}

/** The ranges of a state in unix seconds. */
function useRanges(state: SeriesState, stamp: unknown) {
  const {since, until, versusRange} = state;
  const now = React.useMemo(() => ({stamp, seconds: Date.now() / 1000}), [stamp]).seconds;
  const range = React.useMemo(() => resolveRange({since, until}, now), [since, until, now]);
  const versus = React.useMemo(() => versusRange && resolveRange(versusRange, now), [versusRange, now]);
  return {now, range, versus, error: range.error ?? versus?.error ?? null};
}

/** The lines of the series in the state of the query for them. */
function useKnownLines(series: Series, state: SeriesState, version: number) {
  const {key, request} = linesRequest(series.name);
  const overview = useQuery(key, version, request, true);
  const {name, kind, unit, ambiguous} = series;
  const known = React.useMemo(
    () => selectLines({name, kind, unit, ambiguous}, state, overview.data), [name, kind, unit, ambiguous, state, overview.data]);
  return {...known, overview};
}

/** A function that selects the lines to draw in the order of `shown`; lines that are not known are drawn after them. */
function useDrawnLines(all: readonly KnownLine[], shown: readonly KnownLine[]) {
  return React.useCallback((lines: readonly Line[] | undefined): readonly Line[] => {
    const known = new Set(all.map(line => line.key));
    const place = new Map(shown.map((line, index) => [line.key, index]));
    return lines?.filter(line => place.has(line.key) || !known.has(line.key))
      .sort((a, b) => (place.get(a.key) ?? Infinity) - (place.get(b.key) ?? Infinity) || 0) ?? NO_LINES;
  }, [all, shown]);
}

/** The alerts of a series in the state of its page. */
function useSeriesAlerts(series: Series, state: SeriesState, version: number, isReady: boolean) {
  const {alerts, error} = useAlerts(isReady ? {series: series.name, branch: state.branch} : null, version);
  const {kind, unit} = series;
  const {builders, tags} = state;
  const shown = React.useMemo(() => alerts?.filter(alert => alert.kind === kind && alert.unit === unit
    && (!builders.length || builders.includes(alert.builder ?? ""))
    && Object.entries(tags).every(([key, value]) => alert.tags[key] === value)) ?? NO_ALERTS, [alerts, kind, unit, builders, tags]);
  return {alerts: shown, error};
}

/** The data of the page of one series, for a state of its URL; what the first chart does not need is requested after it. */
export function useSeriesView(series: Series, state: SeriesState, theme: Theme, version: number) {
  const [attempt, setAttempt] = React.useState(0);
  const [focus, setFocus] = React.useState<string | null>(null);
  const {versus, versusRange} = state;
  const dataVersion = version + attempt;
  const ranges = useRanges(state, dataVersion);
  const known = useKnownLines(series, state, dataVersion);

  const filters = filtersOf(series, state, ranges.range);
  const versusFilters = filtersOf(series, state, ranges.versus);
  const canLoad = !ranges.error && Boolean(known.overview.data ?? known.overview.error);
  const request = pointsRequest(series, state, known, state, filters, true);
  const versusRequest = pointsRequest(series, state, known, versusRange ?? state, versusFilters, false);
  const main = useQuery(canLoad ? request.key : null, dataVersion, request.request, true);
  const other = useQuery(canLoad && versusRange ? versusRequest.key : null, dataVersion, versusRequest.request, true);
  const painted = usePainted(Boolean(ranges.error ?? main.data ?? main.error));
  const {alerts, error: alertsError} = useSeriesAlerts(series, state, version, painted);
  const newest = useQuery(painted ? main.data?.newest?.key ?? null : null, dataVersion, signal => main.data!.newest!.request(signal), true);

  const drawn = useDrawnLines(known.all, known.shown);
  const first = React.useMemo(() => {
    const limits = new Map(known.all.map(line => [line.key, line.limits]));
    const analyses = new Map(newest.data?.lines.map(line => [line.key, line.analysis]));
    return drawn(main.data?.lines).map(line => ({
      ...withAlerts({...line, analysis: line.analysis ?? analyses.get(line.key) ?? null}, alerts), limits: limits.get(line.key) ?? [],
    }));
  }, [drawn, main.data, newest.data, alerts, known.all]);
  const second = React.useMemo(() => versusRange ? drawn(other.data?.lines) : NO_LINES, [drawn, other.data, versusRange]);
  const shift = versusRange ? shiftOf(ranges.versus?.since ?? null, ranges.range.since, first, second) : 0;
  const lines = React.useMemo(() => [
    ...styleLines(first, theme, 0, ""), ...styleLines(second, theme, shift, "compared with: "),
  ], [first, second, theme, shift]);

  const {axis, scale, smooth, band, fromZero, split, build} = state;
  const hasBuckets = lines.some(line => line.buckets.length > 0);
  const {range, now} = ranges;
  const models = React.useMemo(() => {
    const view: ChartView = {
      unit: series.unit, kind: series.kind, theme, axis: hasBuckets ? "time" : axis, scale, smooth, band, fromZero, build,
      since: range.since, until: range.until ?? (range.since === null ? null : now),
      focus: lines.some(line => line.key === focus) ? focus : null,
    };
    return splitLines(lines, split).map(({name, lines: part}) => ({name, model: makeModel(part, view)}));
  }, [lines, series.unit, series.kind, theme, axis, scale, smooth, band, fromZero, range, now, focus, split, build, hasBuckets]);

  const compared = versus !== null || versusRange !== null;
  const groups: (PointGroup & {label?: string})[] = compared
    ? comparedGroups(state, first, second, filters, versusFilters)
    : lines.map(line => ({key: line.key, lines: [line], filters: filtersOfLine(line, known.all, filters)}));
  const statistics = useQuery(
    painted && lines.length ? JSON.stringify(["statistics", request.key, versusRange, groups.map(group => group.key)]) : null,
    main.updatedAt + other.updatedAt,
    signal => Promise.all(groups.map(group => loadStatistics(series.name, group, signal))));

  const points = React.useMemo(
    () => [...main.data?.points ?? [], ...newest.data?.points ?? []], [main.data, newest.data]);

  return {
    now, rangeError: ranges.error, lines, models, unplaced: unplacedPoints(lines, hasBuckets ? "time" : axis), known, setFocus, filters, hasBuckets, compared,
    focus: models.some(({model}) => model.focus !== null) ? focus : null,
    groups: groups.map((group, index) => ({...group, statistics: statistics.data?.[index] ?? null})),
    points,
    loading: known.overview.loading || main.loading || newest.loading || (!painted && Boolean(main.data?.newest))
      || (versusRange !== null && other.loading),
    alerts,
    alertsError,
    painted,
    error: known.overview.error ?? main.error ?? newest.error ?? (versusRange ? other.error : null),
    statisticsError: statistics.error,
    complete: !main.data?.newest && (!versusRange || !other.data?.newest),
    tagChoices: tagValues(known.all, state),
    branches: [...new Set(known.all.flatMap(line => line.branch ?? []))].sort(),
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
