/** Points, lines and answers that tests share. */

import {vi} from "vitest";
import {ApiError, type OverviewRow, type Point, type Series} from "../src/lib/api";
import type {ChartView, StyledLine} from "../src/lib/chartModel";
import {groupIntoLines} from "../src/lib/lines";

export const START = 1_790_000_000;

export const series = (more: Partial<Series> = {}): Series => ({
  name: "size", kind: "size", unit: "bytes", better: "lower", builders: ["linux"], count: 3, first: START, last: START + 2,
  last_value: 3, ...more,
});

export const row = (more: Partial<OverviewRow> = {}): OverviewRow => ({
  series: "size", kind: "size", unit: "bytes", better: "lower", builder: "linux", branch: "main", tags: {}, machine_class: "bot1",
  count: 3, first: START, time: START + 2, build: 3, buildid: 103, value: 3, previous: 2, change: 0.5, values: [1, 2, 3], ...more,
});

export const point = (time: number, value: number | string, more: Partial<Point> = {}): Point => ({
  time: START + time, value, builder: "linux", build: time, buildid: 100 + time, worker: "bot1", machine: "bot1",
  revision: null, branch: "main", proposal: null, samples: 1, spread: null, tags: {}, ...more,
});

export const styled = (points: readonly Point[], more: Partial<StyledLine> = {}): StyledLine => ({
  ...groupIntoLines(points)[0]!, label: "linux", colour: "#123456", dash: [], shift: 0, ...more,
});

export const view = (more: Partial<ChartView> = {}): ChartView => ({
  unit: "1", kind: "number", theme: "light", axis: "time", scale: "absolute", smooth: true, band: true, fromZero: false,
  since: null, until: null, focus: null, build: null, ...more,
});

/** The answer of the API with columns, from points. */
export function columns(points: readonly Point[], more: object = {}): object {
  const lines = points.map(({builder, branch, machine, proposal, tags}) => ({
    builder, branch, machine_class: machine, proposed: Boolean(proposal), tags,
  }));
  return {
    lines, columns: {
      line: points.map((_, index) => index), time: points.map(each => each.time), value: points.map(each => each.value),
      build: points.map(each => each.build), buildid: points.map(each => each.buildid),
    }, ...more,
  };
}

/** Answer requests by the first entry whose key is part of the URL; the list has the URLs of all requests. */
export function serve(answers: Readonly<Record<string, unknown>>): string[] {
  const requested: string[] = [];
  vi.stubGlobal("fetch", async (url: string) => {
    requested.push(url);
    const found = Object.entries(answers).find(([part]) => url.includes(part));
    const answer = found?.[1];
    if (answer instanceof Error || !found) {
      return {ok: false, status: answer instanceof ApiError ? answer.status : 500, statusText: "", json: async () => ({message: (answer as Error)?.message ?? "no answer"})};
    }
    return {ok: true, status: 200, json: async () => answer};
  });
  return requested;
}
