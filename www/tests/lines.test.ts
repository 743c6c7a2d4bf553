import {describe, expect, test} from "vitest";
import type {Point} from "../src/lib/api";
import {alignColumns, bySeverity, deviationOf, groupIntoLines, knownLines, lineLabel} from "../src/lib/lines";
import {row, START} from "./examples";

const point = (more: Partial<Point>): Point =>
  ({time: 1, value: 1, builder: "b1", build: 1, buildid: 1, worker: "w", tags: {}, ...more});

describe("groupIntoLines", () => {
  test("makes one line for each builder and set of tags, in any order of tags", () => {
    const lines = groupIntoLines([
      point({tags: {a: "1", b: "2"}}), point({time: 2, tags: {b: "2", a: "1"}}), point({builder: "b2"}), point({builder: null}),
    ]);
    expect(lines.map(line => [line.builder, line.dots.length])).toEqual([["b1", 2], ["b2", 1], [null, 1]]);
  });

  test("orders the points of a line by time", () => {
    const [line] = groupIntoLines([point({time: 3}), point({time: 1}), point({builder: "b2"}), point({time: 2})]);
    expect(line!.dots.map(dot => dot.time)).toEqual([1, 2, 3]);
  });

  test("separates machine classes only if they are apart", () => {
    const points = [point({machine: "a"}), point({machine: "b"}), point({machine: "a"})];
    expect(groupIntoLines(points).map(line => line.dots.length)).toEqual([3]);
    expect(groupIntoLines(points, true).map(line => [line.machine, line.dots.length])).toEqual([["a", 2], ["b", 1]]);
  });

  test("skips texts", () => {
    expect(groupIntoLines([point({value: "gcc"})])).toEqual([]);
  });

  test("makes a line for each branch, and one for the proposals to it", () => {
    const lines = groupIntoLines([
      point({branch: "main"}), point({branch: "main", time: 2}), point({branch: "main", time: 3}), point({branch: "next", time: 4}),
      point({branch: "next", time: 5}), point({branch: "main", proposal: "refs/pull/1", time: 6}),
    ]);
    expect(lines.map(line => [lineLabel(line, lines), line.dots.length])).toEqual([
      ["main", 3], ["next", 2], ["proposals to main", 1]]);
    const [main] = lines;
    expect(lineLabel(main!, [main!])).toBe("b1");
  });
});

describe("a label", () => {
  const [a, b, c] = groupIntoLines([
    point({tags: {os: "linux", l: "C"}}), point({time: 2, tags: {os: "linux", l: "Rust"}}), point({time: 3, tags: {l: "Go"}, builder: "b2"}),
  ]);

  test("says what differs, not what is the same in all lines", () => {
    expect([lineLabel(a!, [a!, b!]), lineLabel(b!, [a!, b!])]).toEqual(["l=C", "l=Rust"]);
    expect(lineLabel(c!, [a!, b!, c!])).toBe("b2 · l=Go · os=none");
  });

  test("of a single line is its builder", () => {
    expect(lineLabel(a!, [a!])).toBe("b1");
    expect(lineLabel({...a!, builder: null}, [a!])).not.toBe("");
  });
});

describe("known lines", () => {
  test("are one of several machine classes, unless these are apart", () => {
    const rows = [row({machine_class: "w1", count: 2}), row({machine_class: "w2", count: 5, time: START + 9}), row({builder: "b2"})];
    expect(knownLines(rows).map(line => [line.builder, line.machine, line.count, line.last])).toEqual(
      [["linux", null, 7, START + 9], ["b2", null, 3, START + 2]]);
    expect(knownLines(rows, true).map(line => line.machine)).toEqual(["w1", "w2", "bot1"]);
  });

  test("are ordered by verdict, then by how far they are from their own level", () => {
    const calm = row({builder: "calm", values: [10, 11, 10, 9, 10, 11, 10], better: "lower"});
    const worse = row({builder: "worse", values: [10, 11, 10, 9, 10, 11, 20], better: "lower"});
    const better = row({builder: "better", values: [10, 11, 10, 9, 10, 11, 1], better: "lower"});
    const judged = row({builder: "judged", values: calm.values, verdict: "worse"});
    expect([calm, better, worse, judged].sort(bySeverity).map(each => each.builder)).toEqual(["judged", "worse", "calm", "better"]);
  });

  test("deviate in the direction that is worse", () => {
    const values = [10, 11, 10, 9, 10, 11, 20];
    expect(deviationOf({values, better: "lower"})!).toBeGreaterThan(4);
    expect(deviationOf({values, better: "higher"})!).toBeLessThan(-4);
    expect(deviationOf({values: [1, 2], better: "lower"})).toBeNull();
    expect(deviationOf({values: [0, 0, 0, 0, 0, 1], better: null})!).toBeGreaterThan(4);
  });
});

test("alignColumns has null where a line has no point", () => {
  expect(alignColumns([{xs: [1, 3], columns: [[10, 30], [1, null]]}, {xs: [2, 3], columns: [[20, 31]]}]))
    .toEqual([[1, 2, 3], [10, null, 30], [1, null, null], [null, 20, 31]]);
  expect(alignColumns([{xs: [1, 3], columns: [[10, 30]]}])).toEqual([[1, 3], [10, 30]]);
  expect(alignColumns([])).toEqual([[]]);
});
