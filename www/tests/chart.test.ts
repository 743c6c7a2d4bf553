import {describe, expect, test} from "vitest";
import {increments, tickLabels} from "../src/lib/axis";
import {movePosition} from "../src/lib/pointSelection";
import {timeAxisRange, type StyledLine} from "../src/lib/plotOptions";
import {ConcurrencyLimiter} from "../src/lib/concurrencyLimiter";

describe("an axis", () => {
  test("labels its ticks in one unit, with as many decimals as needed to differ", () => {
    const mebibyte = 1024 ** 2;
    expect(tickLabels([1.4 * mebibyte, 1.45 * mebibyte], 0.05 * mebibyte, "bytes", "size")).toEqual(["1.40 MiB", "1.45 MiB"]);
    expect(tickLabels([0, 0.01, 0.02], 0.01, "s", "duration")).toEqual(["0 ms", "10 ms", "20 ms"]);
    expect(tickLabels([0.8, 0.85], 0.05, "1", "ratio")).toEqual(["80 %", "85 %"]);
    expect(tickLabels([0, 10000], 10000, "1", "count")).toEqual(["0", "10\u202f000"]);
  });

  test("has round increments in the unit of its labels", () => {
    expect(increments(90 * 60, "s", "duration")).toContain(1800);
    expect(increments(5e6, "bytes", "size").some(step => Math.abs(step - 0.1 * 1024 ** 2) < 1)).toBe(true);
  });
});

describe("the time axis", () => {
  const open = {since: null, until: null};

  test("of one point is the day around it", () => {
    expect(timeAxisRange(open, [1_800_000_000], 1_800_000_000, 1_886_400_000)).toEqual([1_799_956_800, 1_800_043_200]);
  });

  test("of several points contains all of them, and keeps a selected range", () => {
    expect(timeAxisRange(open, [0, 1000], 0, 1000)).toEqual([-15, 1015]);
    expect(timeAxisRange({since: 500, until: 900}, [700], 700, 86_400_700)).toEqual([500, 900]);
  });
});

describe("movePosition", () => {
  const line = (times: number[]) => ({
    dots: times.map(time => ({x: time, time, value: 1})), buckets: [], shift: 0,
  }) as unknown as StyledLine;
  const lines = [line([1, 2, 3]), line([]), line([2.5, 9])];

  test("starts at the newest point", () => {
    expect(movePosition(lines, null, "ArrowLeft")).toEqual({line: 0, index: 2});
  });

  test("moves along a line and stops at its ends", () => {
    expect(movePosition(lines, {line: 0, index: 1}, "ArrowRight")).toEqual({line: 0, index: 2});
    expect(movePosition(lines, {line: 0, index: 2}, "ArrowRight")).toEqual({line: 0, index: 2});
    expect(movePosition(lines, {line: 0, index: 2}, "Home")).toEqual({line: 0, index: 0});
  });

  test("moves to the next line that has points, at the same time", () => {
    expect(movePosition(lines, {line: 0, index: 2}, "ArrowDown")).toEqual({line: 2, index: 1});
    expect(movePosition(lines, {line: 2, index: 0}, "ArrowUp")).toEqual({line: 0, index: 2});
  });

  test("is null without points", () => {
    expect(movePosition([line([])], null, "Home")).toBeNull();
  });
});

test("ConcurrencyLimiter runs all jobs, no more than its limit concurrently", async () => {
  const limiter = new ConcurrencyLimiter(2);
  let running = 0;
  let maximum = 0;
  const job = async (fails: boolean) => {
    running += 1;
    maximum = Math.max(maximum, running);
    await new Promise(done => setTimeout(done, 1));
    running -= 1;
    if (fails) {
      throw new Error("no");
    }
  };
  const ends = await Promise.allSettled([false, true, false, true, false, false].map(fails => limiter.run(() => job(fails))));
  expect([maximum, ends.filter(end => end.status === "rejected").length]).toEqual([2, 2]);
});
