import {describe, expect, test} from "vitest";
import type {Point} from "../src/lib/api";
import {alignColumns, lineLabel, groupIntoLines, newestOfLine} from "../src/lib/lines";

const point = (more: Partial<Point>): Point =>
  ({time: 1, value: 1, builder: "b1", build: 1, buildid: 1, worker: "w", tags: {}, ...more});

describe("groupIntoLines", () => {
  test("makes one line for each builder and set of tags, in any order of tags", () => {
    const lines = groupIntoLines([
      point({tags: {a: "1", b: "2"}}), point({time: 2, tags: {b: "2", a: "1"}}), point({builder: "b2"}), point({builder: null}),
    ]);
    expect(lines.map(line => [line.builder, line.dots.length])).toEqual([["b1", 2], ["b2", 1], [null, 1]]);
  });

  test("separates points of a line with the same time by x, and keeps their time", () => {
    const [line] = groupIntoLines([point({value: 1}), point({value: 2}), point({value: 3})]);
    expect(new Set(line!.dots.map(dot => dot.x)).size).toBe(3);
    expect(line!.dots.map(dot => dot.time)).toEqual([1, 1, 1]);
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
      ["b1 · main", 3], ["b1 · next", 2], ["b1 · proposals to main", 1]]);
    const [main] = lines;
    expect(lineLabel(main!, [main!])).toBe("b1");
  });

  test("labels lines by their builder and the tags that differ", () => {
    const [a, b] = groupIntoLines([point({tags: {os: "linux", l: "C"}}), point({time: 2, tags: {os: "linux", l: "Rust"}})]);
    expect([lineLabel(a!, [a!, b!]), lineLabel(b!, [a!, b!])]).toEqual(["b1 · l=C", "b1 · l=Rust"]);
  });
});

describe("newestOfLine", () => {
  test("returns the previous value of an earlier build of the same builder and tags", () => {
    const found = newestOfLine([
      point({time: 1, value: 10, buildid: 1}), point({time: 2, value: 99, builder: "b2", buildid: 2}),
      point({time: 3, value: 77, buildid: 3, tags: {x: "y"}}), point({time: 4, value: 11, buildid: 4}),
      point({time: 5, value: 12, buildid: 4}),
    ]);
    expect([found.last?.value, found.previous?.value, found.values]).toEqual([12, 10, [10, 11, 12]]);
  });

  test("compares within a branch, and proposals with each other only", () => {
    const found = newestOfLine([
      point({time: 1, value: 10, buildid: 1, branch: "main"}), point({time: 2, value: 20, buildid: 2, branch: "next"}),
      point({time: 3, value: 30, buildid: 3, branch: "main", proposal: "try"}),
      point({time: 4, value: 11, buildid: 4, branch: "main"}),
    ]);
    expect([found.last?.value, found.previous?.value]).toEqual([11, 10]);
  });

  test("is null without points", () => {
    expect(newestOfLine([])).toEqual({last: null, previous: null, values: []});
  });
});

test("alignColumns has null where a line has no point", () => {
  expect(alignColumns([[{x: 1, y: 10}, {x: 3, y: 30}], [{x: 2, y: 20}, {x: 3, y: 31}]]))
    .toEqual([[1, 2, 3], [10, null, 30], [null, 20, 31]]);
});
