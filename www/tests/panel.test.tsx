import * as React from "react";
import {act, fireEvent, render, screen} from "@testing-library/react";
import {MemoryRouter, Route, Routes} from "react-router-dom";
import {afterEach, beforeEach, describe, expect, test, vi} from "vitest";
import type {Registration, RouteConfig} from "buildbot-plugin-support";
import type {BuildRecord} from "../src/lib/api";
import {BuildPanel} from "../src/panel/panels";
import {BELOW_BUILD_SUMMARY} from "../src/panel/place";
import {wrapRoutes} from "../src/panel/routePanels";
import {serve} from "./examples";

const record: BuildRecord = {
  series: "build_size", step: null, branch: "main", proposal: null, value: 130, unit: "bytes", kind: "size", better: "lower", previous: 100,
  change: 0.3, tags: {}, verdict: "worse", usual: [98, 102], baseline: 100, since_build: 7,
};
const BUILD = {buildid: 107, number: 7, builderid: 1, complete: true, complete_at: 1, results: 0};
/** The API's answer for the records of the build. */
const answered: {records: readonly unknown[]} = {records: []};
const PATH = "builders/:builderid/builds/:buildnumber";

/** Buildbot's page of a build as far as the panel needs it: `show` sets whether its summary is there. */
const buildbot: {show: (isShown: boolean) => void} = {show: () => undefined};
const BuildView = ({isShown}: {isShown: boolean}) => {
  const [hasSummary, setSummary] = React.useState(isShown);
  const [steps, setSteps] = React.useState(["git"]);
  React.useEffect(() => { buildbot.show = setSummary; }, []);
  return (
    <div className="container bb-build-view">
      <p>Buildbot</p>
      <div className="tab-pane">
        {hasSummary && (
          <div className="bb-build-summary">
            {steps.length > 1 && <p>added above</p>}
            <div className="card-header"><button onClick={() => setSteps(["git", "compile"])}>Build 7</button></div>
            {steps.length > 1 && <p>added below</p>}
            <ul className="list-group">{steps.map(step => <li key={step}>{step}</li>)}</ul>
          </div>
        )}
      </div>
    </div>
  );
};

/** A page of Buildbot with the panel; `answer` gives the records, `points` are those of the sparkline. */
function open(
  points: object | Error = {points: []}, page = <BuildView isShown/>, records: readonly unknown[] = [record],
  build: object = BUILD,
): {answer: () => void; unmount: () => void} {
  let answer: () => void = () => undefined;
  const held = new Promise<void>(done => { answer = done; });
  answered.records = records;
  serve({
    "api/v2/builders/1/builds/7": {builds: [build]},
    "api/v2/builders/1/builds?": {builds: []}, "api/v2/builders/1": {builders: [{builderid: 1, name: "linux"}]},
    points, links: {grafana: null, influxdb: null}, records: answered,
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
  const stock = new Map([[PATH, {route: PATH, group: null, element: () => page}]]);
  wrapRoutes(registration, stock, {[PATH]: {panel: () => <BuildPanel/>, spot: BELOW_BUILD_SUMMARY}});
  const {unmount} = render(
    <MemoryRouter initialEntries={["/builders/1/builds/7"]}><Routes>
      <Route path={PATH} element={registered[0]!.element()}/>
    </Routes></MemoryRouter>);
  return {answer, unmount};
}

const isVisible = () => screen.getByText("Buildbot").closest<HTMLElement>("[style*=hidden]") === null;
/** What is before the panel: of Buildbot's page, or null where the panel is above it. */
const before = () => place().parentElement!.previousElementSibling?.textContent ?? null;
const place = () => document.querySelector<HTMLElement>(".bbm-place")!;

/** Let time pass in steps: what an answer schedules belongs to a later step. */
async function pass(milliseconds: number): Promise<void> {
  for (let step = 0; step < 10; step += 1) {
    await act(() => vi.advanceTimersByTimeAsync(milliseconds / 10));
  }
}

describe("the panel on Buildbot's page", () => {
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

  test("of a build that ends while it is visible keeps its height until a click", async () => {
    const build = {...BUILD, complete: false, complete_at: null as number | null};
    open(undefined, undefined, [{...record, verdict: null}], build).answer();
    await pass(1_000);
    expect(screen.getByText("· 1 not judged")).toBeTruthy();
    Object.assign(build, {complete: true, complete_at: 1});
    answered.records = [record];
    await pass(6_000);
    expect(screen.getByText("▲ 1 worse")).toBeTruthy();
    expect(screen.queryByText("introduced here")).toBeNull();
    fireEvent.click(screen.getByRole("button", {name: /Show all/}));
    fireEvent.click(screen.getByRole("button", {name: /Hide all/}));
    expect(screen.getByText("introduced here")).toBeTruthy();
  });

  test("is below the summary, and Buildbot's page changes around it", async () => {
    open().answer();
    await pass(1_000);
    expect(before()).toBe("Build 7");
    fireEvent.click(screen.getByText("Build 7"));
    expect(screen.getAllByRole("listitem").map(each => each.textContent)).toContain("compile");
    expect(place().closest(".bb-build-summary")!.textContent).toMatch(/^added aboveBuild 7.*introduced here.*added below/);
  });

  test("is there when the summary appears, with what it has shown before", async () => {
    open(undefined, <BuildView isShown={false}/>).answer();
    await pass(1_000);
    expect(isVisible()).toBe(false);
    await act(async () => buildbot.show(true));
    expect(isVisible()).toBe(true);
    expect(before()).toBe("Build 7");
    fireEvent.click(screen.getByRole("button", {name: /Show all/}));
    await act(async () => buildbot.show(false));
    expect(place()).toBeNull();
    await act(async () => buildbot.show(true));
    expect(before()).toBe("Build 7");
    expect(screen.getByRole("button", {name: /Hide all/})).toBeTruthy();
    await pass(3_000);
    expect(before()).toBe("Build 7");
  });

  test("is above the page of a Buildbot without such a summary, and stays there", async () => {
    open(undefined, <BuildView isShown={false}/>).answer();
    await pass(2_100);
    expect(isVisible()).toBe(true);
    expect(before()).toBeNull();
    expect(screen.getByText("introduced here")).toBeTruthy();
    await act(async () => buildbot.show(true));
    expect(before()).toBeNull();
  });

  test("moves above the page if the summary does not come back", async () => {
    open().answer();
    await pass(3_000);
    await act(async () => buildbot.show(false));
    await pass(2_100);
    expect(before()).toBeNull();
    expect(screen.getByText("introduced here")).toBeTruthy();
  });

  test("leaves with the page", async () => {
    const {unmount} = open();
    await pass(500);
    unmount();
    await pass(3_000);
    expect(document.querySelector(".bbm-place")).toBeNull();
  });

  test("that fails is not shown, and the page is", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    open(undefined, undefined, [{series: null}]).answer();
    await pass(1_000);
    expect(isVisible()).toBe(true);
    expect(screen.getByText("git")).toBeTruthy();
    expect(place().textContent).toBe("");
  });
});
