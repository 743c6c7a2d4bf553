import * as React from "react";
import {cleanup, render, waitFor} from "@testing-library/react";
import {describe, expect, test} from "vitest";
import {Chart} from "../src/components/Chart";
import {makeModel, type ChartView, type StyledLine} from "../src/lib/chartModel";
import {valueAxisRange} from "../src/lib/plotOptions";
import {point, START, styled, view} from "./examples";
import {drawings, drawnTexts, type Drawing} from "./setup";

const nothing = () => undefined;
const COLOUR = "#123456";
const LIMIT = "#b3210f";

const points = (...values: number[]) => values.map((value, index) => point(index, value));

/** A function from values to pixels, by the places of two labels of an axis. */
function scaleOf(place: 0 | 1, labels: readonly Drawing[]): (value: number) => number {
  const ticks = labels.flatMap(({text, numbers}) => /^[0-9.]+( %)?$/.test(text!) ? [{value: Number.parseFloat(text!), at: numbers[place]!}] : []);
  const [first, last] = [ticks[0]!, ticks[ticks.length - 1]!];
  return value => first.at + (value - first.value) / (last.value - first.value) * (last.at - first.at);
}

/** Draw lines by build; the pixels of builds and values, and what is drawn in a colour. */
async function draw(lines: readonly StyledLine[], more: Partial<ChartView> = {}) {
  cleanup();
  drawnTexts.length = drawings.length = 0;
  const model = makeModel(lines, view({axis: "build", smooth: false, ...more}));
  render(<Chart model={model} name="size by build" onZoom={nothing} onOpen={nothing} onChange={nothing}/>);
  await waitFor(() => expect(drawnTexts.length).toBeGreaterThan(4));
  const labels = drawings.filter(({kind, colour, text}) => kind === "text" && colour !== LIMIT && text !== "Build");
  const bottom = Math.max(...labels.map(({numbers}) => numbers[1]!));
  const isOfBuilds = ({numbers}: Drawing) => numbers[1] === bottom;
  return {
    x: scaleOf(0, labels.filter(isOfBuilds)), y: scaleOf(1, labels.filter(label => !isOfBuilds(label))),
    drawn: (kind: Drawing["kind"], colour: string) => drawings.filter(each => each.kind === kind && each.colour === colour),
  };
}

function expectNear(found: readonly number[] | undefined, expected: readonly number[]): void {
  expect(found?.length).toBe(expected.length);
  expected.forEach((value, index) => expect(Math.abs(found![index]! - value), `${String(found)} is not ${String(expected)}`).toBeLessThan(1.5));
}

describe("a chart draws", () => {
  const analysis = {
    median: 130, low: 120, high: 140, changes: [], levels: [
      {since: START, until: START + 2, median: 100, low: 90, high: 110}, {since: START + 3, until: START + 5, median: 130, low: 120, high: 140},
    ],
  };
  const line = styled(points(100, 100, 100, 130, 130, 130), {analysis});

  test("the band of what is usual at each level, and the level as a dashed line", async () => {
    const {x, y, drawn} = await draw([line]);
    const bands = drawn("rectangle", `${COLOUR}1f`).map(({numbers}) => numbers);
    expect(bands.length).toBe(2);
    expectNear(bands[0], [x(0), y(110), x(3) - x(0), y(90) - y(110)]);
    expectNear(bands[1], [x(3), y(140), x(5) - x(3), y(120) - y(140)]);
    const levels = drawn("stroke", `${COLOUR}b0`);
    expect(levels.map(({dash}) => dash)).toEqual([[4, 4], [4, 4]]);
    expectNear(levels[0]!.numbers, [x(0), y(100), x(3), y(100)]);
  });

  test("no band where it is switched off, of the other lines where one is highlighted, and of many lines", async () => {
    const many = ["a", "b", "c", "d", "e"].map(builder => styled(points(1, 2, 3).map(each => ({...each, builder})), {analysis}));
    for (const [lines, more] of [[[line], {band: false}], [[line], {focus: "another"}], [many, {}]] as const) {
      const {drawn} = await draw(lines, more);
      expect(drawn("rectangle", `${COLOUR}1f`)).toEqual([]);
    }
  });

  test("the spread of samples as a bar of a value", async () => {
    const {x, y, drawn} = await draw([styled([point(0, 10, {samples: 5, spread: 2}), point(1, 12), point(2, 14, {samples: 3, spread: 1})])]);
    const bars = drawn("stroke", COLOUR).filter(({dash}) => dash.length === 0);
    expect(bars.length).toBe(2);
    expectNear(bars[0]!.numbers, [x(0), y(8), x(0), y(12)]);
    expectNear(bars[1]!.numbers, [x(2), y(13), x(2), y(15)]);
  });

  test.each([["absolute", 11.5], ["percent", 115]] as const)("a line at a limit of the gate, with its value: %s", async (scale, at) => {
    const {y, drawn} = await draw([styled(points(10, 11, 9), {limits: [11.5]}), styled(points(10, 11).map(each => ({...each, builder: "b"})), {limits: [11.5]})], {scale});
    const lines = drawn("stroke", LIMIT);
    expect(lines.map(({dash}) => dash)).toEqual(scale === "absolute" ? [[8, 4]] : [[8, 4], [8, 4]]);
    const [left, top, right, end] = lines[0]!.numbers as [number, number, number, number];
    expect(right - left).toBeGreaterThan(400);
    expectNear([top, end], [y(at), y(at)]);
    expect(drawn("text", LIMIT)[0]!.text).toBe("limit 11.5");
  });

  test("no limit of a line that is not highlighted", async () => {
    const {drawn} = await draw([styled(points(10, 11, 9), {limits: [11.5]})], {focus: "another"});
    expect(drawn("stroke", LIMIT)).toEqual([]);
  });

  test("a ring around the value of the build that is marked, at the edge for an outlier", async () => {
    const {x, y, drawn} = await draw([styled(points(10, 12, 14))], {build: 101});
    const rings = drawn("arc", COLOUR);
    expect(rings.length).toBe(1);
    expectNear(rings[0]!.numbers, [x(1), y(12), 7]);
    const outlier = await draw([styled(points(...Array.from({length: 20}, (_, index) => index === 9 ? 5_000 : 10 + index % 3)))], {build: 109});
    const [, top] = outlier.drawn("arc", COLOUR)[0]!.numbers as [number, number, number];
    const [triangle] = outlier.drawn("fill", COLOUR);
    expect(Math.abs(top - triangle!.numbers[1]!)).toBeLessThan(3);
    expect(outlier.y(12) - top).toBeGreaterThan(0);
    expect(outlier.y(12) - top).toBeLessThan(60);
  });
});

test("the value axis contains a limit that is near", () => {
  const limited = (limit: number) => valueAxisRange(makeModel([styled(points(10, 11), {limits: [limit]})], view()))[1];
  expect(limited(11.5)).toBeGreaterThan(11.5);
  expect(limited(50)).toBeLessThan(12);
});
