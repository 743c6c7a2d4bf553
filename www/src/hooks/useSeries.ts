import * as React from "react";
import {resolve, type SeriesState} from "../lib/address";
import type {Point, Series} from "../lib/api";
import {labelOf, type Line} from "../lib/lines";
import {loadLines, loadPoints, loadStatistics, MOST_LINES, NEWEST_POINTS, type Side} from "../lib/load";
import {lookOf, type Drawing, type DrawnLine} from "../lib/plot";
import {deviation, median} from "../lib/statistics";
import type {Row} from "../components/StatisticsTable";
import {useAnswer} from "./useAnswer";
import type {Theme} from "./useTheme";

/** How often what is given has changed. */
function useCount(...given: readonly unknown[]): number {
  const count = React.useRef(0);
  return React.useMemo(() => { count.current += 1; return count.current; }, given);
}

const NO_LINES: readonly Line[] = [];
const NO_POINTS: readonly Point[] = [];
const MOST_TAG_VALUES = 200;

function bandOf(line: Line): DrawnLine["band"] {
  const values = line.dots.map(dot => dot.value);
  const [middle, spread] = [median([...values].sort((a, b) => a - b)), deviation(values)];
  return middle === null || spread === null ? null : {median: middle, deviation: spread};
}

function drawn(lines: readonly Line[], state: SeriesState, theme: Theme, shift: number, prefix: string): DrawnLine[] {
  const shown = lines.slice(0, MOST_LINES);
  return shown.map((line, index) => {
    const look = lookOf(index, theme);
    return {
      ...line, ...look, shift, label: prefix + labelOf(line, lines),
      dash: shift || prefix ? [7, 4] : look.dash,
      band: state.band && !shift && !prefix ? bandOf(line) : null,
    };
  });
}

/** The values of each tag that tells points apart, and those that are chosen. */
function choicesOf(loaded: readonly (readonly Point[])[], state: SeriesState): Record<string, string[]> {
  const values = new Map<string, Set<string>>();
  const add = (key: string, value: string) => values.set(key, (values.get(key) ?? new Set()).add(value));
  loaded.forEach(points => points.forEach(point => Object.entries(point.tags).forEach(([key, value]) => add(key, value))));
  const choices: Record<string, string[]> = {};
  for (const [key, found] of [...values].sort()) {
    if (found.size > 1 || state.tags[key] !== undefined) {
      choices[key] = [...found].sort().slice(0, MOST_TAG_VALUES);
    }
  }
  Object.keys(state.tags).forEach(key => { choices[key] ??= []; });
  return choices;
}

function sidesOf(
  state: SeriesState, lines: readonly DrawnLine[], first: readonly Line[], second: readonly Line[],
  narrowing: Side["narrowing"], versusNarrowing: Side["narrowing"],
): Side[] {
  const side = (key: string, label: string, of: readonly Line[], by: Side["narrowing"]): Side => {
    const line = of.length === 1 ? lines.find(({key: known}) => known === of[0]!.key) : undefined;
    return {
      key, label, colour: line?.colour ?? null, dashed: Boolean(line?.dash.length), lines: of, narrowing: by,
    };
  };
  if (state.versus !== null) {
    const builder = state.builders[0] ?? null;
    const of = (name: string | null) => first.filter(line => line.builder === name);
    return [
      side("first", builder ?? "no builder", of(builder), {...narrowing, builder}),
      side("second", state.versus, of(state.versus), {...narrowing, builder: state.versus}),
    ];
  }
  if (state.versusRange !== null) {
    const builder = state.builders.length === 1 ? state.builders[0] : null;
    return [
      side("first", "this range", first, {...narrowing, builder}),
      {...side("second", "compared with", second, {...versusNarrowing, builder}), dashed: true},
    ];
  }
  return lines.map(line => ({
    key: line.key, label: line.label, colour: line.colour, dashed: line.dash.length > 0, lines: [line],
    narrowing: {...narrowing, builder: line.builder, tags: {...narrowing.tags, ...line.tags}},
  }));
}

/** What the page of one series shows for a state of its address. */
export function useSeries(series: Series, state: SeriesState, theme: Theme, version: number) {
  const [attempt, setAttempt] = React.useState(0);
  const [focus, setFocus] = React.useState<string | null>(null);
  const {since: sinceText, until: untilText, tags, versus, versusRange} = state;
  const now = React.useMemo(() => Date.now() / 1000, [sinceText, untilText, version, attempt, series.name]);
  const range = React.useMemo(() => resolve(state, now), [sinceText, untilText, now]);
  const versusTimes = React.useMemo(
    () => versusRange && resolve(versusRange, now), [versusRange?.since, versusRange?.until, now]);
  const wrong = range.wrong ?? versusTimes?.wrong ?? null;
  const asked = versus === null ? state.builders : [...new Set([...state.builders, versus])];

  const step = version + attempt;
  const question = (text: {since: string | null; until: string | null}) =>
    wrong ? null : JSON.stringify([series.name, asked, text.since, text.until, tags]);
  const narrowing = {since: range.since, until: range.until, tags};
  const versusNarrowing = {since: versusTimes?.since, until: versusTimes?.until, tags};
  const total = series.kind === "text" ? 0 : series.count;
  const main = useAnswer(question(state), step,
    signal => loadLines(series.name, asked, narrowing, series.builders, total, signal), true);
  const newest = useAnswer(main.data && !main.data.complete ? question(state) : null, step,
    signal => loadPoints(series.name, asked, narrowing, NEWEST_POINTS, signal), true);
  const points = (main.data?.complete ? main.data.points : newest.data) ?? NO_POINTS;
  const other = useAnswer(versusRange ? question(versusRange) : null, step,
    signal => loadLines(series.name, asked, versusNarrowing, series.builders, total, signal), true);

  const first = main.data?.lines ?? NO_LINES;
  const second = (versusRange && other.data?.lines) || NO_LINES;
  const shift = versusRange ? shiftOf(versusTimes?.since ?? null, range.since, first, second) : 0;
  const lines = React.useMemo(() => [
    ...drawn(first, state, theme, 0, ""), ...drawn(second, state, theme, shift, "compared with: "),
  ], [first, second, theme, shift, state.band]);
  const drawing: Drawing = React.useMemo(() => ({
    lines, unit: series.unit, kind: series.kind, theme, fromZero: state.fromZero, since: range.since,
    until: range.until ?? (range.since === null ? null : now),
    focus: lines.some(line => line.key === focus) ? focus : null,
  }), [lines, series.unit, series.kind, theme, state.fromZero, range, focus]);

  const sides = sidesOf(state, lines, first, second, narrowing, versusNarrowing);
  const statistics = useAnswer(
    lines.length ? JSON.stringify([series.name, versus, sides.map(side => [side.key, side.narrowing.builder])]) : null,
    useCount(first, second),
    signal => Promise.all(sides.map(side => loadStatistics(series.name, side, signal))));
  const rows: Row[] = sides.map((side, index) => ({...side, statistics: statistics.data?.[index] ?? null}));

  return {
    now, wrong, lines, drawing, rows, focus: drawing.focus, setFocus,
    points,
    loading: main.loading || (versusRange !== null && other.loading),
    error: main.error ?? (versusRange ? other.error : null),
    statisticsError: statistics.error,
    complete: (main.data?.complete ?? true) && (!versusRange || (other.data?.complete ?? true)),
    compared: versus !== null || versusRange !== null,
    hidden: Math.max(0, first.length - MOST_LINES),
    tagChoices: choicesOf([points, (versusRange && other.data?.points) || NO_POINTS], state),
    retry: () => setAttempt(attempt + 1),
  };
}

const firstTime = (lines: readonly Line[]) =>
  Math.min(...lines.map(line => line.buckets[0]?.time ?? line.dots[0]?.time ?? Infinity));

/** How much later the second range is than the first: laid over each other, both begin at one place. */
function shiftOf(versusSince: number | null, since: number | null, first: readonly Line[], second: readonly Line[]) {
  const begin = since ?? firstTime(first);
  const versusBegin = versusSince ?? firstTime(second);
  return Number.isFinite(begin) && Number.isFinite(versusBegin) ? versusBegin - begin : 0;
}
