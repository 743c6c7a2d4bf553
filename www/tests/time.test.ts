import {describe, expect, test} from "vitest";
import {resolveRange} from "../src/lib/urlState";
import {urlTime, formatAgo, parseTime} from "../src/lib/time";

const NOW = 1_800_000_000;

describe("parseTime", () => {
  test.each([
    ["7d", NOW - 7 * 86400], ["90s", NOW - 90], ["15m", NOW - 900], ["1.5h", NOW - 5400], ["2w", NOW - 14 * 86400],
    ["1y", NOW - 365 * 86400], ["1700000000", 1_700_000_000], ["1700000000.25", 1_700_000_000.25], ["2026", 2026],
    ["2026-11-24", 1_795_478_400], ["2026-11-24T12:00", 1_795_521_600], ["2026-11-24T12:00:00Z", 1_795_521_600],
    ["2026-11-24T12:00:00+02:00", 1_795_514_400],
  ])("reads %s", (text, time) => {
    expect(parseTime(text, NOW)).toBe(time);
  });

  test.each(["", "soon", "7 days", "d7", "2026-13-45", "7D", "١d"])("refuses %s", text => {
    expect(parseTime(text, NOW)).toBeNull();
  });
});

describe("a range", () => {
  test("without bounds is open", () => {
    expect(resolveRange({since: null, until: null}, NOW)).toEqual({since: null, until: null, error: null});
  });

  test("with an invalid bound is an error that names it", () => {
    expect(resolveRange({since: "7d", until: "soon"}, NOW).error).toContain("soon");
  });

  test("that ends before it begins is an error", () => {
    expect(resolveRange({since: "1d", until: "2d"}, NOW).error).toContain("ends before");
  });
});

test("urlTime rounds to milliseconds", () => {
  expect(urlTime(1_700_000_000.123456)).toBe("1700000000.123");
});

test.each([
  [10, "just now"], [60, "1 minute ago"], [3 * 3600, "3 hours ago"], [86400, "1 day ago"], [10 * 86400, "10 days ago"],
  [70 * 86400, "2 months ago"], [800 * 86400, "2 years ago"], [-7200, "in 2 hours"],
])("formatAgo writes %d seconds as %s", (elapsed, text) => {
  expect(formatAgo(NOW - elapsed, NOW)).toBe(text);
});
