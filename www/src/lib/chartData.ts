/** Loading of the lines of a chart: every point, or buckets of each line if there are too many. */

import {
  EVERY_PROPOSAL, getBuckets, getColumns, getStatistics, type Filters, type Point, type Statistics,
} from "./api";
import type {Columns} from "./columns";
import {groupIntoLines, lineKey, nameOfPoint, type KnownLine, type Line, type LineName} from "./lines";
import {STATISTICS, summarize} from "./statistics";

/** Points of all lines that are loaded together; of more, each shown line is loaded by itself. */
export const MAX_POINTS = 10_000;
/** Points of a line that is loaded by itself; of more it is drawn as buckets. */
export const MAX_LINE_POINTS = 2_000;
/** Lines that are drawn unless others are chosen, and at most. */
export const MAX_LINES = 12;
export const MAX_CHOSEN_LINES = 24;
/** The newest points that are loaded beside buckets, for the table and the analysis. */
export const MAX_NEWEST_POINTS = 1_000;
const BUCKETS = 400;

/** A request with the key of its answer. */
export interface Requested<Data> {
  key: string;
  request: (signal: AbortSignal) => Promise<Data>;
}

/** Points with the lines that they make. */
export interface LoadedLines {
  points: Point[];
  lines: Line[];
}

export interface ChartData extends LoadedLines {
  /** Loads the newest points, with the look-back over them, of the lines that are drawn as buckets; null without such. */
  newest: Requested<LoadedLines> | null;
}

/** What is loaded: a series in a range. */
export interface Request {
  series: string;
  /** Kind, unit, range and tags. */
  filters: Filters;
  builders: readonly string[];
  branch: string | null;
  proposals: boolean;
  byMachine: boolean;
  analyse: boolean;
}

/** The filters that select the points of a line alone; null if the API has none for it. */
export function filtersOfLine(line: LineName, all: readonly LineName[], filters: Filters): Filters | null {
  const isMixed = (value: (name: LineName) => string | null) => value(line) === null && all.some(other => value(other) !== null);
  if (line.proposed || isMixed(name => name.builder) || isMixed(name => name.branch)) {
    return null;
  }
  const keys = new Set(all.flatMap(({tags}) => Object.keys(tags)));
  const tags = Object.fromEntries([...keys].map(key => [key, line.tags[key] ?? ""]));
  return {...filters, builder: line.builder, branch: line.branch, machine: line.machine, tags: {...filters.tags, ...tags}};
}

/** Set the look-back of each line that has one; those of several machine classes have none. */
function withAnalyses(lines: Line[], {analyses}: Columns, byMachine: boolean): Line[] {
  const found = new Map<string, Columns["analyses"]>();
  for (const each of analyses) {
    const {machine_class: machine, ...name} = each.line;
    const key = lineKey({...name, machine: byMachine ? machine : null});
    found.set(key, [...found.get(key) ?? [], each]);
  }
  return lines.map(line => {
    const own = found.get(line.key);
    return own?.length === 1 ? {...line, analysis: own[0]!.analysis} : line;
  });
}

const combined = (parts: readonly LoadedLines[]): LoadedLines =>
  ({points: parts.flatMap(part => part.points), lines: parts.flatMap(part => part.lines)});

async function loadTogether(request: Request, signal?: AbortSignal): Promise<LoadedLines> {
  const {series, filters, branch, proposals, byMachine, analyse} = request;
  const selected: (string | null)[] = request.builders.length ? [...request.builders] : [null];
  const parts = await Promise.all(selected.map(builder => getColumns(
    series, {...filters, branch, proposal: proposals ? EVERY_PROPOSAL : null, builder}, MAX_POINTS, analyse, signal)));
  const columns = {points: parts.flatMap(part => part.points), analyses: parts.flatMap(part => part.analyses)};
  return {points: columns.points, lines: withAnalyses(groupIntoLines(columns.points, byMachine), columns, byMachine)};
}

/** A line with the filters that select its points; null for filters that select those of others too. */
interface FilteredLine {
  line: KnownLine;
  filters: Filters | null;
}

/** Whether a line has too many points to draw each. */
async function hasManyPoints({series, filters: {since, until}}: Request, {line, filters}: FilteredLine, signal?: AbortSignal) {
  if (line.count < MAX_LINE_POINTS || !filters) {
    return false;
  }
  const isWhole = since == null && until == null;
  return isWhole || Number((await getStatistics(series, filters, ["count"], signal)).count) >= MAX_LINE_POINTS;
}

/** The newest points of a line, with the look-back over them. */
async function loadPoints(
  {series, byMachine, analyse, ...request}: Request, {line, filters}: FilteredLine, limit: number, signal?: AbortSignal,
): Promise<LoadedLines> {
  const columns = await getColumns(series, filters ?? request.filters, limit, analyse, signal);
  const points = columns.points.filter(point => lineKey(nameOfPoint(point, byMachine)) === line.key);
  return {points, lines: withAnalyses(groupIntoLines(points, byMachine), columns, byMachine)};
}

async function loadBuckets(request: Request, {line, filters}: FilteredLine, signal?: AbortSignal): Promise<LoadedLines> {
  const buckets = (await getBuckets(request.series, filters!, BUCKETS, signal)).filter(bucket => bucket.count > 0);
  const {key, builder, branch, machine, proposed, tags} = line;
  const drawn = {key, builder, branch, machine, proposed, tags, dots: [], buckets, analysis: null, limits: []};
  return {points: [], lines: buckets.length ? [drawn] : []};
}

/** Lines that are loaded one by one: those with many points as buckets. */
async function loadEach(
  request: Request, known: readonly KnownLine[], shown: readonly KnownLine[], signal?: AbortSignal,
): Promise<ChartData> {
  const each = shown.map(line => ({line, filters: filtersOfLine(line, known, request.filters)}));
  const many: FilteredLine[] = [];
  const parts = await Promise.all([
    ...each.map(async filtered => {
      if (!await hasManyPoints(request, filtered, signal)) {
        return loadPoints(request, filtered, MAX_POINTS, signal);
      }
      many.push(filtered);
      return loadBuckets(request, filtered, signal);
    }),
    ...(request.proposals ? [loadProposals(request, signal)] : []),
  ]);
  return {...combined(parts), newest: many.length ? {
    key: JSON.stringify(["newest", request, many.map(({line}) => line.key).sort()]),
    request: async later => combined(await Promise.all(many.map(
      filtered => loadPoints(request, filtered, MAX_NEWEST_POINTS, later)))),
  } : null};
}

/** The newest points of proposals, as lines of their own. */
async function loadProposals(request: Request, signal?: AbortSignal): Promise<LoadedLines> {
  const {series, filters, branch} = request;
  const selected: (string | null)[] = request.builders.length ? [...request.builders] : [null];
  const parts = await Promise.all(selected.map(builder => getColumns(
    series, {...filters, branch, builder, proposal: EVERY_PROPOSAL}, MAX_NEWEST_POINTS, false, signal)));
  const points = parts.flatMap(part => part.points).filter(point => point.proposal);
  return {points, lines: groupIntoLines(points, request.byMachine)};
}

/**
 * The lines of a series: all of them if they have few points together, else those of `shown`.
 *
 * `known` are the lines of the builders, branch and tags that are selected.
 */
export async function loadLines(
  request: Request, known: readonly KnownLine[], shown: readonly KnownLine[], signal?: AbortSignal,
): Promise<ChartData> {
  const total = known.reduce((sum, line) => sum + line.count, 0);
  return total < MAX_POINTS ? {...await loadTogether(request, signal), newest: null} : loadEach(request, known, shown, signal);
}

/** The points of one row or column of a table of statistics. */
export interface PointGroup {
  key: string;
  lines: readonly Line[];
  filters: Filters | null;
}

/** The statistics of a group: computed from its points if all are loaded, else requested. */
export async function loadStatistics(series: string, group: PointGroup, signal?: AbortSignal): Promise<Statistics> {
  if (group.filters && group.lines.some(line => line.buckets.length)) {
    return getStatistics(series, group.filters, STATISTICS, signal);
  }
  return summarize(group.lines.flatMap(line => line.dots.map(dot => dot.value)));
}
