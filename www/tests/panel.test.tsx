import * as React from "react";
import {act, fireEvent, render, screen} from "@testing-library/react";
import {MemoryRouter, Route, Routes} from "react-router-dom";
import {afterEach, beforeEach, describe, expect, test, vi} from "vitest";
import type {Registration, RouteConfig} from "buildbot-plugin-support";
import type {BuildRecord} from "../src/lib/api";
import {BuildPanel} from "../src/panel/panels";
import {wrapRoutes} from "../src/panel/routePanels";
import {serve} from "./examples";

const record: BuildRecord = {
  series: "build_size", step: null, branch: "main", proposal: null, value: 130, unit: "bytes", kind: "size", better: "lower", previous: 100,
  change: 0.3, tags: {}, verdict: "worse", usual: [98, 102], baseline: 100, since_build: 7,
};
const PATH = "builders/:builderid/builds/:buildnumber";

/** Buildbot's page of a build with the panel; `answer` gives the records, `points` are those of the sparkline. */
function open(points: object | Error = {points: []}): {answer: () => void} {
  let answer: () => void = () => undefined;
  const held = new Promise<void>(done => { answer = done; });
  serve({
    "api/v2/builders/1/builds/7": {builds: [{buildid: 107, number: 7, builderid: 1, complete: true, complete_at: 1, results: 0}]},
    "api/v2/builders/1/builds?": {builds: []}, "api/v2/builders/1": {builders: [{builderid: 1, name: "linux"}]},
    points, links: {grafana: null, influxdb: null}, records: {records: [record]},
  });
  const plain = fetch;
  vi.stubGlobal("fetch", async (url: string, ...rest: []) => {
    if (url.includes("records")) {
      await held;
    }
    return plain(url, ...rest);
  });
  const registered: RouteConfig[] = [];
  const registration: Registration = {
    registerMenuGroup: () => undefined, registerSettingGroup: () => undefined, registerRoute: route => { registered.push(route); },
  };
  const stock = new Map([[PATH, {route: PATH, group: null, element: () => <p>Buildbot</p>}]]);
  wrapRoutes(registration, stock, {[PATH]: () => <BuildPanel/>});
  render(
    <MemoryRouter initialEntries={["/builders/1/builds/7"]}><Routes>
      <Route path={PATH} element={registered[0]!.element()}/>
    </Routes></MemoryRouter>);
  return {answer};
}

const isVisible = () => screen.getByText("Buildbot").parentElement!.style.visibility !== "hidden";
const place = () => document.querySelector<HTMLElement>(".bbm-place")!;

/** Let time pass in steps: what an answer schedules belongs to a later step. */
async function pass(milliseconds: number): Promise<void> {
  for (let step = 0; step < 10; step += 1) {
    await act(() => vi.advanceTimersByTimeAsync(milliseconds / 10));
  }
}

describe("the panel above Buildbot's page", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    Object.defineProperty(HTMLElement.prototype, "offsetHeight", {configurable: true, get: () => 70});
  });
  afterEach(() => vi.useRealTimers());

  test("is there with all rows before the page is visible", async () => {
    const {answer} = open();
    await pass(1_000);
    expect(isVisible()).toBe(false);
    answer();
    await pass(500);
    expect(isVisible()).toBe(true);
    expect(screen.getByText("introduced here")).toBeTruthy();
    expect(place().style.height).toBe("");
  });

  test("says that the values before could not be loaded", async () => {
    open(new Error("away")).answer();
    await pass(1_000);
    expect(screen.getByTitle("away").textContent).toBe("not loaded");
  });

  test("keeps its height if it is late, with one line, until a click", async () => {
    const {answer} = open();
    await pass(2_100);
    expect(isVisible()).toBe(true);
    expect(place().style.height).toBe("70px");
    answer();
    await pass(500);
    expect(screen.getByText("▲ 1 worse")).toBeTruthy();
    expect(screen.queryByText("introduced here")).toBeNull();
    expect(place().style.height).toBe("70px");
    fireEvent.click(screen.getByRole("button", {name: /Show all/}));
    expect(screen.getByText("introduced here")).toBeTruthy();
    expect(place().style.height).toBe("");
    fireEvent.click(screen.getByRole("button", {name: /Hide all/}));
    expect(screen.getByText("introduced here")).toBeTruthy();
  });
});
