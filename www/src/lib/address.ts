/** The state of a page, read from the address and written to it: who sends a link sends what they see. */

import type {Tags} from "./api";
import {parseTime} from "./time";

export interface Range {
  since: string | null;
  until: string | null;
}

export interface SeriesState extends Range {
  builders: string[];
  tags: Tags;
  /** The second builder of a comparison. */
  versus: string | null;
  /** The second range of a comparison. */
  versusRange: Range | null;
  band: boolean;
  fromZero: boolean;
}

export interface ListState {
  search: string;
  builder: string | null;
  kind: string | null;
  unit: string | null;
  sort: string;
}

const ROUTE = "/measurements";

/** The route of one series; names may hold slashes, percent signs and anything else. */
export function seriesRoute(series: string, parameters: Readonly<Record<string, string>> = {}): string {
  const query = new URLSearchParams(parameters).toString();
  return `${ROUTE}/${encodeURIComponent(series)}${query && "?"}${query}`;
}

/**
 * The series that a path names, null for the list.
 *
 * Reads the raw path: the router's own parameters come decoded twice, which spoils a name with a percent sign.
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
    since: query.get("since") || null,
    until: query.get("until") || null,
    tags,
    versus: query.get("vs") || null,
    versusRange,
    band: query.get("band") !== "0",
    fromZero: query.get("zero") === "1",
  };
}

export function writeSeriesState(state: SeriesState): URLSearchParams {
  const query = new URLSearchParams();
  state.builders.forEach(name => query.append("builder", name));
  const put = (key: string, value: string | null) => value && query.set(key, value);
  put("since", state.since);
  put("until", state.until);
  Object.entries(state.tags).forEach(([key, value]) => query.set(`tag.${key}`, value));
  put("vs", state.versus);
  put("vs_since", state.versusRange?.since ?? null);
  put("vs_until", state.versusRange?.until ?? null);
  put("band", state.band ? null : "0");
  put("zero", state.fromZero ? "1" : null);
  return query;
}

export function readListState(query: URLSearchParams): ListState {
  return {
    search: query.get("q") ?? "",
    builder: query.get("builder") || null,
    kind: query.get("kind") || null,
    unit: query.get("unit") || null,
    sort: query.get("sort") ?? "name",
  };
}

export function writeListState(state: ListState): URLSearchParams {
  const query = new URLSearchParams();
  const put = (key: string, value: string | null) => value && query.set(key, value);
  put("q", state.search);
  put("builder", state.builder);
  put("kind", state.kind);
  put("unit", state.unit);
  put("sort", state.sort === "name" ? null : state.sort);
  return query;
}

/** A range in unix seconds, null where it is open; what cannot be read is named in `wrong`. */
export function resolve(range: Range, now: number): {since: number | null; until: number | null; wrong: string | null} {
  const since = range.since === null ? null : parseTime(range.since, now);
  const until = range.until === null ? null : parseTime(range.until, now);
  const unread = range.since !== null && since === null ? range.since
    : range.until !== null && until === null ? range.until : null;
  if (unread !== null) {
    return {since: null, until: null,
      wrong: `“${unread.slice(0, 60)}” is no time: an age such as 7d, a date such as 2026-11-24, or unix seconds`};
  }
  if (since !== null && until !== null && since > until) {
    return {since: null, until: null, wrong: "The range ends before it begins."};
  }
  return {since, until, wrong: null};
}
