/** Client of the JSON API of bbmeasure, and of the few endpoints of Buildbot's own API that the page needs. */

import {decodeColumns, type ColumnsAnswer} from "./columns";

export type Better = "lower" | "higher" | null;
export type Tags = Readonly<Record<string, string>>;

export interface Series {
  name: string;
  kind: string;
  unit: string;
  better: Better;
  builders: string[];
  count: number;
  first: number | null;
  last: number | null;
  last_value: number | string | null;
  /** Whether another series has the same name, with another kind or unit. */
  ambiguous?: boolean;
}

export interface Point {
  time: number;
  value: number | string;
  builder: string | null;
  build: number | null;
  buildid: number | null;
  worker: string | null;
  revision?: string | null;
  branch?: string | null;
  proposal?: string | null;
  machine?: string | null;
  /** The number of measurements that the value is the median of, and their median absolute deviation. */
  samples?: number;
  spread?: number | null;
  tags: Tags;
}

/** A row of the overview: a line with its newest value.  The verdict is missing on masters that do not judge. */
export interface OverviewRow {
  series: string;
  kind: string;
  unit: string;
  better: Better;
  builder: string | null;
  branch: string | null;
  tags: Tags;
  machine_class: string | null;
  count: number;
  first: number;
  time: number;
  build: number | null;
  buildid: number | null;
  value: number | string;
  previous: number | null;
  change: number | null;
  /** The values of the newest builds, oldest first. */
  values: number[];
  verdict?: string | null;
  usual?: readonly [number | null, number | null] | null;
  /** The least and the largest value that the gate allows. */
  limits?: readonly [number | null, number | null] | null;
  baseline?: number | null;
  since_build?: number | null;
  reason?: string | null;
}

export interface Overview {
  total: number;
  rows: OverviewRow[];
}

export interface Suspect {
  revision?: string | null;
  author?: string | null;
  subject?: string | null;
  url?: string | null;
}

export type AlertState = "open" | "accepted" | "ignored" | "resolved";

/** A confirmed change of a line, or a passed limit. */
export interface Alert {
  id: number;
  series: string;
  kind: string;
  unit: string;
  better: Better;
  builder: string | null;
  branch: string | null;
  tags: Tags;
  machine_class: string | null;
  rule: string;
  /** The limit that was passed. */
  bound?: number | null;
  outcome: string;
  before: number | null;
  after: number | null;
  change: number | null;
  state: AlertState;
  build: number | null;
  buildid: number | null;
  time: number;
  reason: string;
  suspects: Suspect[];
  differs: Readonly<Record<string, unknown>>;
  by: string | null;
  why: string | null;
  /** The end of the mute of its series. */
  until: number | null;
}

export interface Level {
  since: number;
  until: number;
  median: number;
  low: number | null;
  high: number | null;
}

/** A change of level; `at` is the time of the first build of the new level. */
export interface LevelChange {
  at: number;
  before: number;
  after: number;
  change: number | null;
  build: number | null;
  buildid: number | null;
  revision: string | null;
  previous_build: number | null;
  previous_buildid: number | null;
  previous_revision: string | null;
}

/** The levels of a line and the changes between them. */
export interface Analysis {
  median: number | null;
  low: number | null;
  high: number | null;
  levels: readonly Level[];
  changes: readonly LevelChange[];
}

export interface Bucket {
  time: number;
  count: number;
  average: number | null;
  minimum: number | null;
  maximum: number | null;
}

export interface BuildRecord {
  series: string;
  step: string | null;
  branch: string | null;
  proposal: string | null;
  value: number | string;
  unit: string;
  kind: string;
  better: Better;
  previous: number | string | null;
  change: number | null;
  tags: Tags;
  /** The verdict is null for texts and where nothing was judged, and missing on masters that do not judge. */
  verdict?: string | null;
  usual?: readonly [number, number] | null;
  baseline?: number | null;
  since_build?: number | null;
  reason?: string | null;
  alert?: number | null;
}

export interface Links {
  grafana: string | null;
  influxdb: string | null;
}

export type Statistics = Readonly<Record<string, number | string | null>>;

/** The `proposal` of a query that leaves no proposal out. */
export const EVERY_PROPOSAL = "*";

/** Filters of points; times are unix seconds.  Points of proposals are left out unless `proposal` selects them. */
export interface Filters {
  builder?: string | null;
  branch?: string | null;
  proposal?: string | null;
  machine?: string | null;
  kind?: string | null;
  unit?: string | null;
  since?: number | null;
  until?: number | null;
  tags?: Tags;
}

export class ApiError extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

const ROOT = "plugins/bbmeasure/api/v1/";

export function encodeQuery(parameters: Readonly<Record<string, string | number | null | undefined>>, tags: Tags = {}): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined) {
      query.set(key, String(value));
    }
  }
  for (const [key, value] of Object.entries(tags)) {
    query.set(`tag.${key}`, value);
  }
  return query.toString();
}

async function errorMessage(response: Response): Promise<string> {
  try {
    const body = await response.json();
    const message = body?.message ?? body?.error?.message ?? body?.error;
    return typeof message === "string" ? message : response.statusText;
  } catch {
    return response.statusText;
  }
}

/** The JSON at `path`, which is relative to the URL of Buildbot's page. */
export async function getJson<Answer>(path: string, signal?: AbortSignal): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(path, {signal, credentials: "same-origin", headers: {Accept: "application/json"}});
  } catch (error) {
    if (signal?.aborted) {
      throw error;
    }
    throw new ApiError(0, "Buildbot does not answer.");
  }
  if (!response.ok) {
    throw new ApiError(response.status, (await errorMessage(response)) || `HTTP status ${response.status}`);
  }
  return await response.json() as Answer;
}

const apiGet = <Answer>(path: string, query: string, signal?: AbortSignal) =>
  getJson<Answer>(`${ROOT}${path}${query && "?"}${query}`, signal);

const requestSeries = (query: string, signal?: AbortSignal) =>
  apiGet<{series: Series[]}>("series", query, signal).then(answer => markAmbiguous(answer.series));

/** Set `ambiguous` of the series whose name occurs more than once. */
export function markAmbiguous(all: readonly Series[]): Series[] {
  const counts = new Map<string, number>();
  all.forEach(({name}) => counts.set(name, (counts.get(name) ?? 0) + 1));
  return all.map(series => counts.get(series.name)! > 1 ? {...series, ambiguous: true} : series);
}

/** The filters that select one of several series of the same name. */
export const meaningOf = ({ambiguous, kind, unit}: Pick<Series, "ambiguous" | "kind" | "unit">): {kind?: string; unit?: string} => ambiguous ? {kind, unit} : {};

/** All series, as trusted builds measured them. */
export const getSeries = (signal?: AbortSignal) => requestSeries("", signal);

/** All series with the points of proposals, and those that only proposals have measured. */
export const getEverySeries = (signal?: AbortSignal) => requestSeries(`proposal=${EVERY_PROPOSAL}`, signal);

/** The most alerts that the API answers, the newest ones. */
export const MAX_ALERTS = 1_000;

/** The most lines of one request for the overview. */
export const MAX_OVERVIEW_ROWS = 2_000;

export interface OverviewFilters {
  series?: string | null;
  search?: string | null;
  builder?: string | null;
  branch?: string | null;
  kind?: string | null;
  unit?: string | null;
  page?: number;
}

export const getOverview = (filters: OverviewFilters, signal?: AbortSignal) =>
  apiGet<Overview>("overview", encodeQuery({...filters, limit: MAX_OVERVIEW_ROWS}), signal);

export function getColumns(series: string, {tags, ...filters}: Filters, limit: number, analyse: boolean, signal?: AbortSignal) {
  const query = encodeQuery({series, ...filters, limit, format: "columns", analysis: analyse ? 1 : null}, tags);
  return apiGet<ColumnsAnswer>("points", query, signal).then(decodeColumns);
}

/** The address of the points as CSV. */
export const csvUrl = (series: string, {tags, ...filters}: Filters) =>
  `${ROOT}points?${encodeQuery({series, ...filters, limit: 100_000, format: "csv"}, tags)}`;

export function getPoints(series: string, {tags, ...filters}: Filters, limit: number, signal?: AbortSignal) {
  const query = encodeQuery({series, ...filters, limit}, tags);
  return apiGet<{points: Point[]}>("points", query, signal).then(answer => answer.points);
}

export function getBuckets(series: string, {tags, ...filters}: Filters, buckets: number, signal?: AbortSignal) {
  const query = encodeQuery({series, ...filters, buckets}, tags);
  return apiGet<{buckets: Bucket[]}>("points", query, signal).then(answer => answer.buckets);
}

export function getStatistics(
  series: string, {tags, ...filters}: Filters, statistics: readonly string[], signal?: AbortSignal,
) {
  const query = encodeQuery({series, ...filters, statistics: statistics.join(",")}, tags);
  return apiGet<{statistics: Statistics}>("statistics", query, signal).then(answer => answer.statistics);
}

export const getRecords = (buildid: number, signal?: AbortSignal) =>
  apiGet<{records: BuildRecord[]}>("records", encodeQuery({buildid}), signal).then(answer => answer.records);

/** The most commits that the API answers, the newest ones. */
export const MAX_COMMITS = 50;

/** The commits of a build that the earlier build `after` lacks, newest first. */
export const getCommits = (buildid: number, after: number | null, signal?: AbortSignal) =>
  apiGet<{commits: Suspect[]}>("commits", encodeQuery({buildid, after}), signal).then(answer => answer.commits);

export const getAlerts = (filters: Readonly<Record<string, string | null>>, signal?: AbortSignal) =>
  apiGet<{alerts: Alert[]}>("alerts", encodeQuery(filters), signal).then(answer => answer.alerts);

/** Accept or ignore an alert, with a reason. */
export async function decideAlert(id: number, state: "accepted" | "ignored", why: string): Promise<void> {
  const response = await fetch(`${ROOT}alerts/${id}`, {
    method: "POST", credentials: "same-origin", headers: {"Content-Type": "application/json", Accept: "application/json"},
    body: JSON.stringify({state, why}),
  });
  if (!response.ok) {
    throw new ApiError(response.status, (await errorMessage(response)) || `HTTP status ${response.status}`);
  }
}

export const getLinks = (parameters: Readonly<Record<string, string | number | null | undefined>>, signal?: AbortSignal) =>
  apiGet<Links>("links", encodeQuery(parameters), signal);

export const getHealth = (signal?: AbortSignal) => apiGet<unknown>("health", "", signal);

export interface Builder {
  builderid: number;
  name: string;
}

export interface Build {
  buildid: number;
  number: number;
  builderid: number;
  complete: boolean;
  complete_at: number | null;
  results?: number | null;
}

/** A builder by its id or name; routes of Buildbot contain either. */
export const getBuilder = (idOrName: string, signal?: AbortSignal) =>
  getJson<{builders: Builder[]}>(`api/v2/builders/${encodeURIComponent(idOrName)}`, signal)
    .then(answer => answer.builders[0] ?? null);

export const getBuild = (builderid: number, number: number, signal?: AbortSignal) =>
  getJson<{builds: Build[]}>(`api/v2/builders/${builderid}/builds/${number}`, signal)
    .then(answer => answer.builds[0] ?? null);

export const getBuildById = (buildid: number, signal?: AbortSignal) =>
  getJson<{builds: Build[]}>(`api/v2/builds/${buildid}`, signal).then(answer => answer.builds[0] ?? null);

export const getLastBuild = (builderid: number, signal?: AbortSignal) =>
  getJson<{builds: Build[]}>(`api/v2/builders/${builderid}/builds?complete=true&order=-number&limit=1`, signal)
    .then(answer => answer.builds[0] ?? null);

/** The newest successful build of a builder before the one with that number. */
export const getPreviousSuccess = (builderid: number, number: number, signal?: AbortSignal) =>
  getJson<{builds: Build[]}>(
    `api/v2/builders/${builderid}/builds?complete=true&results=0&number__lt=${number}&order=-number&limit=1`, signal)
    .then(answer => answer.builds[0] ?? null);

export const getLastFinished = (signal?: AbortSignal) =>
  getJson<{builds: Build[]}>("api/v2/builds?complete=true&order=-complete_at&limit=1", signal)
    .then(answer => answer.builds[0] ?? null);
