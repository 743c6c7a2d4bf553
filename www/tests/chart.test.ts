import {describe, expect, test} from "vitest";
import {increments, tickLabels} from "../src/lib/axis";
import {stepSpot} from "../src/lib/nearest";
import {timeRange, type DrawnLine} from "../src/lib/plot";
import {Queue} from "../src/lib/queue";

describe("an axis", () => {
  test("labels its ticks in one unit, with as many decimals as tell them apart", () => {
    const mebibyte = 1024 ** 2;
    expect(tickLabels([1.4 * mebibyte, 1.45 * mebibyte], 0.05 * mebibyte, "bytes", "size")).toEqual(["1.40 MiB", "1.45 MiB"]);
    expect(tickLabels([0, 0.01, 0.02], 0.01, "s", "duration")).toEqual(["0 ms", "10 ms", "20 ms"]);
    expect(tickLabels([0.8, 0.85], 0.05, "1", "ratio")).toEqual(["80 %", "85 %"]);
    expect(tickLabels([0, 10000], 10000, "1", "count")).toEqual(["0", "10\u202f000"]);
  });

  test("steps by round numbers of the unit it is labelled in", () => {
    expect(increments(90 * 60, "s", "duration")).toContain(1800);
    expect(increments(5e6, "bytes", "size").some(step => Math.abs(step - 0.1 * 1024 ** 2) < 1)).toBe(true);
  });
});

describe("the time axis", () => {
  const open = {since: null, until: null};

  test("of one point is the day around it, not the years that uPlot gives it", () => {
    expect(timeRange(open, [1_800_000_000], 1_800_000_000, 1_886_400_000)).toEqual([1_799_956_800, 1_800_043_200]);
  });

  test("of several points holds them all, and a range that was chosen is kept", () => {
    expect(timeRange(open, [0, 1000], 0, 1000)).toEqual([-15, 1015]);
    expect(timeRange({since: 500, until: 900}, [700], 700, 86_400_700)).toEqual([500, 900]);
  });
});

describe("the arrow keys", () => {
  const line = (times: number[]) => ({
    dots: times.map(time => ({x: time, time, value: 1})), buckets: [], shift: 0,
  }) as unknown as DrawnLine;
  const lines = [line([1, 2, 3]), line([]), line([2.5, 9])];

  test("begin at the newest point", () => {
    expect(stepSpot(lines, null, "ArrowLeft")).toEqual({line: 0, index: 2});
  });

  test("go along a line and stop at its ends", () => {
    expect(stepSpot(lines, {line: 0, index: 1}, "ArrowRight")).toEqual({line: 0, index: 2});
    expect(stepSpot(lines, {line: 0, index: 2}, "ArrowRight")).toEqual({line: 0, index: 2});
    expect(stepSpot(lines, {line: 0, index: 2}, "Home")).toEqual({line: 0, index: 0});
  });

  test("lead to the next line that has points, at the same time", () => {
    expect(stepSpot(lines, {line: 0, index: 2}, "ArrowDown")).toEqual({line: 2, index: 1});
    expect(stepSpot(lines, {line: 2, index: 0}, "ArrowUp")).toEqual({line: 0, index: 2});
  });

  test("lead nowhere where there is nothing", () => {
    expect(stepSpot([line([])], null, "Home")).toBeNull();
  });
});

test("a queue runs as many jobs at once as it may, and all of them in the end", async () => {
  const queue = new Queue(2);
  let running = 0;
  let most = 0;
  const job = async (fails: boolean) => {
    running += 1;
    most = Math.max(most, running);
    await new Promise(done => setTimeout(done, 1));
    running -= 1;
    if (fails) {
      throw new Error("no");
    }
  };
  const ends = await Promise.allSettled([false, true, false, true, false, false].map(fails => queue.run(() => job(fails))));
  expect([most, ends.filter(end => end.status === "rejected").length]).toEqual([2, 2]);
});
