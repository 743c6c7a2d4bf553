/** Scales of the value axis: absolute, percent of a baseline, logarithmic.  The chart draws scaled values. */

import type {Line} from "./lines";
import {medianOf} from "./statistics";

export type ScaleName = "absolute" | "percent" | "log";

export const SCALES: readonly [ScaleName, string][] = [
  ["absolute", "absolute"], ["percent", "percent of baseline"], ["log", "logarithmic"],
];

/** The level that a line's values are percent of: its oldest level, else the median of its first values. */
export function baselineOf(line: Pick<Line, "analysis" | "dots" | "buckets">): number | null {
  const level = line.analysis?.levels[0]?.median;
  if (level !== undefined) {
    return level || null;
  }
  const values = line.dots.length ? line.dots.map(dot => dot.value)
    : line.buckets.flatMap(bucket => bucket.average ?? []);
  return medianOf(values.slice(0, 20)) || null;
}

/** What a value of a line is drawn as; null where the scale has no place for it. */
export function scaled(value: number | null, scale: ScaleName, baseline: number | null): number | null {
  if (value === null || scale === "absolute") {
    return value;
  }
  if (scale === "log") {
    return value > 0 ? Math.log10(value) : null;
  }
  return baseline === null ? null : value / Math.abs(baseline);
}

/** Powers of ten from -18 to 18 times 1, 2 and 5. */
const DECIMAL = Array.from({length: 37}, (_, index) => index - 18)
  .flatMap(power => [1, 2, 5].map(digit => Number(`${digit}e${power}`)));
const BINARY = Array.from({length: 7}, (_, index) => 1024 ** index)
  .flatMap(unit => [1, 2, 5, 10, 20, 50, 100, 200, 500].map(digit => digit * unit));
const SECONDS = [
  ...DECIMAL.filter(value => value <= 20), ...[1, 2, 5, 10, 30].map(value => value * 60), ...[1, 2, 5, 10].map(value => value * 3600),
  ...DECIMAL.filter(value => value >= 1).map(value => value * 86400),
];

/** The ticks of the logarithmic axis, as exponents of ten, at values that are round in their unit. */
export function logTicks(low: number, high: number, count: number, unit: string): number[] {
  const round = unit === "s" ? SECONDS : unit.startsWith("bytes") ? BINARY : DECIMAL;
  const inside = round.map(Math.log10).filter(tick => tick >= low - 1e-9 && tick <= high + 1e-9);
  const stride = inside.length > count ? 3 * Math.ceil(inside.length / count / 3) : 1;
  const ticks = inside.filter((_, index) => index % stride === 0);
  return ticks.length > 1 ? ticks : [low, (low + high) / 2, high];
}
