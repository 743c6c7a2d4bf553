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

export interface ChartData {
  points: Point[];
  lines: Line[];
  /** Whether every point is in `points`; points that are drawn as buckets are not. */
  complete: boolean;
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

async function loadTogether(request: Request, signal?: AbortSignal): Promise<ChartData> {
  const {series, filters, branch, proposals, byMachine, analyse} = request;
  const selected: (string | null)[] = request.builders.length ? [...request.builders] : [null];
  const parts = await Promise.all(selected.map(builder => getColumns(
    series, {...filters, branch, proposal: proposals ? EVERY_PROPOSAL : null, builder}, MAX_POINTS, analyse, signal)));
  const columns = {points: parts.flatMap(part => part.points), analyses: parts.flatMap(part => part.analyses)};
  return {
    points: columns.points, complete: true,
    lines: withAnalyses(groupIntoLines(columns.points, byMachine), columns, byMachine),
  };
}

/** One line: its points, or buckets and the look-back over its newest points. */
async function loadLine(
  request: Request, line: KnownLine, all: readonly KnownLine[], signal?: AbortSignal,
): Promise<{lines: Line[]; points: Point[]; complete: boolean}> {
  const {series, byMachine, analyse} = request;
  const filters = filtersOfLine(line, all, request.filters);
  const isRange = request.filters.since != null || request.filters.until != null;
  const count = line.count < MAX_LINE_POINTS || !filters ? 0
    : isRange ? Number((await getStatistics(series, filters, ["count"], signal)).count) : line.count;
  const isMany = count >= MAX_LINE_POINTS;
  const limit = isMany ? MAX_NEWEST_POINTS : MAX_POINTS;
  const [buckets, columns] = await Promise.all([
    isMany ? getBuckets(series, filters!, BUCKETS, signal) : [],
    getColumns(series, filters ?? request.filters, limit, analyse, signal),
  ]);
  const own = columns.points.filter(point => lineKey(nameOfPoint(point, byMachine)) === line.key);
  const [found] = withAnalyses(groupIntoLines(own, byMachine), {...columns, points: own}, byMachine);
  if (!found) {
    return {lines: [], points: [], complete: true};
  }
  const drawn = isMany ? {...found, dots: [], buckets: buckets.filter(bucket => bucket.count > 0)} : found;
  return {lines: [drawn], points: own, complete: !isMany};
}

/** The newest points of proposals, as lines of their own. */
async function loadProposals(request: Request, signal?: AbortSignal): Promise<ChartData> {
  const {series, filters, branch} = request;
  const selected: (string | null)[] = request.builders.length ? [...request.builders] : [null];
  const parts = await Promise.all(selected.map(builder => getColumns(
    series, {...filters, branch, builder, proposal: EVERY_PROPOSAL}, MAX_NEWEST_POINTS, false, signal)));
  const points = parts.flatMap(part => part.points).filter(point => point.proposal);
  return {points, lines: groupIntoLines(points, request.byMachine), complete: true};
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
  if (total < MAX_POINTS) {
    return loadTogether(request, signal);
  }
  const parts = await Promise.all([
    ...shown.map(line => loadLine(request, line, known, signal)),
    ...(request.proposals ? [loadProposals(request, signal)] : []),
  ]);
  return {
    points: parts.flatMap(part => part.points), lines: parts.flatMap(part => part.lines),
    complete: parts.every(part => part.complete),
  };
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
