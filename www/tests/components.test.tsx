import * as React from "react";
import {act, fireEvent, render, screen, waitFor, within} from "@testing-library/react";
import {MemoryRouter} from "react-router-dom";
import {describe, expect, test, vi} from "vitest";
import {Chart, zoomedRange} from "../src/components/Chart";
import {ChangeDetails} from "../src/components/ChangeDetails";
import {ComparisonTable} from "../src/components/ComparisonTable";
import {Legend, legendRows} from "../src/components/Legend";
import {BuilderMatrix} from "../src/components/BuilderMatrix";
import {Sparkline} from "../src/components/Sparkline";
import {TextChanges} from "../src/components/TextChanges";
import {ApiError} from "../src/lib/api";
import {changesOf, makeModel, type ChartView, type StyledLine} from "../src/lib/chartModel";
import {csvOf} from "../src/lib/csv";
import {knownLines} from "../src/lib/lines";
import {listItems} from "../src/lib/seriesList";
import {summarize} from "../src/lib/statistics";
import {readListState} from "../src/lib/urlState";
import {columns, point, row, series, serve, START, styled, view} from "./examples";
import {drawnTexts} from "./setup";

const nothing = () => undefined;

const ChartOf = ({lines, more = {}, ...events}: {
  lines: StyledLine[]; more?: Partial<ChartView>; onZoom?: () => void; onOpen?: () => void;
}) => <Chart model={makeModel(lines, view(more))} name="size over time" onZoom={nothing} onOpen={nothing} onChange={nothing} {...events}/>;

const values = (...of: number[]) => of.map((value, index) => point(index, value));

describe("a chart", () => {
  test.each(Array.from({length: 31}, (_, index) => index - 12))("has labels on its value axis at 1e%i", async power => {
    const scale = 10 ** power;
    for (const unit of ["1", "s", "bytes"]) {
      const {unmount} = render(<ChartOf lines={[styled(values(scale, 1.3 * scale, 1.1 * scale))]} more={{unit}}/>);
      await waitFor(() => expect(drawnTexts.length).toBeGreaterThan(2));
      const times = drawnTexts.filter(text => /:|\b20\d\d$/.test(text));
      expect(drawnTexts.length - times.length, drawnTexts.join(" | ")).toBeGreaterThan(1);
      unmount();
    }
  });

  test("has labels in percent and on a logarithmic axis", async () => {
    const lines = [styled(values(100, 110, 120))];
    render(<ChartOf lines={lines} more={{scale: "percent"}}/>);
    await waitFor(() => expect(drawnTexts).toContain("110 %"));
    render(<ChartOf lines={[styled(values(1, 1000, 100))]} more={{scale: "log"}}/>);
    await waitFor(() => expect(drawnTexts).toContain("100"));
  });

  test("is updated in place when its data changes, and made again when its lines do", () => {
    const {container, rerender} = render(<ChartOf lines={[styled(values(1, 2))]}/>);
    const plot = container.querySelector(".uplot");
    rerender(<ChartOf lines={[styled(values(1, 2, 3))]} more={{focus: "x", fromZero: true}}/>);
    expect(container.querySelector(".uplot")).toBe(plot);
    rerender(<ChartOf lines={[styled(values(1, 2, 3)), styled(values(4).map(each => ({...each, builder: "b"})))]}/>);
    expect(container.querySelector(".uplot")).not.toBe(plot);
    expect(container.querySelectorAll(".uplot").length).toBe(1);
  });

  test("moves along its points by keys, says them, opens and zooms", async () => {
    const [onZoom, onOpen] = [vi.fn(), vi.fn()];
    render(<ChartOf lines={[styled(values(1, 2, 3))]} onZoom={onZoom} onOpen={onOpen}/>);
    const chart = screen.getByRole("group", {name: "size over time"});
    await waitFor(() => expect(drawnTexts.length).toBeGreaterThan(2));
    const press = (key: string) => fireEvent.keyDown(chart, {key});
    press("Home");
    expect(chart.querySelector("[aria-live]")!.textContent).toMatch(/^1, build 0,/);
    press("ArrowRight");
    expect(chart.querySelector("[aria-live]")!.textContent).toMatch(/^2, build 1,/);
    press("Enter");
    expect(onOpen.mock.calls[0]![0]).toMatchObject({build: 1});
    press("+");
    const [since, until] = onZoom.mock.calls[0] as [number, number];
    expect(since).toBeLessThan(START + 1);
    expect(until).toBeGreaterThan(START + 1);
    press("0");
    expect(onZoom).toHaveBeenLastCalledWith(null, null);
    press("Escape");
    expect(chart.querySelector("[aria-live]")!.textContent).toBe("");
  });

  test("zooms about the chosen point, else about its middle", () => {
    expect(zoomedRange({min: 0, max: 100}, 0.5, 0, 90)).toEqual([45, 95]);
    expect(zoomedRange({min: 0, max: 100}, 0.5, 0, null)).toEqual([25, 75]);
    expect(zoomedRange({min: 0, max: 100}, 1, 0.5, null)).toEqual([50, 150]);
  });
});

const change = {
  at: START + 3, before: 100, after: 130, change: 0.3, build: 3, buildid: 103, revision: "abc",
  previous_build: 1, previous_buildid: 101, previous_revision: "abb",
};
const analysis = {
  median: 130, low: 120, high: 140, changes: [change], levels: [
    {since: START, until: START + 2, median: 100, low: 90, high: 110}, {since: START + 3, until: START + 5, median: 130, low: 120, high: 140},
  ],
};

describe("a change of level", () => {
  const line = styled(values(100, 100, 100, 130, 130, 130), {analysis});

  test("is marked on the axis of times and of builds, of the highlighted line only", () => {
    expect(changesOf(makeModel([line], view())).map(({x}) => x)).toEqual([START + 3]);
    expect(changesOf(makeModel([line], view({axis: "build"}))).map(({x}) => x)).toEqual([3]);
    expect(changesOf(makeModel([line], view({focus: "other"})))).toEqual([]);
  });

  test("is a button on the chart", async () => {
    const onChange = vi.fn();
    render(<Chart model={makeModel([line], view())} name="size over time" onZoom={nothing} onOpen={nothing} onChange={onChange}/>);
    fireEvent.click(await screen.findByRole("button", {name: /^Change of \+30 %/}));
    expect(onChange.mock.calls[0]![0].change).toBe(change);
  });

  test("has the commits since the last build at the old level", async () => {
    const requested = serve({
      "builders/linux": {builders: [{builderid: 7, name: "linux"}]},
      "v1/commits": {commits: [
        {revision: "r2", author: "Ann", subject: "second", url: "javascript:alert(1)"},
        {revision: "r1", author: "Ann", subject: "first", url: "https://example.org/1"},
      ]},
    });
    const [marked] = changesOf(makeModel([line], view()));
    render(<MemoryRouter><ChangeDetails marked={marked!} alert={null} unit="1" kind="number" onClose={nothing}/></MemoryRouter>);
    await screen.findByText("second");
    expect(screen.getAllByRole("listitem").map(item => item.textContent)).toEqual(
      [expect.stringContaining("second by Ann"), expect.stringContaining("first by Ann")]);
    expect(screen.getAllByRole("link").map(link => link.getAttribute("href"))).toEqual(
      ["/builders/7/builds/1", "/builders/7/builds/3", "https://example.org/1"]);
    expect(requested.filter(url => url.includes("commits"))).toEqual([expect.stringContaining("buildid=103&after=101")]);
  });

  test("has its builds where Buildbot has deleted them", async () => {
    serve({
      "builders/linux": {builders: [{builderid: 7, name: "linux"}]},
      "v1/commits": new ApiError(404, "build 103: no such build"),
    });
    const [marked] = changesOf(makeModel([line], view()));
    render(<MemoryRouter><ChangeDetails marked={marked!} alert={null} unit="1" kind="number" onClose={nothing}/></MemoryRouter>);
    await screen.findByText("Buildbot knows no commits of these builds.");
    expect(screen.getAllByRole("link").map(link => link.textContent)).toEqual(["#1", "#3"]);
  });
});

describe("the legend", () => {
  const lines = [styled(values(1, 2, 3)), styled(values(9, 9).map(each => ({...each, builder: "windows"})))];
  const known = knownLines([row({}), row({builder: "windows"}), row({builder: "mac", value: 7})]);
  const statistics = new Map(lines.map(line => [line.key, summarize(line.dots.map(dot => dot.value))]));
  const rows = legendRows(lines, known, known.slice(0, 2), statistics);

  test("is a table of all lines, of which those that are not drawn have no statistics", () => {
    render(<Legend rows={rows} unit="1" kind="number" focus={null} onFocus={nothing} onToggle={nothing}/>);
    expect(screen.getAllByRole("rowheader").map(cell => cell.textContent)).toEqual(["linux", "windows", "mac"]);
    expect(screen.getByText(/2 of 3 lines shown/)).toBeTruthy();
    const mac = screen.getByRole("row", {name: /mac/});
    expect(within(mac).getAllByRole("cell").map(cell => cell.textContent).slice(0, 3)).toEqual(["7", "3", "–"]);
  });

  test("sorts by a column, first descending", () => {
    render(<Legend rows={rows} unit="1" kind="number" focus={null} onFocus={nothing} onToggle={nothing}/>);
    const order = () => screen.getAllByRole("rowheader").map(cell => cell.textContent);
    fireEvent.click(screen.getByRole("button", {name: /Average/}));
    expect(order()).toEqual(["windows", "linux", "mac"]);
    fireEvent.click(screen.getByRole("button", {name: /Average/}));
    expect(order()).toEqual(["linux", "windows", "mac"]);
    expect(screen.getByRole("columnheader", {name: /Average/}).getAttribute("aria-sort")).toBe("ascending");
  });

  test("hides, shows and highlights lines", () => {
    const [onFocus, onToggle] = [vi.fn(), vi.fn()];
    render(<Legend rows={rows} unit="1" kind="number" focus={null} onFocus={onFocus} onToggle={onToggle}/>);
    fireEvent.click(screen.getByRole("checkbox", {name: "Show mac"}));
    expect(onToggle).toHaveBeenCalledWith(known[2]!.key);
    fireEvent.click(screen.getByRole("button", {name: "windows"}));
    expect(onFocus).toHaveBeenCalledWith(lines[1]!.key);
  });
});

test("differences of a comparison have no colour, as they are no verdicts", () => {
  const side = (label: string, ...of: number[]) => ({label, statistics: summarize(of)});
  const {container} = render(<ComparisonTable first={side("new", 20, 22)} second={side("old", 10, 12)} unit="s" kind="duration"/>);
  expect(screen.getByRole("row", {name: /^Average/}).textContent).toContain("+91 %");
  expect(container.querySelectorAll(".bbm-worse, .bbm-better").length).toBe(0);
  render(<ComparisonTable first={side("new", 1)} second={{label: "old", statistics: null}} unit="s" kind="duration"/>);
  expect(screen.getAllByLabelText("nothing to compare with").length).toBeGreaterThan(5);
});

test("a line has the limits of all its machine classes", () => {
  const [line] = knownLines([row({limits: [null, 9]}), row({machine_class: "bot2", limits: [1, 9]}), row({machine_class: "bot3"})]);
  expect(line!.limits).toEqual([9, 1]);
});

test("a series of texts is its changes, newest first", () => {
  const points = [point(1, "gcc 12"), point(2, "gcc 12"), point(3, "gcc 13"), point(2, "vc 1", {builder: "windows"})];
  render(<MemoryRouter><TextChanges points={points} kind="text" routeOf={() => null} complete/></MemoryRouter>);
  const cells = screen.getAllByRole("row").slice(1).map(each => within(each).getAllByRole("cell").map(cell => cell.textContent));
  expect(cells.map(each => each.slice(1))).toEqual([
    ["linux", "gcc 13", "gcc 12", "#3", "1"], ["windows", "vc 1", "–", "#2", "1"], ["linux", "gcc 12", "–", "#1", "2"],
  ]);
});

test("a sparkline has a band of what is usual", () => {
  const {container} = render(<Sparkline values={[5, 6]} unit="1" kind="" usual={[4, 8]}/>);
  expect(container.querySelector("rect")).toBeTruthy();
  expect(container.querySelectorAll("path").length).toBe(1);
  expect(render(<Sparkline values={[5, 6]} unit="1" kind="" usual={[4, null]}/>).container.querySelector("rect")).toBeNull();
});

test("builders × series has the worst builder first, and marks what is far from its own level", () => {
  const calm = [10, 11, 10, 9, 10, 11, 10];
  const rows = [
    row({builder: "calm", values: calm, value: 10}), row({builder: "bad", values: [...calm.slice(0, 6), 20], value: 20}),
  ];
  const items = listItems([series({builders: ["calm", "bad"]})], rows, readListState(new URLSearchParams()));
  render(<MemoryRouter><BuilderMatrix items={items}/></MemoryRouter>);
  expect(screen.getAllByRole("rowheader").map(cell => cell.textContent)).toEqual(["bad", "calm"]);
  const bad = screen.getByRole("link", {name: /\+100 %\s*\(unusual\)/});
  expect(bad.getAttribute("href")).toBe("/measurements/size?builder=bad&branch=main");
});

test("points as CSV have no formulas and a column for each tag", () => {
  const text = csvOf([point(0, -1, {tags: {a: "=1"}}), point(1, 2, {builder: 'x"y'})], "s");
  const [head, first, second] = text.split("\r\n");
  expect(head).toMatch(/^time,value,unit,.*,tag\.a$/);
  expect(first).toMatch(/Z,-1,s,.*,'=1$/);
  expect(second).toContain(',"x""y",');
});

test("the answer with columns is decoded", async () => {
  serve({points: columns([point(0, 1), point(1, 2, {tags: {a: "b"}})])});
  const {getColumns} = await import("../src/lib/api");
  const {points} = await act(() => getColumns("size", {}, 10, false));
  expect(points.map(each => [each.time, each.value, each.tags])).toEqual([[START, 1, {}], [START + 1, 2, {a: "b"}]]);
});
