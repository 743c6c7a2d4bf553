/** The state of a page in its URL, so that a link shows the same view. */

import type {Tags} from "./api";
import {AXES, type AxisName} from "./chartModel";
import {SCALES, type ScaleName} from "./scale";
import {parseTime} from "./time";

export interface Range {
  since: string | null;
  until: string | null;
}

export interface SeriesState extends Range {
  builders: string[];
  /** The branch that builds are judged on; null for all. */
  branch: string | null;
  /** Whether points of proposals are shown. */
  proposals: boolean;
  /** Kind and unit, where several series have the same name. */
  kind: string | null;
  unit: string | null;
  tags: Tags;
  /** The builder that the first one is compared with. */
  versus: string | null;
  /** The range that the first one is compared with. */
  versusRange: Range | null;
  band: boolean;
  smooth: boolean;
  fromZero: boolean;
  axis: AxisName;
  scale: ScaleName;
  /** What there is a chart for each value of: builder, branch, machine, tag.KEY; null for one chart. */
  split: string | null;
  /** Short names of the lines that are drawn; null for those with the most severe deviations. */
  shown: string[] | null;
  /** The id of the build whose points are marked. */
  build: number | null;
}

export interface ListState {
  search: string;
  builder: string | null;
  branch: string | null;
  kind: string | null;
  unit: string | null;
  sort: string;
  view: "list" | "builders";
}

const ROUTE = "/measurements";

/** The route of one series; its name may contain any character. */
export function seriesRoute(series: string, parameters: Readonly<Record<string, string>> = {}, tags: Tags = {}): string {
  const ofTags = Object.entries(tags).map(([key, value]) => [`tag.${key}`, value]);
  const query = new URLSearchParams({...parameters, ...Object.fromEntries(ofTags)}).toString();
  return `${ROUTE}/${encodeURIComponent(series)}${query && "?"}${query}`;
}

/**
 * The name of the series in a path, null for the list.
 *
 * It decodes the raw path, because the router decodes its own parameters twice, which breaks percent signs.
 */
export function seriesOfPath(pathname: string): string | null {
  const name = pathname.replace(/^\/measurements\/?/, "");
  if (!name) {
    return null;
  }
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

const oneOf = <Name extends string>(choices: readonly [Name, string][], text: string | null): Name =>
  choices.find(([name]) => name === text)?.[0] ?? choices[0]![0];

/** A short name of a line for the URL. */
export function shortName(key: string): string {
  let hash = 5381;
  for (const letter of key) {
    hash = (hash * 33 ^ letter.codePointAt(0)!) >>> 0;
  }
  return hash.toString(36);
}

export function readSeriesState(query: URLSearchParams): SeriesState {
  const tags: Record<string, string> = {};
  query.forEach((value, key) => {
    if (key.startsWith("tag.") && key.length > 4) {
      tags[key.slice(4)] = value;
    }
  });
  const versusRange = query.has("vs_since") || query.has("vs_until")
    ? {since: query.get("vs_since") || null, until: query.get("vs_until") || null}
    : null;
  return {
    builders: query.getAll("builder").filter(name => name),
    branch: query.get("branch") || null,
    proposals: query.get("proposals") === "1",
    kind: query.get("kind") || null,
    unit: query.get("unit") || null,
    since: query.get("since") || null,
    until: query.get("until") || null,
    tags,
    versus: query.get("vs") || null,
    versusRange,
    band: query.get("band") !== "0",
    smooth: query.get("smooth") !== "0",
    fromZero: query.get("zero") === "1",
    axis: oneOf(AXES, query.get("axis")),
    scale: oneOf(SCALES, query.get("scale")),
    split: query.get("split") || null,
    build: /^\d{1,15}$/.test(query.get("build") ?? "") ? Number(query.get("build")) : null,
    shown: query.has("lines") ? query.get("lines")!.split(",").filter(name => name) : null,
  };
}

export function writeSeriesState(state: SeriesState): URLSearchParams {
  const query = new URLSearchParams();
  state.builders.forEach(name => query.append("builder", name));
  const put = (key: string, value: string | null) => value && query.set(key, value);
  put("branch", state.branch);
  put("proposals", state.proposals ? "1" : null);
  put("kind", state.kind);
  put("unit", state.unit);
  put("since", state.since);
  put("until", state.until);
  Object.entries(state.tags).forEach(([key, value]) => query.set(`tag.${key}`, value));
  put("vs", state.versus);
  put("vs_since", state.versusRange?.since ?? null);
  put("vs_until", state.versusRange?.until ?? null);
  put("band", state.band ? null : "0");
  put("smooth", state.smooth ? null : "0");
  put("zero", state.fromZero ? "1" : null);
  put("axis", state.axis === "time" ? null : state.axis);
  put("scale", state.scale === "absolute" ? null : state.scale);
  put("split", state.split);
  put("build", state.build === null ? null : String(state.build));
  if (state.shown !== null) {
    query.set("lines", state.shown.join(","));
  }
  return query;
}

export function readListState(query: URLSearchParams): ListState {
  return {
    search: query.get("q") ?? "",
    builder: query.get("builder") || null,
    branch: query.get("branch") || null,
    kind: query.get("kind") || null,
    unit: query.get("unit") || null,
    sort: query.get("sort") ?? "name",
    view: query.get("view") === "builders" ? "builders" : "list",
  };
}

export function writeListState(state: ListState): URLSearchParams {
  const query = new URLSearchParams();
  const put = (key: string, value: string | null) => value && query.set(key, value);
  put("q", state.search);
  put("builder", state.builder);
  put("branch", state.branch);
  put("kind", state.kind);
  put("unit", state.unit);
  put("sort", state.sort === "name" ? null : state.sort);
  put("view", state.view === "list" ? null : state.view);
  return query;
}

/** A range in unix seconds, null where it is open; `error` is set if it is invalid. */
export function resolveRange(range: Range, now: number): {since: number | null; until: number | null; error: string | null} {
  const since = range.since === null ? null : parseTime(range.since, now);
  const until = range.until === null ? null : parseTime(range.until, now);
  const invalid = range.since !== null && since === null ? range.since
    : range.until !== null && until === null ? range.until : null;
  if (invalid !== null) {
    return {since: null, until: null,
      error: `“${invalid.slice(0, 60)}” is no time: an age such as 7d, a date such as 2026-11-24, or unix seconds`};
  }
  if (since !== null && until !== null && since > until) {
    return {since: null, until: null, error: "The range ends before it begins."};
  }
  return {since, until, error: null};
}
