/** Statistics, by the definitions of `bbmeasure.statistics`. */

import type {Statistics} from "./api";

export const STATISTICS = ["count", "average", "deviation", "minimum", "maximum", "median", "p95"] as const;

/** An overflow is null, as in the API. */
const finite = (value: number) => Number.isFinite(value) ? value : null;

export function average(values: readonly number[]): number | null {
  return values.length ? finite(values.reduce((sum, value) => sum + value, 0) / values.length) : null;
}

/** The sample standard deviation (n − 1), in two passes; null for fewer than two values. */
export function deviation(values: readonly number[]): number | null {
  const mean = average(values);
  if (mean === null || values.length < 2) {
    return null;
  }
  return finite(Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)));
}

/** The values in ascending order; a typed array sorts much faster than a list. */
const sorted = (values: readonly number[]) => new Float64Array(values).sort();

/** The median of sorted values. */
export function median(ordered: ArrayLike<number>): number | null {
  const half = ordered.length >> 1;
  if (!ordered.length) {
    return null;
  }
  return ordered.length % 2 ? ordered[half]! : (ordered[half - 1]! + ordered[half]!) / 2;
}

/** The median of values in any order. */
export const medianOf = (values: readonly number[]) => median(sorted(values));

/** The item at floor(n·p/100 + .5) of sorted values; null if that is 0. */
export function percentile(ordered: ArrayLike<number>, p: number): number | null {
  const rank = Math.min(ordered.length, Math.floor(ordered.length * p / 100 + 0.5));
  return rank ? ordered[rank - 1]! : null;
}

/** The statistics of the table. */
export function summarize(values: readonly number[]): Statistics {
  const ordered = sorted(values);
  return {
    count: values.length,
    average: average(values),
    deviation: deviation(values),
    minimum: ordered[0] ?? null,
    maximum: ordered[ordered.length - 1] ?? null,
    median: median(ordered),
    p95: percentile(ordered, 95),
  };
}

/** The change from `before` to `after` as a fraction of `before`; null if either is not a number or `before` is 0. */
export function changeOf(before: number | string | null | undefined, after: number | string | null | undefined) {
  if (typeof before !== "number" || typeof after !== "number" || before === 0) {
    return null;
  }
  return (after - before) / Math.abs(before);
}

/** Replace one value of a sorted list. */
function replaceSorted(ordered: number[], old: number, value: number): void {
  let place = ordered.indexOf(old);
  for (; place > 0 && ordered[place - 1]! > value; place -= 1) {
    ordered[place] = ordered[place - 1]!;
  }
  for (; place < ordered.length - 1 && ordered[place + 1]! < value; place += 1) {
    ordered[place] = ordered[place + 1]!;
  }
  ordered[place] = value;
}

/** The median of each value and its neighbours, `width` values in all, an odd number; fewer at both ends. */
export function rollingMedian(values: readonly number[], width: number): number[] {
  const half = width >> 1;
  const ordered = [...sorted(values.slice(0, width))];
  return values.map((_, index) => {
    const reach = Math.min(half, index, values.length - 1 - index);
    if (reach < half) {
      return medianOf(values.slice(index - reach, index + reach + 1))!;
    }
    if (index > half) {
      replaceSorted(ordered, values[index - half - 1]!, values[index + half]!);
    }
    return ordered[half]!;
  });
}
