/** The model of a chart: styled lines at their positions on both axes. */

import type {Theme} from "../hooks/useTheme";
import type {LevelChange} from "./api";
import {isMuchLarger} from "./numbers";
import type {Dot, Line} from "./lines";
import {baselineOf, scaled, type ScaleName} from "./scale";
import {rollingMedian} from "./statistics";
import {valueRange, type ValueRange} from "./valueRange";

export type AxisName = "time" | "build" | "commit";

export const AXES: readonly [AxisName, string][] = [["time", "time"], ["build", "build"], ["commit", "commit"]];

/** A line with its style.  `shift` seconds are subtracted from its times to overlay it on another range. */
export interface StyledLine extends Line {
  label: string;
  colour: string;
  dash: number[];
  shift: number;
}

/** A line at its positions; `ys`, `smooth`, `lows` and `highs` are drawn values, see {@link ChartModel.factor}. */
export interface DrawnLine extends StyledLine {
  xs: number[];
  ys: (number | null)[];
  smooth: (number | null)[];
  lows: (number | null)[];
  highs: (number | null)[];
  /** The level that its values are percent of. */
  baseline: number | null;
  isSmoothed: boolean;
}

export interface ChartView {
  unit: string;
  kind: string;
  theme: Theme;
  axis: AxisName;
  scale: ScaleName;
  smooth: boolean;
  band: boolean;
  fromZero: boolean;
  since: number | null;
  until: number | null;
  /** Key of the highlighted line. */
  focus: string | null;
  /** The id of the build whose points are marked. */
  build: number | null;
}

export interface ChartModel extends ChartView {
  lines: readonly DrawnLine[];
  range: ValueRange | null;
  /** What scaled values are divided by to be drawn: 1, but for numbers that are too large for the chart library. */
  factor: number;
  /** The commits, by their positions on the axis. */
  commits: readonly string[];
  /** The times of their first measurements. */
  commitTimes: readonly number[];
}

/** Seconds by which the times of the points of one build may differ. */
const SAME_TIME = 1e-3;
/** Points that a line needs for its rolling median to be drawn, and the points of each median. */
const LEAST_SMOOTHED = 20;
export const SMOOTHED_POINTS = 9;

/** Builds of a line that the look-back analyses, the newest ones of the range. */
export const ANALYSED_BUILDS = 200;

/** Whether a line has points before those that its levels and changes are of. */
export function isPartlyAnalysed({analysis, buckets, dots}: StyledLine): boolean {
  const [level, first] = [analysis?.levels[0], buckets[0] ?? dots[0]];
  return level !== undefined && first !== undefined && first.time < level.since - SAME_TIME;
}

/** The commits of lines with the times of their first measurements, in this order. */
function orderedCommits(lines: readonly StyledLine[]): [string, number][] {
  const first = new Map<string, number>();
  for (const line of lines) {
    for (const {revision, time} of line.dots) {
      if (revision) {
        first.set(revision, Math.min(first.get(revision) ?? Infinity, time));
      }
    }
  }
  return [...first].sort((a, b) => a[1] - b[1]);
}

/** Increase positions that are not larger than the one before. */
function unique(positions: number[]): number[] {
  let last = -Infinity;
  return positions.map(position => {
    last = position > last ? position : last + 1e-3;
    return last;
  });
}

/** The number of points that have no place on the axis. */
export const unplacedPoints = (lines: readonly StyledLine[], axis: AxisName): number => axis === "time" ? 0
  : lines.flatMap(line => line.dots).filter(dot => axis === "build" ? dot.build === null : !dot.revision).length;

/** The dots of a line in the order of the axis, without those that have no place on it. */
function orderedDots(line: StyledLine, axis: AxisName, commits: ReadonlyMap<string, number>): {dots: Dot[]; xs: number[]} {
  if (axis === "time") {
    return {dots: line.dots, xs: unique(line.dots.map(dot => dot.time - line.shift))};
  }
  const place = (dot: Dot) => axis === "build" ? dot.build : commits.get(dot.revision ?? "") ?? null;
  const placed = line.dots.flatMap(dot => {
    const x = place(dot);
    return x === null ? [] : [{dot, x}];
  }).sort((a, b) => a.x - b.x || a.dot.time - b.dot.time);
  return {dots: placed.map(({dot}) => dot), xs: unique(placed.map(({x}) => x))};
}

function drawLine(line: StyledLine, view: ChartView, commits: ReadonlyMap<string, number>): DrawnLine {
  const baseline = view.scale === "percent" ? baselineOf(line) : null;
  const draw = (value: number | null) => scaled(value, view.scale, baseline);
  if (line.buckets.length) {
    const ys = line.buckets.map(bucket => draw(bucket.average));
    return {
      ...line, baseline, xs: line.buckets.map(bucket => bucket.time - line.shift), ys, smooth: ys, isSmoothed: false,
      lows: line.buckets.map(bucket => draw(bucket.minimum)), highs: line.buckets.map(bucket => draw(bucket.maximum)),
    };
  }
  const {dots, xs} = orderedDots(line, view.axis, commits);
  const ys = dots.map(dot => draw(dot.value));
  const isSmoothed = view.smooth && dots.length >= LEAST_SMOOTHED && ys.every(y => y !== null);
  return {
    ...line, baseline, dots, xs, ys, lows: [], highs: [], isSmoothed,
    smooth: isSmoothed ? rollingMedian(ys as number[], SMOOTHED_POINTS) : ys,
  };
}

const numbers = (values: readonly (number | null)[]) => values.filter((value): value is number => value !== null);

/** The range of the drawn values; outliers are judged by the rolling median also where it is not drawn. */
function rangeOf(lines: readonly DrawnLine[], view: ChartView): ValueRange | null {
  const range = valueRangeOf(lines, view);
  const limits = lines.flatMap(line => line.limits.map(limit => scaled(limit, view.scale, line.baseline)));
  return range && numbers(limits).reduce(withNear, range);
}

/** A range that contains a limit, unless that is farther away than the range is high. */
function withNear({low, high}: ValueRange, limit: number): ValueRange {
  const reach = high - low || Math.abs(high);
  return limit < low - reach || limit > high + reach ? {low, high} : {low: Math.min(low, limit), high: Math.max(high, limit)};
}

function valueRangeOf(lines: readonly DrawnLine[], view: ChartView): ValueRange | null {
  return valueRange(lines.map(line => {
    const values = numbers(line.ys);
    return {
      values, smooth: line.isSmoothed ? numbers(line.smooth) : rollingMedian(values, SMOOTHED_POINTS),
      required: view.band && line.buckets.length === 0 ? bandValues(line, view) : [],
    };
  }));
}

const bandValues = (line: DrawnLine, view: ChartView): number[] => line.shift || line.dots.length < 2 ? []
  : (line.analysis?.levels ?? []).flatMap(({low, high}) => numbers([low, high].map(value => scaled(value, view.scale, line.baseline))));

export function makeModel(lines: readonly StyledLine[], view: ChartView): ChartModel {
  const commits = view.axis === "commit" ? orderedCommits(lines) : [];
  const places = new Map(commits.map(([revision], index) => [revision, index]));
  const drawn = lines.map(line => drawLine(line, view, places));
  const range = rangeOf(drawn, view);
  const factor = range ? isMuchLarger(Math.max(Math.abs(range.low), Math.abs(range.high))) : 1;
  return {
    ...view, lines: drawn, range, factor, commits: commits.map(([revision]) => revision), commitTimes: commits.map(([, time]) => time),
  };
}

/** What a value of a line is drawn as. */
export const drawnValue = (model: ChartModel, line: DrawnLine, value: number | null) => {
  const y = scaled(value, model.scale, line.baseline);
  return y === null ? null : y / model.factor;
};

/** The position of a time on the axis, for a level or a change of a line; null if it has none. */
export function positionOf(model: ChartModel, line: DrawnLine, time: number): number | null {
  if (model.axis === "time") {
    return time - line.shift;
  }
  const index = line.dots.findIndex(dot => Math.abs(dot.time - time) < SAME_TIME);
  return index < 0 ? null : line.xs[index]!;
}

/**
 * The times from the first measurement of the first commit to that of the commit after the last one.
 *
 * A line whose builder is behind the others is shown up to the last commit; what later builds of the same commits have
 * measured is not, since on a branch without new commits they go on for months.
 */
function timesOfCommits({lines, commitTimes}: ChartModel, low: number, high: number): [number, number] | null {
  const [first, last] = [Math.max(0, Math.ceil(low)), Math.min(commitTimes.length - 1, Math.floor(high))];
  if (first > last) {
    return null;
  }
  const dots = lines.flatMap(line => line.dots.map((dot, index) => ({x: line.xs[index]!, time: dot.time})));
  const inside = dots.filter(({x}) => Number.isInteger(x) && x >= first && x <= last);
  const end = commitTimes[last + 1] ?? Math.max(...dots.map(({time}) => time)) + SAME_TIME;
  return [commitTimes[first]!, Math.max(end, ...inside.map(({time}) => time + SAME_TIME))];
}

/** The times of the points in a range of the axis. */
export function timesBetween(model: ChartModel, low: number, high: number): [number, number] | null {
  if (model.axis === "time") {
    return [low, high];
  }
  if (model.axis === "commit") {
    return timesOfCommits(model, low, high);
  }
  const times = model.lines.flatMap(line =>
    line.dots.filter((_, index) => line.xs[index]! >= low && line.xs[index]! <= high).map(dot => dot.time));
  return times.length ? [Math.min(...times), Math.max(...times) + 1e-3] : null;
}

export interface MarkedChange {
  line: DrawnLine;
  change: LevelChange;
  x: number;
}

/** The changes of level of all lines, or of the highlighted one. */
export function changesOf(model: ChartModel): MarkedChange[] {
  return model.lines
    .filter(line => !line.shift && (model.focus === null || line.key === model.focus))
    .flatMap(line => (line.analysis?.changes ?? []).flatMap(change => {
      const x = positionOf(model, line, change.at);
      return x === null ? [] : [{line, change, x}];
    }));
}
