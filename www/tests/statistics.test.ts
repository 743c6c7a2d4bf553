import {describe, expect, test} from "vitest";
import {changeOf, deviation, median, medianOf, percentile, rollingMedian, summarize} from "../src/lib/statistics";

describe("statistics", () => {
  test("of no values are null, except the count", () => {
    expect(summarize([])).toEqual(
      {count: 0, average: null, deviation: null, minimum: null, maximum: null, median: null, p95: null});
  });

  test("of one value have no deviation", () => {
    expect(summarize([3])).toEqual({count: 1, average: 3, deviation: null, minimum: 3, maximum: 3, median: 3, p95: 3});
  });

  test("are null after an overflow", () => {
    expect(summarize([1.5e300, 3e300]).deviation).toBeNull();
  });

  test("use the sample deviation, without cancellation for large values with a small noise", () => {
    expect(deviation([2, 4, 4, 4, 5, 5, 7, 9])).toBeCloseTo(2.13809, 5);
    expect(deviation([1e9 + 1, 1e9 + 2, 1e9 + 3])).toBeCloseTo(1, 9);
  });

  test("use the mean of the two middle values as median", () => {
    expect(median([1, 2, 3, 10])).toBe(2.5);
  });

  test("use the item at floor(n·p/100 + .5) as percentile, null if that is 0", () => {
    const hundred = Array.from({length: 100}, (_, index) => index + 1);
    expect([percentile(hundred, 95), percentile([1, 2, 3], 50), percentile([1, 2, 3], 0)]).toEqual([95, 2, null]);
  });

  test("do not depend on the order of the values", () => {
    expect(summarize([3, 1, 2])).toEqual(summarize([1, 2, 3]));
  });
});

describe("a rolling median", () => {
  test("is the median of each value and its neighbours, fewer at both ends", () => {
    const values = Array.from({length: 60}, (_, index) => index * 37 % 11 - 5);
    const expected = values.map((_, index) => {
      const reach = Math.min(4, index, values.length - 1 - index);
      return medianOf(values.slice(index - reach, index + reach + 1));
    });
    expect(rollingMedian(values, 9)).toEqual(expected);
  });

  test("of fewer values than it is wide has those of both ends", () => {
    expect(rollingMedian([5, 1, 3], 9)).toEqual([5, 3, 3]);
    expect(rollingMedian([7, 7], 9)).toEqual([7, 7]);
    expect(rollingMedian([], 9)).toEqual([]);
  });
});

describe("a change", () => {
  test("is a fraction of the previous value, null if that is 0 or a text", () => {
    expect([changeOf(100, 108), changeOf(0, 5), changeOf("a", 5), changeOf(null, 5)]).toEqual([0.08, null, null, null]);
  });

  test("from a negative value upwards is positive", () => {
    expect(changeOf(-10, -8)).toBeCloseTo(0.2, 12);
  });
});
