import * as React from "react";
import {fireEvent, render, screen, waitFor, within} from "@testing-library/react";
import {MemoryRouter} from "react-router-dom";
import {describe, expect, test, vi} from "vitest";
import {MultiSelect, RangePicker, Select} from "../src/components/Controls";
import {CopyLink, CsvLink} from "../src/components/PageLinks";
import {Pinned} from "../src/components/Pinned";
import {PointsTable} from "../src/components/PointsTable";
import {SeriesControls} from "../src/components/SeriesControls";
import {SeriesTable} from "../src/components/SeriesTable";
import {listItems} from "../src/lib/seriesList";
import {readListState, readSeriesState, type SeriesState} from "../src/lib/urlState";
import {columns, point, row, series, serve, START} from "./examples";

describe("controls", () => {
  test("of a range have presets, and ends in local time", () => {
    const onChange = vi.fn();
    render(<RangePicker legend="Range" range={{since: "7d", until: null}} now={START} onChange={onChange}/>);
    expect(screen.getByRole("button", {name: "7 d"}).getAttribute("aria-pressed")).toBe("true");
    fireEvent.click(screen.getByRole("button", {name: "All"}));
    expect(onChange).toHaveBeenLastCalledWith({since: null, until: null});
    fireEvent.change(screen.getByLabelText("to"), {target: {value: "2026-11-24T10:00"}});
    expect(onChange.mock.lastCall![0].until).toBe(String(new Date(2026, 10, 24, 10).getTime() / 1000));
  });

  test("keep a choice that is not among the choices any more", () => {
    render(<Select label="Branch" value="gone" choices={["main"]} any="all" onChange={() => undefined}/>);
    expect(screen.getByLabelText<HTMLSelectElement>("Branch").value).toBe("gone");
  });

  test("of several choices are found by a search, and closed by Escape", () => {
    const onChange = vi.fn();
    const choices = Array.from({length: 30}, (_, index) => `builder-${index}`);
    render(<MultiSelect label="Builders" chosen={["builder-1"]} choices={choices} onChange={onChange}/>);
    fireEvent.change(screen.getByLabelText("Find among Builders"), {target: {value: "-29"}});
    fireEvent.click(screen.getByLabelText("builder-29"));
    expect(onChange).toHaveBeenCalledWith(["builder-1", "builder-29"]);
    const box = screen.getByRole("group") as HTMLDetailsElement;
    box.open = true;
    fireEvent.keyDown(box, {key: "Escape"});
    expect(box.open).toBe(false);
  });

  test("of a series split it, choose axis and scale, and are fewer for texts", () => {
    const change = vi.fn<(next: Partial<SeriesState>) => void>();
    const controls = (kind: string) => (
      <SeriesControls series={series({kind, builders: ["a", "b"]})} state={readSeriesState(new URLSearchParams())} now={START}
                      tagChoices={{part: ["x", "y"]}} branches={["main", "next"]} change={change}/>
    );
    const {rerender} = render(controls("size"));
    const choose = (label: string, value: string) => fireEvent.change(screen.getByLabelText(label), {target: {value}});
    choose("Split by", "tag.part");
    choose("Axis", "commit");
    choose("Values", "log");
    choose("part", "y");
    choose("Branch", "next");
    expect(change.mock.calls.map(([next]) => next)).toEqual([
      {split: "tag.part"}, {axis: "commit"}, {scale: "log"}, {tags: {part: "y"}, shown: null}, {branch: "next", shown: null},
    ]);
    fireEvent.click(screen.getByLabelText("Proposals"));
    expect(change).toHaveBeenLastCalledWith({proposals: true});
    rerender(controls("text"));
    expect(screen.queryByLabelText("Axis")).toBeNull();
  });
});

describe("links of a page", () => {
  test("say that the address was copied, or that it could not be", async () => {
    const writeText = vi.fn(async () => undefined);
    vi.stubGlobal("navigator", {clipboard: {writeText}});
    const {unmount} = render(<CopyLink/>);
    fireEvent.click(screen.getByRole("button"));
    await screen.findByText("Copied.");
    expect(writeText).toHaveBeenCalledWith(window.location.href);
    unmount();
    vi.stubGlobal("navigator", {clipboard: {writeText: async () => { throw new Error("no"); }}});
    render(<CopyLink/>);
    fireEvent.click(screen.getByRole("button"));
    await screen.findByText(/does not allow/);
  });

  test("save what is shown, or lead to the API if not all points are loaded", () => {
    render(<CsvLink points={() => []} unit="s" url="plugins/x?format=csv" name="a/b c"/>);
    const link = screen.getByRole("link");
    expect([link.getAttribute("href"), link.getAttribute("download")]).toEqual(["plugins/x?format=csv", "a_b_c.csv"]);
  });
});

test("a table of points is made when it is opened, newest first, with links to builds", () => {
  const {container} = render(
    <MemoryRouter><PointsTable points={[point(1, 5), point(2, 6)]} unit="1" kind="" routeOf={({build}) => `/builds/${build}`} complete/></MemoryRouter>);
  expect(screen.queryByRole("table")).toBeNull();
  const details = container.querySelector("details")!;
  details.open = true;
  fireEvent(details, new Event("toggle"));
  const rows = screen.getAllByRole("row").slice(1).map(each => within(each).getAllByRole("cell")[1]!.textContent);
  expect(rows).toEqual(["6", "5"]);
  expect(screen.getByRole("link", {name: "#2"}).getAttribute("href")).toBe("/builds/2");
});

test("pinned charts show their lines, say which series are gone, and are unpinned", async () => {
  window.localStorage.setItem("bbmeasure.pinned", '["/measurements/size?builder=linux&tag.part=x", "/measurements/gone"]');
  const requested = serve({points: columns([point(0, 1), point(1, 2)])});
  render(<MemoryRouter><Pinned all={[series()]} theme="light" version={1}/></MemoryRouter>);
  await screen.findByRole("img", {name: /^size: from 1 .* to 2 .*, 1 lines$/});
  expect(requested).toEqual([expect.stringMatching(/series=size.*builder=linux.*tag\.part=x/)]);
  expect(screen.getByText(/no such series any more/)).toBeTruthy();
  fireEvent.click(screen.getByRole("button", {name: "Unpin gone"}));
  await waitFor(() => expect(screen.queryByText(/no such series any more/)).toBeNull());
});

test("a row of the list has the line of its value, verdict and usual range, and leads to both", () => {
  const rows = [
    row({tags: {part: "x"}, value: 9, verdict: "worse", usual: [1, 3], reason: "9 is more than usual"}), row({tags: {part: "y"}, verdict: "normal"}),
  ];
  const state = readListState(new URLSearchParams());
  render(
    <MemoryRouter>
      <SeriesTable items={listItems([series()], rows, state)} state={state} now={START} limit={10} onSort={() => undefined}/>
    </MemoryRouter>);
  const cells = within(screen.getAllByRole("row")[1]!).getAllByRole("cell");
  expect(cells[0]!.textContent).toMatch(/^9 bytesworseusual/);
  expect(screen.getByText("worse").getAttribute("title")).toBe("9 is more than usual");
  expect(screen.getByRole("link", {name: "size"}).getAttribute("href")).toBe("/measurements/size");
  expect(screen.getByRole("link", {name: "part=x"}).getAttribute("href")).toBe("/measurements/size?builder=linux&branch=main&tag.part=x");
  expect(screen.getByText(/\+1 line/)).toBeTruthy();
});
