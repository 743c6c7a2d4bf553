/** Options and data of a chart for uPlot. */

import uPlot from "uplot";
import type {Theme} from "../hooks/useTheme";
import {axisTitle, increments, tickLabels} from "./axis";
import {alignColumns, type Columns, type Line} from "./lines";

const COLOURS: Record<Theme, readonly string[]> = {
  light: ["#1f6fb4", "#c2410c", "#15803d", "#9333ea", "#be185d", "#0e7490", "#a16207", "#475569"],
  dark: ["#6cb2f0", "#fb923c", "#4ade80", "#c084fc", "#f472b6", "#22d3ee", "#facc15", "#a8b5c8"],
};
const DASHES: readonly number[][] = [[], [7, 4], [2, 3]];
const AXIS_COLOURS: Record<Theme, {text: string; grid: string}> = {
  light: {text: "#4a5361", grid: "#e4e7ec"},
  dark: {text: "#a5afbe", grid: "#2c3644"},
};

/** A line with its style.  `shift` seconds are subtracted from its times to overlay it on another range. */
export interface StyledLine extends Line {
  label: string;
  colour: string;
  dash: number[];
  shift: number;
  band: {median: number; deviation: number} | null;
}

/** The style of line number `index`: eight colours, then the same ones dashed. */
export function lineStyle(index: number, theme: Theme): Pick<StyledLine, "colour" | "dash"> {
  const colours = COLOURS[theme];
  return {
    colour: colours[index % colours.length]!,
    dash: DASHES[Math.floor(index / colours.length) % DASHES.length]!,
  };
}

export interface ChartModel {
  lines: readonly StyledLine[];
  unit: string;
  kind: string;
  theme: Theme;
  fromZero: boolean;
  since: number | null;
  until: number | null;
  /** Key of the highlighted line. */
  focus: string | null;
}

export const shiftedTime = (line: StyledLine, time: number) => time - line.shift;

/** The data of the chart: one column for a line of points, three (average, minimum, maximum) for a line of buckets. */
export function plotColumns(lines: readonly StyledLine[]): [number[], ...Columns[]] {
  return alignColumns(lines.flatMap(line => line.buckets.length
    ? (["average", "minimum", "maximum"] as const).map(key =>
      line.buckets.map(bucket => ({x: shiftedTime(line, bucket.time), y: bucket[key]})))
    : [line.dots.map(dot => ({x: shiftedTime(line, dot.x), y: dot.value}))]));
}

const MAX_MARKED_POINTS = 150;

function seriesOf(line: StyledLine, dimmed: boolean): uPlot.Series[] {
  const stroke = dimmed ? `${line.colour}44` : line.colour;
  const base: uPlot.Series = {
    label: line.label, stroke, dash: line.dash, width: 1.75, spanGaps: true, points: {show: false},
  };
  if (!line.buckets.length) {
    const show = (plot: uPlot) => {
      const {min, max} = plot.scales.x!;
      return line.dots.filter(({x}) => shiftedTime(line, x) >= (min ?? 0) && shiftedTime(line, x) <= (max ?? 0)).length
        <= MAX_MARKED_POINTS;
    };
    return [{...base, points: {show, size: 5, fill: stroke, stroke}}];
  }
  return [base, {...base, width: 0}, {...base, width: 0}];
}

function bandsOf(lines: readonly StyledLine[]): uPlot.Band[] {
  const bands: uPlot.Band[] = [];
  let column = 1;
  for (const line of lines) {
    if (line.buckets.length) {
      bands.push({series: [column + 2, column + 1], fill: `${line.colour}33`});
    }
    column += line.buckets.length ? 3 : 1;
  }
  return bands;
}

/** With more lines, only the highlighted line has a band. */
const MAX_BANDS = 4;

/** Draw median ± deviation of each line: a band, and the median as a dashed line. */
function drawBands(plot: uPlot, model: ChartModel): void {
  const {ctx, bbox} = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  const isCrowded = model.lines.length > MAX_BANDS && model.focus === null;
  for (const line of model.lines) {
    if (!line.band || isCrowded || (model.focus !== null && model.focus !== line.key)) {
      continue;
    }
    const y = (value: number) => plot.valToPos(value, "y", true);
    const [top, bottom] = [y(line.band.median + line.band.deviation), y(line.band.median - line.band.deviation)];
    ctx.fillStyle = `${line.colour}1f`;
    ctx.fillRect(bbox.left, top, bbox.width, Math.max(1, bottom - top));
    ctx.strokeStyle = `${line.colour}b0`;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y(line.band.median));
    ctx.lineTo(bbox.left + bbox.width, y(line.band.median));
    ctx.stroke();
  }
  ctx.restore();
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

function valueAxisRange(model: ChartModel, low: number | null, high: number | null): uPlot.Range.MinMax {
  if (low === null || high === null) {
    return [0, 1];
  }
  const pad = (high - low || Math.abs(high) || 1) * 0.08;
  const bottom = model.fromZero || (low >= 0 && low - pad < 0) ? Math.min(0, low) : low - pad;
  return [bottom, model.fromZero ? Math.max(0, high + pad) : high + pad];
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

export function plotOptions(model: ChartModel, width: number, height: number, hooks: uPlot.Hooks.Arrays): uPlot.Options {
  const {lines, unit, kind, theme} = model;
  const axis: uPlot.Axis = {
    stroke: AXIS_COLOURS[theme].text, font: `12px ${FONT}`,
    grid: {stroke: AXIS_COLOURS[theme].grid, width: 1}, ticks: {stroke: AXIS_COLOURS[theme].grid, width: 1},
  };
  const name = axisTitle(unit, kind);
  return {
    width, height, legend: {show: false}, padding: [12, 12, 0, 4],
    cursor: {
      y: false, points: {show: false}, focus: {prox: -1},
      drag: {x: true, y: false, setScale: false, dist: 6},
    },
    scales: {
      x: {time: true, range: (plot, low, high) => timeAxisRange(model, plot.data[0], low, high)},
      y: {range: (_plot, low, high) => valueAxisRange(model, low, high)},
    },
    axes: [
      {...axis, space: 70, values: TIME_LABELS},
      {
        ...axis, incrs: (_plot, _axis, low, high) => increments(Math.max(Math.abs(low), Math.abs(high)), unit, kind), space: 36, size: axisSize,
        values: (_plot, ticks, _axis, _space, step) => tickLabels(ticks, step, unit, kind),
        ...(name ? {label: name, labelSize: 18, labelFont: `12px ${FONT}`} : {}),
      },
    ],
    series: [{}, ...lines.flatMap(line => seriesOf(line, model.focus !== null && model.focus !== line.key))],
    bands: bandsOf(lines),
    hooks: {...hooks, drawClear: [plot => drawBands(plot, model), ...(hooks.drawClear ?? [])]},
  };
}
