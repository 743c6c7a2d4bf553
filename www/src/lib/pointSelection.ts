/** Selection of a point of a chart by pointer and keyboard. */

import type uPlot from "uplot";
import type {ChartModel, DrawnLine} from "./chartModel";

/** The position of a point or bucket: index of its line, index within the line. */
export interface PointPosition {
  line: number;
  index: number;
}

export const pointCount = (line: DrawnLine) => line.xs.length;

/** The position of a point, as it is drawn; y is null where it has no place. */
export function valueAt(model: Pick<ChartModel, "factor">, line: DrawnLine, index: number): {x: number; y: number | null} {
  const y = line.ys[index] ?? null;
  return {x: line.xs[index]!, y: y === null ? null : y / model.factor};
}

/** The index of the first point of `line` that is not before `x`. */
function firstIndexFrom(line: DrawnLine, x: number): number {
  let [low, high] = [0, pointCount(line)];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (line.xs[middle]! < x) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

const SEARCH_RADIUS = 6;

/** The point nearest to a pixel of the plot, and its distance in pixels. */
export function nearestPoint(plot: uPlot, model: ChartModel, left: number, top: number) {
  const height = plot.over.clientHeight;
  const x = plot.posToVal(left, "x");
  const {min, max} = plot.scales.x!;
  let best: {position: PointPosition; distance: number} | null = null;
  model.lines.forEach((line, number) => {
    const middle = firstIndexFrom(line, x);
    for (let index = Math.max(0, middle - SEARCH_RADIUS); index < Math.min(pointCount(line), middle + SEARCH_RADIUS); index += 1) {
      const at = valueAt(model, line, index);
      if (at.y === null || at.x < min! || at.x > max!) {
        continue;
      }
      const distance = Math.hypot(plot.valToPos(at.x, "x") - left, Math.min(height, Math.max(0, plot.valToPos(at.y, "y"))) - top);
      if (!best || distance < best.distance) {
        best = {position: {line: number, index}, distance};
      }
    }
  });
  return best as {position: PointPosition; distance: number} | null;
}

/** The position after a key: along the line, or at the same time on another line. */
export function movePosition(lines: readonly DrawnLine[], from: PointPosition | null, key: string): PointPosition | null {
  const firstFilled = lines.findIndex(line => pointCount(line) > 0);
  if (firstFilled < 0) {
    return null;
  }
  const line = from && lines[from.line] ? lines[from.line]! : null;
  if (!from || !line || !pointCount(line)) {
    return {line: firstFilled, index: key === "Home" ? 0 : pointCount(lines[firstFilled]!) - 1};
  }
  const last = pointCount(line) - 1;
  switch (key) {
    case "Home": return {...from, index: 0};
    case "End": return {...from, index: last};
    case "ArrowLeft": return {...from, index: Math.max(0, Math.min(last, from.index - 1))};
    case "ArrowRight": return {...from, index: Math.min(last, from.index + 1)};
    default: {
      const step = key === "ArrowUp" ? lines.length - 1 : 1;
      let number = from.line;
      do {
        number = (number + step) % lines.length;
      } while (!pointCount(lines[number]!));
      const index = firstIndexFrom(lines[number]!, line.xs[Math.min(last, from.index)]!);
      return {line: number, index: Math.min(index, pointCount(lines[number]!) - 1)};
    }
  }
}
