/** Loading of the data of a chart: every point, or buckets if there are too many. */

import {getBuckets, getPoints, getStatistics, type Filters, type Point, type Statistics} from "./api";
import {lineKey, groupIntoLines, type Line} from "./lines";
import {STATISTICS, summarize} from "./statistics";

export const MAX_POINTS = 10_000;
export const MAX_LINES = 12;
/** The newest points that are loaded beside buckets, for the table and the values of tags. */
export const MAX_NEWEST_POINTS = 1_000;
const BUCKETS = 400;

export interface ChartData {
  points: Point[];
  lines: Line[];
  /** Whether every point is in `points`; points that are drawn as buckets are not. */
  complete: boolean;
}

const BUCKETS_KEY_PREFIX = "buckets";

async function bucketLine(series: string, filters: Filters, signal?: AbortSignal): Promise<Line> {
  const buckets = await getBuckets(series, filters, BUCKETS, signal);
  const {builder = null, branch = null} = filters;
  return {
    key: `${BUCKETS_KEY_PREFIX}${lineKey(builder, {}, branch)}`, builder, branch, proposed: false, tags: {}, dots: [],
    buckets: buckets.filter(bucket => bucket.count > 0),
  };
}

/** Whether there are too many points to draw each; only counted if the series has `total` or more. */
async function isTooMany(series: string, filters: Filters, total: number, signal?: AbortSignal): Promise<boolean> {
  const {builder = null, branch = null, since = null, until = null, tags = {}} = filters;
  const isWhole = builder === null && branch === null && since === null && until === null && !Object.keys(tags).length;
  if (total < MAX_POINTS || isWhole) {
    return total >= MAX_POINTS;
  }
  return Number((await getStatistics(series, filters, ["count"], signal)).count) >= MAX_POINTS;
}

/** The newest `limit` points of each of `builders`, or of all builders together if it is empty. */
export async function loadPoints(
  series: string, builders: readonly string[], filters: Filters, limit: number, signal?: AbortSignal,
): Promise<Point[]> {
  const selected: (string | null)[] = builders.length ? [...builders] : [null];
  return (await Promise.all(selected.map(builder => getPoints(series, {...filters, builder}, limit, signal)))).flat();
}

/**
 * The lines of `series` for each of `builders`, or for all builders if it is empty.
 *
 * `known` are the builders of the series, each of which gets a line of buckets if there are too many points.  `total`
 * is the number of points of the series; 0 for a series of texts, which is not drawn.
 */
export async function loadLines(
  series: string, builders: readonly string[], filters: Filters, known: readonly string[], total: number,
  signal?: AbortSignal,
): Promise<ChartData> {
  const selected: (string | null)[] = builders.length ? [...builders] : [null];
  const parts = await Promise.all(selected.map(async builder => {
    const part = {...filters, builder};
    if (await isTooMany(series, part, total, signal)) {
      const each = builder === null && known.length ? known.slice(0, MAX_LINES) : [builder];
      return {points: null, lines: await Promise.all(each.map(name => bucketLine(series, {...part, builder: name}, signal)))};
    }
    return {points: await getPoints(series, part, MAX_POINTS, signal), lines: []};
  }));
  const points = parts.flatMap(part => part.points ?? []);
  return {
    points,
    lines: [...parts.flatMap(part => part.lines).filter(line => line.buckets.length), ...groupIntoLines(points)],
    complete: parts.every(part => part.points !== null),
  };
}

/** The points of one row or column of a table of statistics. */
export interface PointGroup {
  key: string;
  label: string;
  colour: string | null;
  dashed: boolean;
  lines: readonly Line[];
  filters: Filters;
}

/** The statistics of a group: computed from its points if all are loaded, else requested. */
export async function loadStatistics(series: string, group: PointGroup, signal?: AbortSignal): Promise<Statistics> {
  if (group.lines.every(line => !line.buckets.length)) {
    return summarize(group.lines.flatMap(line => line.dots.map(dot => dot.value)));
  }
  return getStatistics(series, group.filters, STATISTICS, signal);
}
