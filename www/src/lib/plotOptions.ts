/** Options and data of a chart for uPlot; they read the model at every drawing, so that a chart is updated in place. */

import uPlot from "uplot";
import type {Theme} from "../hooks/useTheme";
import {axisTitle, niceTicks, tickLabels} from "./axis";
import type {ChartModel, DrawnLine, StyledLine} from "./chartModel";
import {digits, formatValue} from "./format";
import {alignColumns, type Columns} from "./lines";
import {drawBands, drawMarks} from "./plotDrawing";
import {logTicks} from "./scale";

const COLOURS: Record<Theme, readonly string[]> = {
  light: ["#1f6fb4", "#c2410c", "#15803d", "#9333ea", "#be185d", "#0e7490", "#a16207", "#475569"],
  dark: ["#6cb2f0", "#fb923c", "#4ade80", "#c084fc", "#f472b6", "#22d3ee", "#facc15", "#a8b5c8"],
};
const DASHES: readonly number[][] = [[], [7, 4], [2, 3]];
const AXIS_COLOURS: Record<Theme, {text: string; grid: string}> = {
  light: {text: "#4a5361", grid: "#e4e7ec"},
  dark: {text: "#a5afbe", grid: "#2c3644"},
};

/** The style of line number `index`: eight colours, then the same ones dashed. */
export function lineStyle(index: number, theme: Theme): Pick<StyledLine, "colour" | "dash"> {
  const colours = COLOURS[theme];
  return {
    colour: colours[index % colours.length]!,
    dash: DASHES[Math.floor(index / colours.length) % DASHES.length]!,
  };
}

/** The data of the chart: two columns of a line, rolling median and points, or three, average and bounds. */
export function plotColumns({lines, factor}: ChartModel): [number[], ...Columns[]] {
  const drawn = (ys: Columns) => factor === 1 ? ys : ys.map(y => y === null ? null : y / factor);
  return alignColumns(lines.map(({xs, buckets, smooth, ys, lows, highs}) =>
    ({xs, columns: (buckets.length ? [smooth, lows, highs] : [smooth, ys]).map(drawn)})));
}

/** A text that is equal for models which differ only in data: their chart is updated in place. */
export const structureOf = ({lines, theme, axis, scale, unit, kind}: ChartModel): string => JSON.stringify(
  [theme, axis, scale, unit, kind, lines.map(line => [line.key, line.shift, line.dash, line.colour, line.buckets.length > 0])]);

const FAINT = "66";
const DIMMED = "33";
/** Points of a line that are drawn as large dots, and those of a line that are circles. */
const LARGE_POINTS = 150;
const MAX_CIRCLES = 1_000;
/** The side of a square in CSS pixels. */
const SQUARE_SIZE = 3;

/** Points as squares, which thousands of take a browser a fraction of the time of circles. */
const squares: uPlot.Series.Points.PathBuilder = (plot, number, first, last) => {
  const fill = new Path2D();
  const side = Math.round(SQUARE_SIZE * devicePixelRatio);
  const {left, top, width, height} = plot.bbox;
  const [xs, ys] = [plot.data[0], plot.data[number]!];
  for (let index = first; index <= last; index += 1) {
    const y = ys[index];
    const [x0, y0] = y == null ? [-1, -1] : [plot.valToPos(xs[index]!, "x", true), plot.valToPos(y, "y", true)];
    if (x0 >= left && x0 <= left + width && y0 >= top && y0 <= top + height) {
      fill.rect(Math.round(x0 - side / 2), Math.round(y0 - side / 2), side, side);
    }
  }
  return {fill};
};

const noPath = () => null;

type Latest = () => ChartModel;

function seriesOf(line: DrawnLine, index: number, latest: Latest): uPlot.Series[] {
  const current = () => latest().lines[index];
  const isDimmed = () => latest().focus !== null && latest().focus !== line.key;
  const base: uPlot.Series = {
    label: line.label, dash: line.dash, width: 2, spanGaps: true, points: {show: false},
    stroke: () => isDimmed() ? `${line.colour}${DIMMED}` : line.colour,
  };
  if (line.buckets.length) {
    return [base, {...base, width: 0}, {...base, width: 0}];
  }
  const count = current()?.xs.length ?? 0;
  const points: uPlot.Series.Points = {
    show: true, size: count > LARGE_POINTS ? 3.5 : 6, width: 0, ...(count > MAX_CIRCLES ? {paths: squares} : {}),
    fill: () => `${line.colour}${isDimmed() ? DIMMED : current()?.isSmoothed ? FAINT : ""}`,
  };
  return [base, {...base, width: 0, paths: noPath, points}];
}

/** The shade between the bounds of each line that is drawn as averages. */
function bandsOf(lines: readonly DrawnLine[]): uPlot.Band[] {
  let last = 0;
  return lines.flatMap(line => {
    last += line.buckets.length ? 3 : 2;
    return line.buckets.length ? [{series: [last, last - 1], fill: `${line.colour}33`}] : [];
  });
}

const TIME_LABELS: uPlot.Axis.TimeValuesConfig = [
  [31536000, "{YYYY}", null, null, null, null, null, null, 1],
  [2419200, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [86400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [3600, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
  [60, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
  [0.001, "{ss}.{fff}", "\n{D} {MMM} {YYYY} {HH}:{mm}", null, "\n{D} {MMM} {HH}:{mm}", null, "\n{HH}:{mm}", null, 1],
];

/** Seconds of the time axis before and after a single point. */
const SINGLE_POINT_MARGIN = 12 * 3600;

/** The range of the time axis; for a single point uPlot's own `high` would be years later. */
export function timeAxisRange(
  model: Pick<ChartModel, "since" | "until">, times: ArrayLike<number>, low: number | null, high: number | null,
): uPlot.Range.MinMax {
  const first = model.since ?? low ?? 0;
  const last = model.until ?? (times.length === 1 ? low : high) ?? first + 1;
  const pad = times.length === 1 ? SINGLE_POINT_MARGIN : Math.max(1, (last - first) * 0.015);
  return [model.since ?? first - pad, model.until ?? last + pad];
}

function positionRange(low: number | null, high: number | null): uPlot.Range.MinMax {
  const [first, last] = [low ?? 0, high ?? 1];
  const pad = Math.max(0.5, (last - first) * 0.015);
  return [first - pad, last + pad];
}

/** The range of the value axis, in drawn values. */
export function valueAxisRange({range, factor, fromZero, scale}: ChartModel): uPlot.Range.MinMax {
  if (!range) {
    return [0, 1];
  }
  const [low, high] = [range.low / factor, range.high / factor];
  const pad = (high - low || Math.abs(high) || 1) * 0.08;
  const bottom = scale !== "log" && (fromZero || (low >= 0 && low - pad < 0)) ? Math.min(0, low) : low - pad;
  return [bottom, fromZero && scale !== "log" ? Math.max(0, high + pad) : high + pad];
}

const TICK_SPACE = 36;

/** The ticks of the value axis and their labels. */
export function valueTicks(model: ChartModel, low: number, high: number, height: number): {ticks: number[]; labels: string[]} {
  const count = Math.max(2, Math.floor(height / TICK_SPACE));
  const {factor, unit, kind, scale} = model;
  if (scale === "log") {
    const ticks = logTicks(low * factor, high * factor, count, unit);
    return {ticks: ticks.map(tick => tick / factor), labels: ticks.map(tick => formatValue(10 ** tick, unit, kind))};
  }
  const [shownUnit, shownKind] = scale === "percent" ? ["1", "ratio"] : [unit, kind];
  const ticks = niceTicks(low * factor, high * factor, count, shownUnit, shownKind);
  return {ticks: ticks.map(tick => tick / factor), labels: tickLabels(ticks, shownUnit, shownKind)};
}

/** The width of the value axis, from its longest label. */
function axisSize(plot: uPlot, labels: string[] | null): number {
  if (!labels?.length) {
    return 40;
  }
  plot.ctx.font = `${12 * devicePixelRatio}px ${FONT}`;
  return Math.ceil(Math.max(...labels.map(label => plot.ctx.measureText(label).width)) / devicePixelRatio) + 18;
}

const FONT = '"Helvetica Neue", Helvetica, Arial, sans-serif';

function positionAxis(axis: uPlot.Axis, latest: Latest): uPlot.Axis {
  const name = latest().axis;
  if (name === "time") {
    return {...axis, space: 70, values: TIME_LABELS};
  }
  const label = (position: number) => name === "build" ? digits(position) : latest().commits[position]?.slice(0, 8) ?? "";
  return {
    ...axis, space: 70, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 5e4, 1e5, 1e6],
    values: (_plot, splits) => splits.map(split => Number.isInteger(split) ? label(split) : ""),
    label: name === "build" ? "Build" : "Commit", labelSize: 18, labelFont: `12px ${FONT}`,
  };
}

function valueAxis(axis: uPlot.Axis, latest: Latest): uPlot.Axis {
  const {unit, kind, scale} = latest();
  const name = scale === "percent" ? "of baseline" : axisTitle(unit, kind);
  const ticks = (plot: uPlot) => {
    const {min, max} = plot.scales.y!;
    return valueTicks(latest(), min!, max!, plot.bbox.height / devicePixelRatio || 1);
  };
  return {
    // uPlot knows the decimals of few increments and leaves out an axis with others: this one always fits.
    ...axis, incrs: (_plot, _axis, low, high) => [Math.max(5, high - low)], space: 1, size: axisSize,
    splits: plot => ticks(plot).ticks, values: plot => ticks(plot).labels,
    ...(name ? {label: name, labelSize: 18, labelFont: `12px ${FONT}`} : {}),
  };
}

export function plotOptions(latest: Latest, width: number, height: number, hooks: uPlot.Hooks.Arrays): uPlot.Options {
  const {lines, theme, axis: axisName} = latest();
  const axis: uPlot.Axis = {
    stroke: AXIS_COLOURS[theme].text, font: `12px ${FONT}`,
    grid: {stroke: AXIS_COLOURS[theme].grid, width: 1}, ticks: {stroke: AXIS_COLOURS[theme].grid, width: 1},
  };
  return {
    width, height, legend: {show: false}, padding: [22, 12, 0, 4],
    cursor: {
      y: false, points: {show: false}, focus: {prox: -1},
      drag: {x: true, y: false, setScale: false, dist: 6},
    },
    scales: {
      x: {
        time: axisName === "time",
        range: (plot, low, high) => axisName === "time" ? timeAxisRange(latest(), plot.data[0], low, high) : positionRange(low, high),
      },
      y: {range: () => valueAxisRange(latest())},
    },
    axes: [positionAxis(axis, latest), valueAxis(axis, latest)],
    series: [{}, ...lines.flatMap((line, index) => seriesOf(line, index, latest))],
    bands: bandsOf(lines),
    hooks: {
      ...hooks, drawClear: [plot => drawBands(plot, latest()), ...(hooks.drawClear ?? [])],
      draw: [plot => drawMarks(plot, latest()), ...(hooks.draw ?? [])],
    },
  };
}
