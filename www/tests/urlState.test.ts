import {describe, expect, test} from "vitest";
import {
  readListState, readSeriesState, seriesOfPath, seriesRoute, writeListState, writeSeriesState,
} from "../src/lib/urlState";
import {encodeQuery, markAmbiguous, meaningOf, type Series} from "../src/lib/api";
import {filterSeries, findSeries, ownerOfValue, sortSeries} from "../src/lib/seriesList";

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
    };
    expect(readSeriesState(new URLSearchParams(writeSeriesState(state).toString()))).toEqual(state);
    const list = {search: "size", builder: "b 1", branch: "main", kind: "size", unit: "{request}", sort: "last"};
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
  const state = {search: "", builder: null, branch: null, kind: null, unit: null, sort: "name"};

  test("matches every word of the search in any order and case", () => {
    expect(filterSeries(all, {...state, search: "SIZE docs"}).map(each => each.name)).toEqual(["Docs Size"]);
  });

  test("is filtered by builder, kind and unit together", () => {
    expect(filterSeries(all, {...state, builder: "b1", kind: "duration", unit: "s"}).length).toBe(2);
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

  test("is sorted by name with numbers in numeric order, or by time with the newest first", () => {
    expect(sortSeries(all, "name").map(each => each.name)).toEqual(["Docs Size", "time9", "time10", "wheel_size"]);
    expect(sortSeries(all, "last")[0]!.name).toBe("time9");
  });
});

describe("the builder of a row", () => {
  test("is that of the value, or the only one until the value is loaded", () => {
    const builders = ["a", "b"];
    expect(ownerOfValue({builders}, {builder: "b"})).toBe("b");
    expect(ownerOfValue({builders}, {builder: null})).toBeNull();
    expect(ownerOfValue({builders}, null)).toBeNull();
    expect(ownerOfValue({builders: ["a"]}, null)).toBe("a");
  });
});
