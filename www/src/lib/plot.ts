/** A chart's options for uPlot, from lines that are ready to draw. */

import uPlot from "uplot";
import type {Theme} from "../hooks/useTheme";
import {axisName, increments, tickLabels} from "./axis";
import {aligned, type Columns, type Line} from "./lines";

const COLOURS: Record<Theme, readonly string[]> = {
  light: ["#1f6fb4", "#c2410c", "#15803d", "#9333ea", "#be185d", "#0e7490", "#a16207", "#475569"],
  dark: ["#6cb2f0", "#fb923c", "#4ade80", "#c084fc", "#f472b6", "#22d3ee", "#facc15", "#a8b5c8"],
};
const DASHES: readonly number[][] = [[], [7, 4], [2, 3]];
const FRAME: Record<Theme, {text: string; grid: string}> = {
  light: {text: "#4a5361", grid: "#e4e7ec"},
  dark: {text: "#a5afbe", grid: "#2c3644"},
};

/** A line with how it looks.  `shift` seconds are taken from its times to lay it over another range. */
export interface DrawnLine extends Line {
  label: string;
  colour: string;
  dash: number[];
  shift: number;
  band: {median: number; deviation: number} | null;
}

/** The look of line number `index`: eight colours, then the same ones dashed. */
export function lookOf(index: number, theme: Theme): Pick<DrawnLine, "colour" | "dash"> {
  const colours = COLOURS[theme];
  return {
    colour: colours[index % colours.length]!,
    dash: DASHES[Math.floor(index / colours.length) % DASHES.length]!,
  };
}

export interface Drawing {
  lines: readonly DrawnLine[];
  unit: string;
  kind: string;
  theme: Theme;
  fromZero: boolean;
  since: number | null;
  until: number | null;
  /** The line that stands out, if any does. */
  focus: string | null;
}

export const placeOf = (line: DrawnLine, time: number) => time - line.shift;

/** The columns of the chart: one a line of dots, three (average, minimum, maximum) a line of buckets. */
export function columnsOf(lines: readonly DrawnLine[]): [number[], ...Columns[]] {
  return aligned(lines.flatMap(line => line.buckets.length
    ? (["average", "minimum", "maximum"] as const).map(key =>
      line.buckets.map(bucket => ({x: placeOf(line, bucket.time), y: bucket[key]})))
    : [line.dots.map(dot => ({x: placeOf(line, dot.x), y: dot.value}))]));
}

const MOST_POINTS_SHOWN = 150;

function seriesOf(line: DrawnLine, dimmed: boolean): uPlot.Series[] {
  const stroke = dimmed ? `${line.colour}44` : line.colour;
  const base: uPlot.Series = {
    label: line.label, stroke, dash: line.dash, width: 1.75, spanGaps: true, points: {show: false},
  };
  if (!line.buckets.length) {
    const show = (plot: uPlot) => {
      const {min, max} = plot.scales.x!;
      return line.dots.filter(({x}) => placeOf(line, x) >= (min ?? 0) && placeOf(line, x) <= (max ?? 0)).length
        <= MOST_POINTS_SHOWN;
    };
    return [{...base, points: {show, size: 5, fill: stroke, stroke}}];
  }
  return [base, {...base, width: 0}, {...base, width: 0}];
}

function bandsOf(lines: readonly DrawnLine[]): uPlot.Band[] {
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

/** Where there are more lines, only the one that stands out has its band. */
const MOST_BANDS = 4;

/** Median and deviation under the lines: a stripe as high as the deviation to both sides, the median as a thin line. */
function drawBands(plot: uPlot, drawing: Drawing): void {
  const {ctx, bbox} = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  const isCrowded = drawing.lines.length > MOST_BANDS && drawing.focus === null;
  for (const line of drawing.lines) {
    if (!line.band || isCrowded || (drawing.focus !== null && drawing.focus !== line.key)) {
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

/** Seconds that are shown before and after a chart's only point. */
const AROUND_ONE = 12 * 3600;

/** What of the time axis is shown; for a single point uPlot's own `high` would be years later. */
export function timeRange(
  drawing: Pick<Drawing, "since" | "until">, times: ArrayLike<number>, low: number | null, high: number | null,
): uPlot.Range.MinMax {
  const first = drawing.since ?? low ?? 0;
  const last = drawing.until ?? (times.length === 1 ? low : high) ?? first + 1;
  const pad = times.length === 1 ? AROUND_ONE : Math.max(1, (last - first) * 0.015);
  return [drawing.since ?? first - pad, drawing.until ?? last + pad];
}

function valueRange(drawing: Drawing, low: number | null, high: number | null): uPlot.Range.MinMax {
  if (low === null || high === null) {
    return [0, 1];
  }
  const pad = (high - low || Math.abs(high) || 1) * 0.08;
  const bottom = drawing.fromZero || (low >= 0 && low - pad < 0) ? Math.min(0, low) : low - pad;
  return [bottom, drawing.fromZero ? Math.max(0, high + pad) : high + pad];
}

/** Wide enough for the longest label of the axis. */
function axisSize(plot: uPlot, labels: string[] | null): number {
  if (!labels?.length) {
    return 40;
  }
  plot.ctx.font = `${12 * devicePixelRatio}px ${FONT}`;
  return Math.ceil(Math.max(...labels.map(label => plot.ctx.measureText(label).width)) / devicePixelRatio) + 18;
}

const FONT = '"Helvetica Neue", Helvetica, Arial, sans-serif';

export function optionsOf(drawing: Drawing, width: number, height: number, hooks: uPlot.Hooks.Arrays): uPlot.Options {
  const {lines, unit, kind, theme} = drawing;
  const axis: uPlot.Axis = {
    stroke: FRAME[theme].text, font: `12px ${FONT}`,
    grid: {stroke: FRAME[theme].grid, width: 1}, ticks: {stroke: FRAME[theme].grid, width: 1},
  };
  const name = axisName(unit, kind);
  return {
    width, height, legend: {show: false}, padding: [12, 12, 0, 4],
    cursor: {
      y: false, points: {show: false}, focus: {prox: -1},
      drag: {x: true, y: false, setScale: false, dist: 6},
    },
    scales: {
      x: {time: true, range: (plot, low, high) => timeRange(drawing, plot.data[0], low, high)},
      y: {range: (_plot, low, high) => valueRange(drawing, low, high)},
    },
    axes: [
      {...axis, space: 70, values: TIME_LABELS},
      {
        ...axis, incrs: (_plot, _axis, low, high) => increments(Math.max(Math.abs(low), Math.abs(high)), unit, kind), space: 36, size: axisSize,
        values: (_plot, ticks, _axis, _space, step) => tickLabels(ticks, step, unit, kind),
        ...(name ? {label: name, labelSize: 18, labelFont: `12px ${FONT}`} : {}),
      },
    ],
    series: [{}, ...lines.flatMap(line => seriesOf(line, drawing.focus !== null && drawing.focus !== line.key))],
    bands: bandsOf(lines),
    hooks: {...hooks, drawClear: [plot => drawBands(plot, drawing), ...(hooks.drawClear ?? [])]},
  };
}
