import {describe, expect, test} from "vitest";
import {
  readListState, readSeriesState, seriesOfPath, seriesRoute, writeListState, writeSeriesState,
} from "../src/lib/urlState";
import {encodeQuery, markAmbiguous, meaningOf, type Series} from "../src/lib/api";
import {changeOver, findSeries, groupByPrefix, listItems, prefixOf, sortItems} from "../src/lib/seriesList";
import {row} from "./examples";

describe("the route of a series", () => {
  test.each(["build_size", "a/b", "100%", "a%41b", "a?b#c", "<script>", "\u202eא", "x".repeat(500), "..", "%", "a+b c"])(
    "of %s gives the name back", name => {
      expect(seriesOfPath(seriesRoute(name))).toBe(name);
    });

  test("of the list names no series", () => {
    expect([seriesOfPath("/measurements"), seriesOfPath("/measurements/")]).toEqual([null, null]);
  });

  test("with invalid escapes is taken literally", () => {
    expect(seriesOfPath("/measurements/50%")).toBe("50%");
  });
});

describe("the state of a page in the URL", () => {
  test("is read as it was written", () => {
    const state = {
      builders: ["b&1", "b=2"], branch: "release/1 & 2", proposals: true, kind: "size", unit: "{request}", since: "7d", until: "1800000000", tags: {language: "C++", "a.b": "&x"}, versus: "b3",
      versusRange: {since: "60d", until: "30d"}, band: false, fromZero: true,
      smooth: false, axis: "commit" as const, scale: "log" as const, split: "tag.language", shown: ["a1", "b2"], build: 17,
    };
    expect(readSeriesState(new URLSearchParams(writeSeriesState(state).toString()))).toEqual(state);
    const list = {search: "size", builder: "b 1", branch: "main", kind: "size", unit: "{request}", sort: "last", view: "builders" as const};
    expect(readListState(new URLSearchParams(writeListState(list).toString()))).toEqual(list);
  });

  test("omits defaults", () => {
    expect(writeSeriesState(readSeriesState(new URLSearchParams())).toString()).toBe("");
    expect(writeListState(readListState(new URLSearchParams())).toString()).toBe("");
  });
});

test("encodeQuery omits null and prefixes tags", () => {
  expect(encodeQuery({series: "a b", builder: null, limit: 5}, {os: "li&nux"})).toBe("series=a+b&limit=5&tag.os=li%26nux");
});

describe("the list", () => {
  const series = (name: string, more: Partial<Series> = {}): Series => ({
    name, kind: "size", unit: "bytes", better: null, builders: ["b1"], count: 1, first: 1, last: 1, last_value: 1, ...more,
  });
  const all = [series("wheel_size"), series("Docs Size", {builders: ["b2"]}), series("time10", {kind: "duration", unit: "s"}),
    series("time9", {kind: "duration", unit: "s", last: 5})];
  const state = {search: "", builder: null, branch: null, kind: null, unit: null, sort: "name", view: "list" as const};
  const names = (more: object) => listItems(all, [], {...state, ...more}).map(item => item.series.name);

  test("matches every word of the search in any order and case", () => {
    expect(names({search: "SIZE docs"})).toEqual(["Docs Size"]);
  });

  test("is filtered by builder, kind and unit together", () => {
    expect(names({builder: "b1", kind: "duration", unit: "s"})).toEqual(["time10", "time9"]);
  });

  test("has a row for each kind and unit of a name, which the page of a series tells apart", () => {
    const [bytes, seconds, other] = markAmbiguous([
      series("wheel"), series("wheel", {kind: "duration", unit: "s", builders: ["b2", "b3"]}), series("other"),
    ]);
    expect([meaningOf(bytes!), meaningOf(other!)]).toEqual([{kind: "size", unit: "bytes"}, {}]);
    const find = (more: {kind?: string; unit?: string; builders?: string[]}) =>
      findSeries([bytes!, seconds!, other!], "wheel", {kind: null, unit: null, builders: [], ...more});
    expect(find({})).toBe(bytes);
    expect(find({unit: "s"})).toBe(seconds);
    expect(find({builders: ["b3"]})).toBe(seconds);
    expect(find({kind: "size", builders: ["b3"]})).toBe(bytes);
    expect(find({unit: "gone"})).toBe(bytes);
    expect(findSeries([other!], "wheel", {kind: null, unit: null, builders: []})).toBeNull();
  });

  const rows = [
    row({series: "wheel_size", builder: "b1", time: 9, count: 4, values: [1, 1, 1, 1, 1, 5], better: "lower"}),
    row({series: "wheel_size", builder: "b1", branch: "next", time: 3, count: 1, value: 8}),
    row({series: "time9", kind: "duration", unit: "s", builder: "b1", time: 5, count: 2}),
  ];

  test("has the lines of each series that match, the most severe first, with their points and newest time", () => {
    const [wheel, , , nine] = listItems(all, rows, state);
    expect([wheel!.rows[0]!.value, wheel!.rows.length, wheel!.count, wheel!.last]).toEqual([3, 2, 5, 9]);
    expect(nine!.count).toBe(2);
    const [next, ...others] = listItems(all, rows, {...state, branch: "next"});
    expect([next!.rows.map(each => each.value), others]).toEqual([[8], []]);
  });

  test("is sorted by name with numbers in numeric order, by time and count with the largest first, and by severity", () => {
    const sorted = (sort: string) => sortItems(listItems(all, rows, state), sort).map(item => item.series.name);
    expect(sorted("name")).toEqual(["Docs Size", "time9", "time10", "wheel_size"]);
    expect([sorted("last")[0], sorted("count")[0], sorted("worst")[0]]).toEqual(["wheel_size", "wheel_size", "wheel_size"]);
  });

  test("is grouped by prefix", () => {
    expect([prefixOf("perf.parse"), prefixOf("lint_errors"), prefixOf("plain"), prefixOf("end_")]).toEqual(["perf.", "lint_", "", ""]);
    const items = listItems(["perf.a", "perf.b", "perf.c", "lint_a", "other"].map(name => series(name)), [], state);
    expect(groupByPrefix(items).map(({prefix, items: members}) => [prefix, members.length])).toEqual([["perf.", 3], ["", 2]]);
  });

  test("has the change from the first to the last values of a line", () => {
    expect(changeOver([10, 10, 10, 90, 10, 20, 20, 20, 20, 20])).toEqual({before: 10, after: 20, change: 1});
    expect([changeOver([1]), changeOver([])]).toEqual([null, null]);
  });
});
