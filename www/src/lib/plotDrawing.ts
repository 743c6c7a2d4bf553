/** What a chart draws on its canvas besides uPlot's lines: bands, changes, outliers, and the spread of samples. */

import type uPlot from "uplot";
import {formatValue} from "./format";
import {changesOf, drawnValue, positionOf, type ChartModel, type DrawnLine} from "./chartModel";

/** With more lines, only the highlighted line has a band. */
const MAX_BANDS = 4;
/** Points with samples whose spread is drawn. */
const MAX_SPREADS = 150;
const OUTLIER_SIZE = 5;
const BUILD_SIZE = 7;

function clipped(plot: uPlot, draw: (context: CanvasRenderingContext2D) => void): void {
  const {ctx, bbox} = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  draw(ctx);
  ctx.restore();
}

const isShown = (model: ChartModel, line: DrawnLine) => model.focus === null || model.focus === line.key;

const LIMIT_COLOURS = {light: "#b3210f", dark: "#ff9384"};

/** The limits of the shown lines by where they are drawn. */
const limitsOf = (model: ChartModel): Map<number, number> => new Map(
  model.lines.filter(line => isShown(model, line)).flatMap(line => line.limits.flatMap((limit): [number, number][] => {
    const y = drawnValue(model, line, limit);
    return y === null ? [] : [[y, limit]];
  })));

/** A line at each limit, with its value. */
function drawLimits(plot: uPlot, context: CanvasRenderingContext2D, model: ChartModel): void {
  context.strokeStyle = context.fillStyle = LIMIT_COLOURS[model.theme];
  context.lineWidth = 1.5 * devicePixelRatio;
  context.setLineDash([8 * devicePixelRatio, 4 * devicePixelRatio]);
  context.font = `${11 * devicePixelRatio}px sans-serif`;
  context.textAlign = "left";
  context.textBaseline = "bottom";
  for (const [y, limit] of limitsOf(model)) {
    const top = plot.valToPos(y, "y", true);
    context.beginPath();
    context.moveTo(plot.bbox.left, top);
    context.lineTo(plot.bbox.left + plot.bbox.width, top);
    context.stroke();
    context.fillText(`limit ${formatValue(limit, model.unit, model.kind)}`, plot.bbox.left + 4 * devicePixelRatio, top - 2 * devicePixelRatio);
  }
}

/** Whether a chart has too many lines for bands. */
export const isCrowded = ({lines, focus}: ChartModel) => lines.length > MAX_BANDS && focus === null;

/** Limits, the band of what is usual at each level, and the level as a dashed line. */
export function drawBands(plot: uPlot, model: ChartModel): void {
  clipped(plot, context => drawLimits(plot, context, model));
  if (!model.band || isCrowded(model)) {
    return;
  }
  clipped(plot, context => model.lines.filter(line => isShown(model, line) && !line.shift)
    .forEach(line => drawLevels(plot, context, model, line)));
}

function drawLevels(plot: uPlot, context: CanvasRenderingContext2D, model: ChartModel, line: DrawnLine): void {
  const levels = line.analysis?.levels ?? [];
  levels.forEach((level, index) => {
    const [since, until] = [level.since, levels[index + 1]?.since ?? level.until].map(time => positionOf(model, line, time));
    const [low, high, median] = [level.low, level.high, level.median].map(value => drawnValue(model, line, value));
    if (since === null || since === undefined || until === null || until === undefined || median === null || median === undefined) {
      return;
    }
    const [left, right] = [plot.valToPos(since, "x", true), plot.valToPos(until, "x", true)];
    if (high !== null && high !== undefined) {
      const top = plot.valToPos(high, "y", true);
      const bottom = low === null || low === undefined ? plot.bbox.top + plot.bbox.height : plot.valToPos(low, "y", true);
      context.fillStyle = `${line.colour}1f`;
      context.fillRect(left, top, Math.max(1, right - left), Math.max(1, bottom - top));
    }
    context.strokeStyle = `${line.colour}b0`;
    context.lineWidth = devicePixelRatio;
    context.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    context.beginPath();
    context.moveTo(left, plot.valToPos(median, "y", true));
    context.lineTo(right, plot.valToPos(median, "y", true));
    context.stroke();
  });
}

/** Changes of level, outliers and spreads. */
export function drawMarks(plot: uPlot, model: ChartModel): void {
  clipped(plot, context => {
    for (const {line, x} of changesOf(model)) {
      const left = plot.valToPos(x, "x", true);
      context.strokeStyle = line.colour;
      context.lineWidth = devicePixelRatio;
      context.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
      context.beginPath();
      context.moveTo(left, plot.bbox.top);
      context.lineTo(left, plot.bbox.top + plot.bbox.height);
      context.stroke();
    }
    context.setLineDash([]);
    for (const line of model.lines) {
      if (isShown(model, line)) {
        drawSpreads(plot, context, model, line);
        drawOutliers(plot, context, model, line);
        drawBuild(plot, context, model, line);
      }
    }
  });
}

function drawSpreads(plot: uPlot, context: CanvasRenderingContext2D, model: ChartModel, line: DrawnLine): void {
  const {min, max} = plot.scales.x as {min: number; max: number};
  const spread = line.dots.flatMap((dot, index) => {
    const x = line.xs[index]!;
    return dot.spread && x >= min && x <= max ? [{dot, x}] : [];
  });
  if (spread.length > MAX_SPREADS) {
    return;
  }
  context.strokeStyle = line.colour;
  context.lineWidth = devicePixelRatio;
  for (const {dot, x} of spread) {
    const [low, high] = [dot.value - dot.spread!, dot.value + dot.spread!].map(value => drawnValue(model, line, value));
    if (low !== null && low !== undefined && high !== null && high !== undefined) {
      const left = plot.valToPos(x, "x", true);
      context.beginPath();
      context.moveTo(left, plot.valToPos(low, "y", true));
      context.lineTo(left, plot.valToPos(high, "y", true));
      context.stroke();
    }
  }
}

/** A ring around each point of the marked build. */
function drawBuild(plot: uPlot, context: CanvasRenderingContext2D, model: ChartModel, line: DrawnLine): void {
  if (model.build === null) {
    return;
  }
  const {min, max} = plot.scales.y as {min: number; max: number};
  context.strokeStyle = line.colour;
  context.lineWidth = 2 * devicePixelRatio;
  line.dots.forEach((dot, index) => {
    const y = line.ys[index] ?? null;
    if (dot.buildid === model.build && y !== null) {
      const top = plot.valToPos(Math.min(max, Math.max(min, y / model.factor)), "y", true);
      context.beginPath();
      context.arc(plot.valToPos(line.xs[index]!, "x", true), top, BUILD_SIZE * devicePixelRatio, 0, 2 * Math.PI);
      context.stroke();
    }
  });
}

/** A triangle at the edge of the plot for each value beyond it. */
function drawOutliers(plot: uPlot, context: CanvasRenderingContext2D, model: ChartModel, line: DrawnLine): void {
  const {min, max} = plot.scales.y as {min: number; max: number};
  const size = OUTLIER_SIZE * devicePixelRatio;
  context.fillStyle = line.colour;
  line.ys.forEach((value, index) => {
    const y = value === null ? null : value / model.factor;
    if (line.buckets.length || y === null || (y >= min && y <= max)) {
      return;
    }
    const left = plot.valToPos(line.xs[index]!, "x", true);
    const [tip, base] = y > max ? [plot.bbox.top + 1, plot.bbox.top + 1 + size * 1.6]
      : [plot.bbox.top + plot.bbox.height - 1, plot.bbox.top + plot.bbox.height - 1 - size * 1.6];
    context.beginPath();
    context.moveTo(left, tip);
    context.lineTo(left - size, base);
    context.lineTo(left + size, base);
    context.fill();
  });
}
