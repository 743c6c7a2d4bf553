import * as React from "react";
import {act, renderHook, waitFor} from "@testing-library/react";
import {DataClientContext, type DataClient, type Message} from "buildbot-data-js";
import {MemoryRouter, useLocation} from "react-router-dom";
import {afterEach, beforeEach, describe, expect, test, vi} from "vitest";
import {useBuildLinks} from "../src/hooks/useBuildLinks";
import {useFinishedBuilds} from "../src/hooks/useFinishedBuilds";
import {useOverview} from "../src/hooks/useOverview";
import {usePins} from "../src/hooks/usePins";
import {queryClient, useQuery} from "../src/hooks/useQuery";
import {useSeriesView} from "../src/hooks/useSeriesView";
import {useTheme} from "../src/hooks/useTheme";
import {useTitle} from "../src/hooks/useTitle";
import {readListState, readSeriesState} from "../src/lib/urlState";
import {prefetch} from "../src/prefetch";
import {columns, point, row, series, serve, START} from "./examples";

describe("useQuery", () => {
  test("requests again when its key or version changes, and keeps old data meanwhile for a new version", async () => {
    const request = vi.fn(async (key: string, version: number) => `${key}${version}`);
    const {result, rerender} = renderHook(
      ({key, version}: {key: string | null; version: number}) => useQuery(key, version, () => request(key!, version)),
      {initialProps: {key: "a" as string | null, version: 1}});
    await waitFor(() => expect(result.current.data).toBe("a1"));
    rerender({key: "a", version: 2});
    expect(result.current.data).toBe("a1");
    await waitFor(() => expect(result.current.data).toBe("a2"));
    rerender({key: "b", version: 2});
    expect(result.current.data).toBeNull();
    await waitFor(() => expect(result.current.data).toBe("b2"));
    rerender({key: null, version: 2});
    expect(result.current).toEqual({data: null, error: null, loading: false, updatedAt: 0});
    expect(request).toHaveBeenCalledTimes(3);
  });

  test("keeps its data if a request for a new version fails", async () => {
    let fails = false;
    const {result, rerender} = renderHook(({version}) => useQuery("a", version, async () => {
      if (fails) {
        throw new Error("no");
      }
      return 1;
    }), {initialProps: {version: 1}});
    await waitFor(() => expect(result.current.data).toBe(1));
    fails = true;
    rerender({version: 2});
    await waitFor(() => expect(result.current.error?.message).toBe("no"));
    expect(result.current.data).toBe(1);
  });

  test("aborts a request whose result is not needed any more", async () => {
    const signals: AbortSignal[] = [];
    const {unmount} = renderHook(() => useQuery("slow", 1, signal => {
      signals.push(signal);
      return new Promise<number>(() => undefined);
    }));
    await waitFor(() => expect(signals.length).toBe(1));
    unmount();
    await waitFor(() => expect(signals[0]!.aborted).toBe(true));
  });
});

describe("useOverview", () => {
  const state = readListState(new URLSearchParams("q=size"));

  test("loads every line by one request, without filters", async () => {
    const requested = serve({overview: {total: 1, rows: [row()]}});
    const {result} = renderHook(() => useOverview(state, 1));
    await waitFor(() => expect(result.current.rows.length).toBe(1));
    expect(requested).toEqual(["plugins/bbmeasure/api/v1/overview?limit=2000"]);
  });

  test("filters on the server and loads further pages if there are too many lines", async () => {
    const requested = serve({overview: {total: 5000, rows: [row()]}});
    const {result} = renderHook(() => useOverview(state, 1));
    await waitFor(() => expect(requested.some(url => url.includes("search=size"))).toBe(true));
    await waitFor(() => expect(result.current.loading).toBe(false));
    act(() => result.current.more());
    await waitFor(() => expect(result.current.rows.length).toBe(2));
    expect(requested.some(url => url.includes("search=size") && url.includes("page=2"))).toBe(true);
  });

  test("says that a request failed, and tries again", async () => {
    serve({overview: new Error("away")});
    const {result} = renderHook(() => useOverview(state, 1));
    await waitFor(() => expect(result.current.error?.message).toBe("away"));
    serve({overview: {total: 1, rows: [row()]}});
    act(() => result.current.retry());
    await waitFor(() => expect(result.current.rows.length).toBe(1));
  });
});

describe("useSeriesView", () => {
  const view = (query: string, more = {}) => renderHook(
    ({text}: {text: string}) => useSeriesView(series(more), state(text), "light", 1), {initialProps: {text: query}});
  const states = new Map<string, ReturnType<typeof readSeriesState>>();
  const state = (text: string) => {
    states.set(text, states.get(text) ?? readSeriesState(new URLSearchParams(text)));
    return states.get(text)!;
  };

  test("draws a line for each set of tags, and never an average over them, however many points there are", async () => {
    const sections = ["a", "b", "c", "d", "e"];
    const rows = sections.map(part => row({tags: {part}, count: 4000}));
    const requested = serve({
      overview: {total: 5, rows}, "buckets=": {buckets: [{time: START, count: 9, average: 1, minimum: 0, maximum: 2}]},
      statistics: {statistics: {count: 4000}},
      ...Object.fromEntries(sections.map(part => [`tag.part=${part}`, columns([point(1, 1, {tags: {part}})])])),
    });
    const {result} = view("");
    await waitFor(() => expect(result.current.lines.length).toBe(5));
    expect(result.current.lines.map(line => line.label).sort()).toEqual(sections.map(part => `part=${part}`));
    const buckets = requested.filter(url => url.includes("buckets="));
    expect(buckets.length).toBe(5);
    expect(buckets.every(url => /tag\.part=[a-e](&|$)/.test(url) && url.includes("builder=linux"))).toBe(true);
    expect(result.current.complete).toBe(false);
    await waitFor(() => expect(result.current.groups.every(({statistics}) => statistics?.count === 4000)).toBe(true));
    expect(requested.filter(url => url.includes("v1/statistics")).length).toBe(5);
  });

  describe("of a line with too many points to draw each", () => {
    const many = {
      overview: {total: 1, rows: [row({count: 20_000})]}, "statistics?": {statistics: {count: 20_000}},
      "buckets=": {buckets: [{time: START, count: 9, average: 1, minimum: 0, maximum: 2}]},
    };
    const analysis = {line: 0, median: 1, low: 0, high: 2, levels: [], changes: []};

    test("draws averages, then adds the look-back over its newest points", async () => {
      let answer: (value: unknown) => void = () => undefined;
      serve({...many, "format=columns": new Promise(resolve => { answer = resolve; })});
      const {result} = view("");
      await waitFor(() => expect(result.current.lines.map(line => line.buckets.length)).toEqual([1]));
      expect(result.current).toMatchObject({points: [], complete: false, loading: true});
      expect(result.current.lines[0]!.analysis).toBeNull();
      answer(columns([point(1, 1)], {analysis: [analysis]}));
      await waitFor(() => expect(result.current.loading).toBe(false));
      expect(result.current.lines[0]!.analysis).toMatchObject({median: 1, high: 2});
      expect(result.current.points.map(({value}) => value)).toEqual([1]);
    });

    test("requests the alerts, the newest points and the statistics after the averages are drawn", async () => {
      let answer: (value: unknown) => void = () => undefined;
      const requested = serve({
        ...many, "buckets=": new Promise(resolve => { answer = resolve; }), "format=columns": columns([point(1, 1)]), "v1/alerts": {alerts: []},
      });
      const {result} = view("");
      await waitFor(() => expect(requested.length).toBe(2));
      expect(result.current.painted).toBe(false);
      answer(many["buckets="]);
      await waitFor(() => expect(requested.length).toBe(5));
      expect(requested.map(url => /v1\/(\w+)/.exec(url)![1]).sort()).toEqual(["alerts", "overview", "points", "points", "statistics"]);
      expect(result.current).toMatchObject({painted: true, complete: false});
    });

    test("draws averages where its newest points are not answered, and says so", async () => {
      serve({...many, "format=columns": new Error("away")});
      const {result} = view("");
      await waitFor(() => expect(result.current.error?.message).toBe("away"));
      expect(result.current.lines.map(line => line.buckets.length)).toEqual([1]);
    });
  });

  test("draws the twelve lines that are farthest from their own level, and lists the others", async () => {
    const calm = [10, 11, 10, 9, 10, 11, 10];
    const rows = Array.from({length: 300}, (_, index) => row({
      builder: `b${index}`, values: index === 200 ? [...calm, 90] : calm, count: 2,
    }));
    const points = rows.flatMap(({builder}) => [point(1, 10, {builder}), point(2, 11, {builder})]);
    serve({overview: {total: 300, rows}, points: columns(points)});
    const {result} = view("", {builders: rows.map(({builder}) => builder)});
    await waitFor(() => expect(result.current.lines.length).toBe(12));
    expect(result.current.lines[0]!.label).toBe("b200");
    expect(result.current.known.selected.length).toBe(300);
  });

  test("has one chart for each value that it is split by", async () => {
    const rows = [row({builder: "a", limits: [null, 9]}), row({builder: "b"})];
    serve({overview: {total: 2, rows}, points: columns([point(1, 1, {builder: "a"}), point(2, 1, {builder: "b"})])});
    const {result, rerender} = view("", {builders: ["a", "b"]});
    await waitFor(() => expect(result.current.models.length).toBe(1));
    rerender({text: "split=builder"});
    await waitFor(() => expect(result.current.models.map(({name}) => name)).toEqual(["a", "b"]));
    expect(result.current.models.map(({model}) => model.lines[0]!.limits)).toEqual([[9], []]);
  });

  test("shows the lines that the address names", async () => {
    const rows = ["a", "b"].map(builder => row({builder}));
    serve({overview: {total: 2, rows}, points: columns([point(1, 1, {builder: "a"}), point(2, 1, {builder: "b"})])});
    const {result} = view("lines=");
    await waitFor(() => expect(result.current.known.selected.length).toBe(2));
    expect(result.current.lines).toEqual([]);
  });

  test("has the lines of its own kind and unit, where several series have its name", async () => {
    const rows = [row(), row({builder: "windows", unit: "s", kind: "duration"})];
    serve({overview: {total: 2, rows}, points: columns([point(1, 1)])});
    const {result} = view("", {ambiguous: true});
    await waitFor(() => expect(result.current.lines.length).toBe(1));
    expect(result.current.known.all.map(({builder}) => builder)).toEqual(["linux"]);
  });

  test("says what is wrong with a range, and requests no points for it", async () => {
    const requested = serve({overview: {total: 1, rows: [row()]}});
    const {result} = view("since=yesterday");
    await waitFor(() => expect(result.current.known.selected.length).toBe(1));
    expect(result.current.rangeError).toContain("yesterday");
    await waitFor(() => expect(result.current.painted).toBe(true));
    expect(requested.filter(url => !url.includes("v1/alerts") && !url.includes("v1/overview"))).toEqual([]);
  });
});

describe("prefetch", () => {
  const answers = {series: {series: [series(), series({name: "other"})]}, overview: {total: 1, rows: [row()]}, points: columns([point(1, 1)])};
  const paths = (requested: readonly string[]) => requested.map(url => /v1\/(\w+)/.exec(url)![1]);

  test("requests the points of a series before it is rendered, and the page requests them no more", async () => {
    const requested = serve({"overview?": answers.overview, "points?": answers.points, "v1/series": answers.series});
    await prefetch("#/measurements/size?since=2026-01-01&tag.part=a&axis=build");
    expect(paths(requested)).toEqual(["overview", "series", "points"]);
    expect(requested[2]).toMatch(/series=size&since=\d+&.*tag\.part=a/);
    const state = readSeriesState(new URLSearchParams("since=2026-01-01&tag.part=a&axis=build"));
    const one = series();
    const {result} = renderHook(() => useSeriesView(one, state, "light", 1));
    await waitFor(() => expect(result.current.points.length).toBe(1));
    expect(requested.filter(url => url.includes("points?")).length).toBe(1);
  });

  test("requests the points of the only series of its name without the list, which names the series of others", async () => {
    let answer: (value: unknown) => void = () => undefined;
    const list = new Promise(resolve => { answer = resolve; });
    const requested = serve({"overview?": answers.overview, "points?": answers.points, "v1/series": list});
    const prefetched = prefetch("#/measurements/size");
    await waitFor(() => expect(paths(requested)).toEqual(["overview", "series", "points"]));
    answer(answers.series);
    await expect(prefetched).resolves.toEqual(answers.series.series);
    queryClient.clear();
    const rows = [row(), row({builder: "windows", unit: "s", kind: "duration"})];
    const both = [series(), series({unit: "s", kind: "duration"})];
    const others = serve({"overview?": {total: 2, rows}, "points?": answers.points, "v1/series": {series: both}});
    await prefetch("#/measurements/size?unit=s");
    expect(others[2]).toMatch(/points.*kind=duration&unit=s/);
  });

  test("requests the lines of the list, and nothing for other pages or a wrong range", async () => {
    const requested = serve({"overview?": answers.overview, "v1/series": answers.series});
    await prefetch("#/measurements?q=x");
    expect(paths(requested)).toEqual(["overview", "series"]);
    const {result} = renderHook(() => useOverview(readListState(new URLSearchParams("q=x")), 1));
    await waitFor(() => expect(result.current.rows.length).toBe(1));
    for (const fragment of ["", "#/builders/1", "#/measurementsx", "#/measurements/size?since=x", "#/measurements/gone"]) {
      await prefetch(fragment);
    }
    expect(paths(requested)).not.toContain("points");
  });

  test("has the list where lines and points cannot be requested, and the error of the list", async () => {
    serve({"v1/series": answers.series, overview: new Error("away")});
    await expect(prefetch("#/measurements/size")).resolves.toEqual(answers.series.series);
    queryClient.clear();
    serve({"v1/series": new Error("away"), overview: answers.overview});
    await expect(prefetch("#/measurements/size")).rejects.toThrow("away");
    expect(prefetch("#/builders/1")).toBeNull();
  });
});

describe("useFinishedBuilds", () => {
  beforeEach(() => { vi.useFakeTimers(); });
  afterEach(() => { vi.useRealTimers(); });

  test("counts builds that have finished, those within three seconds once, and not those of others", () => {
    let listener: (message: Message) => void = () => undefined;
    const subscribe = (of: typeof listener) => {
      listener = of;
      return () => { listener = () => undefined; };
    };
    const socket = {
      socket: {readyState: WebSocket.OPEN}, eventStream: {subscribe},
      subscribe: async () => undefined, unsubscribe: async () => undefined,
    } as unknown as DataClient["webSocketClient"];
    const wrapper = ({children}: {children: React.ReactNode}) =>
      <DataClientContext.Provider value={{webSocketClient: socket}}>{children}</DataClientContext.Provider>;
    const {result, unmount} = renderHook(() => useFinishedBuilds(message => message.builderid === 1), {wrapper});
    const tell = (key: string, builderid: number) => act(() => listener({k: key, m: {builderid}}));
    const pass = (milliseconds: number) => act(() => vi.advanceTimersByTime(milliseconds));
    tell("builds/7/finished", 1);
    tell("builds/8/finished", 1);
    expect(result.current).toBe(0);
    pass(700);
    expect(result.current).toBe(1);
    tell("builds/9/finished", 1);
    pass(700);
    expect(result.current).toBe(1);
    pass(3_000);
    expect(result.current).toBe(2);
    tell("builds/10/finished", 2);
    tell("builds/11/started", 1);
    pass(10_000);
    expect(result.current).toBe(2);
    unmount();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("asks every fifteen seconds where there is no open connection", async () => {
    let buildid = 1;
    vi.stubGlobal("fetch", async () => ({ok: true, status: 200, json: async () => ({builds: [{buildid, builderid: 1}]})}));
    const {result} = renderHook(() => useFinishedBuilds());
    await act(() => vi.advanceTimersByTimeAsync(40_000));
    expect(result.current).toBe(0);
    buildid = 2;
    await act(() => vi.advanceTimersByTimeAsync(20_000));
    expect(result.current).toBe(1);
  });
});

test("useBuildLinks has the routes of builds by the names of their builders, and finds others by their ids", async () => {
  serve({"builders?": {builders: [{builderid: 4, name: "linux"}]}, "builds/109": {builds: [{builderid: 6, number: 9}]}});
  const {result} = renderHook(() => ({...useBuildLinks(true), at: useLocation().pathname}), {wrapper: MemoryRouter});
  await waitFor(() => expect(result.current.routeOf({builder: "linux", build: 3})).toBe("/builders/4/builds/3"));
  expect(result.current.routeOf({builder: "gone", build: 9})).toBeNull();
  await act(() => result.current.open({builder: "gone", build: 9, buildid: 109}));
  expect(result.current.at).toBe("/builders/6/builds/9");
  await act(() => result.current.open({builder: "linux", build: 3, buildid: 103}));
  expect(result.current.at).toBe("/builders/4/builds/3");
});

test("usePins keeps pins in the browser, and ignores what is no pin", () => {
  window.localStorage.setItem("bbmeasure.pinned", '["/measurements/a", 5, "javascript:x"]');
  const {result} = renderHook(() => usePins());
  expect(result.current.pins).toEqual(["/measurements/a"]);
  act(() => result.current.toggle("/measurements/b?builder=x"));
  expect(result.current.pins).toEqual(["/measurements/a", "/measurements/b?builder=x"]);
  act(() => result.current.toggle("/measurements/a"));
  expect(JSON.parse(window.localStorage.getItem("bbmeasure.pinned")!)).toEqual(["/measurements/b?builder=x"]);
});

test("useTitle sets the title and restores it", () => {
  document.title = "Buildbot";
  const {rerender, unmount} = renderHook(({title}) => useTitle(title), {initialProps: {title: "size"}});
  expect(document.title).toBe("size · Buildbot");
  rerender({title: "time"});
  expect(document.title).toBe("time · Buildbot");
  unmount();
  expect(document.title).toBe("Buildbot");
});

test("useTheme is that of Buildbot's page", async () => {
  const {result} = renderHook(() => useTheme());
  expect(result.current).toBe("light");
  act(() => document.documentElement.style.setProperty("--bb-background-color", "#1e1e2e"));
  await waitFor(() => expect(result.current).toBe("dark"));
  act(() => document.documentElement.style.removeProperty("--bb-background-color"));
  await waitFor(() => expect(result.current).toBe("light"));
});
