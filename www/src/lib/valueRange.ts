/** The range of the value axis: a few outliers do not rule it, they are marked at its edge. */

import {medianOf} from "./statistics";

export interface ValueRange {
  low: number;
  high: number;
}

/** Spreads around the smoothed line that are inside of the axis. */
const REACH = 6;
/** A range that is at most so much smaller than that of all values is not worth hiding a point. */
const WORTHWHILE = 1.6;
/** Lines with fewer points have no outliers. */
const LEAST_POINTS = 12;

export interface DrawnLine {
  /** The drawn values, and the smoothed line through them. */
  values: readonly number[];
  smooth: readonly number[];
  /** Values that must be inside: bands, limits. */
  required: readonly number[];
}

/** The range of the values of several lists; null without values. */
function rangeOf(lists: readonly (readonly number[])[]): ValueRange | null {
  let [low, high] = [Infinity, -Infinity];
  for (const values of lists) {
    for (const value of values) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return low <= high ? {low, high} : null;
}

/** The values of a line that rule the axis: its smoothed course, and what is near to it. */
function inside({values, smooth, required}: DrawnLine): (readonly number[])[] {
  if (values.length < LEAST_POINTS) {
    return [values, required];
  }
  const distances = values.map((value, index) => Math.abs(value - smooth[index]!));
  const spread = 1.4826 * medianOf(distances)!;
  return [values.filter((_, index) => distances[index]! <= REACH * spread), smooth, required];
}

/** The range of the axis for lines; null without values. */
export function valueRange(lines: readonly DrawnLine[]): ValueRange | null {
  const whole = rangeOf(lines.flatMap(line => [line.values, line.required]));
  const robust = rangeOf(lines.flatMap(inside));
  if (!whole || !robust) {
    return whole;
  }
  const size = robust.high - robust.low;
  return size > 0 && whole.high - whole.low <= WORTHWHILE * size || size === 0 && lines.every(line => line.values.length < LEAST_POINTS)
    ? whole : robust;
}
