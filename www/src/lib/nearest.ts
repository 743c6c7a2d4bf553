/** Which point of a chart is meant: by where the pointer is, or by the arrow keys. */

import type uPlot from "uplot";
import {placeOf, type DrawnLine} from "./plot";

/** A point of the chart: a dot of its line or, where the line has buckets, a bucket. */
export interface Spot {
  line: number;
  index: number;
}

export const countOf = (line: DrawnLine) => line.buckets.length || line.dots.length;

export function valueAt(line: DrawnLine, index: number): {x: number; y: number | null} {
  const bucket = line.buckets[index];
  if (bucket) {
    return {x: placeOf(line, bucket.time), y: bucket.average};
  }
  const dot = line.dots[index]!;
  return {x: placeOf(line, dot.x), y: dot.value};
}

/** The place of the first point of `line` that is not before `x`. */
function firstFrom(line: DrawnLine, x: number): number {
  let [low, high] = [0, countOf(line)];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (valueAt(line, middle).x < x) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

const AROUND = 6;

/** The point nearest to a place in the plot, and how many pixels away it is. */
export function nearestSpot(plot: uPlot, lines: readonly DrawnLine[], left: number, top: number) {
  const x = plot.posToVal(left, "x");
  const {min, max} = plot.scales.x!;
  let best: {spot: Spot; distance: number} | null = null;
  lines.forEach((line, number) => {
    const middle = firstFrom(line, x);
    for (let index = Math.max(0, middle - AROUND); index < Math.min(countOf(line), middle + AROUND); index += 1) {
      const at = valueAt(line, index);
      if (at.y === null || at.x < min! || at.x > max!) {
        continue;
      }
      const distance = Math.hypot(plot.valToPos(at.x, "x") - left, plot.valToPos(at.y, "y") - top);
      if (!best || distance < best.distance) {
        best = {spot: {line: number, index}, distance};
      }
    }
  });
  return best as {spot: Spot; distance: number} | null;
}

/** Where an arrow key leads: along the line, or to the point of another line that is nearest in time. */
export function stepSpot(lines: readonly DrawnLine[], from: Spot | null, key: string): Spot | null {
  const filled = lines.findIndex(line => countOf(line) > 0);
  if (filled < 0) {
    return null;
  }
  const line = from && lines[from.line] ? lines[from.line]! : null;
  if (!from || !line || !countOf(line)) {
    return {line: filled, index: key === "Home" ? 0 : countOf(lines[filled]!) - 1};
  }
  const last = countOf(line) - 1;
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
      } while (!countOf(lines[number]!));
      const index = firstFrom(lines[number]!, valueAt(line, Math.min(last, from.index)).x);
      return {line: number, index: Math.min(index, countOf(lines[number]!) - 1)};
    }
  }
}
