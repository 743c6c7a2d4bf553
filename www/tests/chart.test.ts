import {describe, expect, test} from "vitest";
import {tickLabels, niceTicks} from "../src/lib/axis";
import {isPartlyAnalysed, makeModel, timesBetween, unplacedPoints, type DrawnLine} from "../src/lib/chartModel";
import {movePosition} from "../src/lib/pointSelection";
import {plotColumns, structureOf, timeAxisRange, valueAxisRange, valueTicks} from "../src/lib/plotOptions";
import {ConcurrencyLimiter} from "../src/lib/concurrencyLimiter";
import {point, START, styled, view} from "./examples";

describe("an axis", () => {
  test("labels its ticks in one unit, with as many decimals as needed to differ", () => {
    const mebibyte = 1024 ** 2;
    expect(tickLabels([1.4 * mebibyte, 1.45 * mebibyte], "bytes", "size")).toEqual(["1.40 MiB", "1.45 MiB"]);
    expect(tickLabels([0, 0.01, 0.02], "s", "duration")).toEqual(["0 ms", "10 ms", "20 ms"]);
    expect(tickLabels([0.8, 0.85], "1", "ratio")).toEqual(["80 %", "85 %"]);
    expect(tickLabels([0, 10000], "1", "count")).toEqual(["0", "10\u202f000"]);
    expect(tickLabels([1.2e-12, 1.3e-12], "1", "number")).toEqual(["1.2e-12", "1.3e-12"]);
    expect(tickLabels([1e18, 2e18], "1", "number")).toEqual(["1e+18", "2e+18"]);
  });

  test("has round ticks in the unit of its labels", () => {
    expect(niceTicks(0, 90 * 60, 4, "s", "duration")).toEqual([0, 1800, 3600, 5400]);
    expect(niceTicks(0.1, 0.32, 5, "1", "number")).toEqual([0.1, 0.15, 0.2, 0.25, 0.3]);
    expect(niceTicks(5, 5, 4, "1", "number")).toEqual([5]);
  });

  const units: [string, string][] = [["1", "number"], ["s", "duration"], ["bytes", "size"], ["1", "ratio"], ["bytes/s", "number"]];
  test.each(units)("has distinct labels at every scale, in %s of kind %s", (unit, kind) => {
    for (let power = -12; power <= 18; power += 1) {
      for (const [low, high] of [[0, 1], [1, 1.07], [-3, 9], [9.99, 10]]) {
        const ticks = niceTicks(low! * 10 ** power, high! * 10 ** power, 6, unit, kind);
        const labels = tickLabels(ticks, unit, kind);
        expect(ticks.length, `${low} to ${high} times 1e${power}`).toBeGreaterThan(1);
        expect(new Set(labels).size, labels.join(", ")).toBe(labels.length);
        expect(Math.max(...labels.map(label => label.length)), labels.join(", ")).toBeLessThan(22);
      }
    }
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

/** Values around a level, with some noise that is the same in each test. */
const noisy = (count: number, level: number) =>
  Array.from({length: count}, (_, index) => point(index, level * (1 + 0.01 * Math.sin(index * 7))));

describe("the value axis", () => {
  test("is not ruled by an outlier", () => {
    const points = [...noisy(60, 100), point(60, 10_000), ...noisy(20, 100).map(each => ({...each, time: each.time + 61}))];
    const [low, high] = valueAxisRange(makeModel([styled(points)], view()));
    expect(low).toBeGreaterThan(90);
    expect(high).toBeLessThan(110);
  });

  test("contains a level that only the newest values have", () => {
    const points = [...noisy(100, 100), ...noisy(8, 200).map(each => ({...each, time: each.time + 100}))];
    expect(valueAxisRange(makeModel([styled(points)], view()))[1]).toBeGreaterThan(200);
  });

  test("contains every point of a short line", () => {
    const points = [point(0, 1), point(1, 1000), point(2, 1)];
    expect(valueAxisRange(makeModel([styled(points)], view()))[1]).toBeGreaterThan(1000);
  });

  test("is in percent of each line's baseline, or logarithmic", () => {
    const lines = [styled(noisy(30, 100)), styled(noisy(30, 5000).map(each => ({...each, builder: "windows"})))];
    const percent = makeModel(lines, view({scale: "percent"}));
    expect(percent.range!.low).toBeGreaterThan(0.98);
    expect(percent.range!.high).toBeLessThan(1.02);
    expect(valueTicks(percent, 0.9, 1.1, 150).labels).toContain("100 %");
    const log = makeModel([styled([point(0, 1), point(1, 1000), point(2, 0)])], view({scale: "log"}));
    expect(log.lines[0]!.ys).toEqual([0, 3, null]);
    expect(valueTicks(log, 0, 3, 150).labels).toEqual(["1", "10", "100", "1\u202f000"]);
    const bytes = makeModel([styled([point(0, 1024), point(1, 1024 ** 2)])], view({scale: "log", unit: "bytes", kind: "size"}));
    expect(valueTicks(bytes, 3.01, 6.03, 150).labels).toEqual(["1 KiB", "10 KiB", "100 KiB", "1 MiB"]);
  });
});

describe("the model", () => {
  test("draws a rolling median of many points, and the points of a few", () => {
    const many = makeModel([styled(noisy(40, 100))], view());
    expect(many.lines[0]!.isSmoothed).toBe(true);
    expect(many.lines[0]!.smooth).not.toEqual(many.lines[0]!.ys);
    expect(makeModel([styled(noisy(40, 100))], view({smooth: false})).lines[0]!.isSmoothed).toBe(false);
    expect(makeModel([styled(noisy(10, 100))], view()).lines[0]!.isSmoothed).toBe(false);
  });

  test("has the points of every line in the columns of the chart", () => {
    const lines = [styled([point(0, 1), point(2, 3)]), styled([point(1, 5, {builder: "b"})])];
    const [xs, , first, , second] = plotColumns(makeModel(lines, view()));
    expect(xs).toEqual([START, START + 1, START + 2]);
    expect(first).toEqual([1, null, 3]);
    expect(second).toEqual([null, 5, null]);
  });

  test("has a place of its own for each of several points of the same time", () => {
    const [line] = makeModel([styled([point(0, 1), point(0, 2), point(0, 3), point(9, 4)])], view()).lines;
    expect(line!.xs.map(x => Number((x - START).toFixed(3)))).toEqual([0, 0.001, 0.002, 9]);
    expect(line!.dots.map(dot => dot.time - START)).toEqual([0, 0, 0, 9]);
  });

  test("places points by build and by commit", () => {
    const points = [point(5, 1, {build: 7, revision: "b"}), point(3, 2, {build: 9, revision: "a"}), point(6, 3, {build: 9, revision: "b"})];
    const byBuild = makeModel([styled(points)], view({axis: "build"}));
    expect(byBuild.lines[0]!.xs).toEqual([7, 9, 9.001]);
    expect(byBuild.lines[0]!.ys).toEqual([1, 2, 3]);
    const byCommit = makeModel([styled(points)], view({axis: "commit"}));
    expect(byCommit.commits).toEqual(["a", "b"]);
    expect(byCommit.lines[0]!.xs).toEqual([0, 1, 1.001]);
    expect(timesBetween(byBuild, 8, 10)).toEqual([START + 3, START + 6.001]);
  });

  test("has the commits of all branches in the order of their first measurements", () => {
    const main = styled([0, 10, 20, 30].map(time => point(time, time, {revision: `m${time}`})));
    const branch = {branch: "release"};
    const release = styled([5, 15, 25, 35].map((time, index) => point(time, 9, {...branch, revision: index ? "r" : "m0"})));
    const model = makeModel([main, release], view({axis: "commit"}));
    expect(model.commits).toEqual(["m0", "m10", "r", "m20", "m30"]);
    expect(model.lines.map(line => line.xs)).toEqual([[0, 1, 3, 4], [0, 2, 2.001, 2.002]]);
    expect(timesBetween(model, 1.5, 3.2)).toEqual([START + 15, START + 30]);  // not up to the last build of r
    expect(timesBetween(model, 2.2, 2.8)).toBeNull();
    expect(timesBetween(model, -0.5, 4.5)).toEqual([START, START + 35.001]);
  });

  test("has the last commit of a builder that is behind the others", () => {
    const fast = styled([0, 10, 20].map(time => point(time, 1, {revision: `c${time}`})));
    const slow = styled([2, 18].map((time, index) => point(time, 1, {builder: "slow", revision: `c${10 * index}`})));
    expect(timesBetween(makeModel([fast, slow], view({axis: "commit"})), 0, 1)).toEqual([START, START + 20]);
    const late = styled([2, 28].map((time, index) => point(time, 1, {builder: "slow", revision: `c${10 * index}`})));
    expect(timesBetween(makeModel([fast, late], view({axis: "commit"})), 0, 1)).toEqual([START, START + 28.001]);
  });

  test("counts the points without a build or a commit", () => {
    const lines = [styled([point(0, 1, {revision: "a"}), point(1, 1), point(2, 1, {build: null})])];
    expect((["time", "build", "commit"] as const).map(axis => unplacedPoints(lines, axis))).toEqual([0, 1, 2]);
  });

  test("knows whether a line has points before its levels", () => {
    const analysis = {median: 1, low: 1, high: 1, changes: [], levels: [{since: START + 1, until: START + 2, median: 1, low: 1, high: 1}]};
    expect(isPartlyAnalysed(styled([point(0, 1), point(1, 1)], {analysis}))).toBe(true);
    expect(isPartlyAnalysed(styled([point(1, 1), point(2, 1)], {analysis}))).toBe(false);
    expect(isPartlyAnalysed(styled([point(1, 1)]))).toBe(false);
  });

  test("has an equal structure if only its data differs", () => {
    const before = structureOf(makeModel([styled(noisy(5, 1))], view()));
    expect(structureOf(makeModel([styled(noisy(6, 1))], view({focus: "x", fromZero: true})))).toBe(before);
    expect(structureOf(makeModel([styled(noisy(5, 1))], view({axis: "build"})))).not.toBe(before);
  });
});

describe("movePosition", () => {
  const line = (xs: number[]) => ({xs}) as unknown as DrawnLine;
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
