/** What the page of one series shows: every point where they are few enough, else stretches of them. */

import {getBuckets, getPoints, getStatistics, type Narrowing, type Point, type Statistics} from "./api";
import {lineKey, linesOf, type Line} from "./lines";
import {STATISTICS, summarize} from "./statistics";

export const MOST_POINTS = 10_000;
export const MOST_LINES = 12;
/** The newest points that are asked for beside stretches: for the table, and for the tags that there are. */
export const NEWEST_POINTS = 1_000;
const BUCKETS = 400;

export interface Loaded {
  points: Point[];
  lines: Line[];
  /** Whether each point is drawn, and in `points`: those are not of which stretches are drawn. */
  complete: boolean;
}

const MADE_OF_BUCKETS = "buckets";

async function bucketLine(series: string, narrowing: Narrowing, signal?: AbortSignal): Promise<Line> {
  const buckets = await getBuckets(series, narrowing, BUCKETS, signal);
  const builder = narrowing.builder ?? null;
  return {
    key: `${MADE_OF_BUCKETS}${lineKey(builder, {})}`, builder, tags: {}, dots: [],
    buckets: buckets.filter(bucket => bucket.count > 0),
  };
}

/** Whether a series has too many points to draw each; asked before any is fetched, where `total` of it are as many. */
async function isMany(series: string, narrowing: Narrowing, total: number, signal?: AbortSignal): Promise<boolean> {
  const {builder = null, since = null, until = null, tags = {}} = narrowing;
  if (total < MOST_POINTS || (builder === null && since === null && until === null && !Object.keys(tags).length)) {
    return total >= MOST_POINTS;
  }
  return Number((await getStatistics(series, narrowing, ["count"], signal)).count) >= MOST_POINTS;
}

/** The newest `limit` points of each of `builders`, of all where there are none of them. */
export async function loadPoints(
  series: string, builders: readonly string[], narrowing: Narrowing, limit: number, signal?: AbortSignal,
): Promise<Point[]> {
  const asked: (string | null)[] = builders.length ? [...builders] : [null];
  return (await Promise.all(asked.map(builder => getPoints(series, {...narrowing, builder}, limit, signal)))).flat();
}

/**
 * The points of `series` for each of `builders` (for all where there are none of them), as lines.
 *
 * `known` are the builders that the series has: where it has too many points to draw each, it is drawn a builder at a
 * time.  `total` is how many points it has; 0 for a series of texts, which is not drawn.
 */
export async function loadLines(
  series: string, builders: readonly string[], narrowing: Narrowing, known: readonly string[], total: number,
  signal?: AbortSignal,
): Promise<Loaded> {
  const asked: (string | null)[] = builders.length ? [...builders] : [null];
  const parts = await Promise.all(asked.map(async builder => {
    const part = {...narrowing, builder};
    if (await isMany(series, part, total, signal)) {
      const each = builder === null && known.length ? known.slice(0, MOST_LINES) : [builder];
      return {points: null, lines: await Promise.all(each.map(one => bucketLine(series, {...part, builder: one}, signal)))};
    }
    return {points: await getPoints(series, part, MOST_POINTS, signal), lines: []};
  }));
  const points = parts.flatMap(part => part.points ?? []);
  return {
    points,
    lines: [...parts.flatMap(part => part.lines).filter(line => line.buckets.length), ...linesOf(points)],
    complete: parts.every(part => part.points !== null),
  };
}

/** One row or column of the statistics table. */
export interface Side {
  key: string;
  label: string;
  colour: string | null;
  dashed: boolean;
  lines: readonly Line[];
  narrowing: Narrowing;
}

/** The statistics of all points of a side: worked out here where all are here, else asked for. */
export async function loadStatistics(series: string, side: Side, signal?: AbortSignal): Promise<Statistics> {
  if (side.lines.every(line => !line.buckets.length)) {
    return summarize(side.lines.flatMap(line => line.dots.map(dot => dot.value)));
  }
  return getStatistics(series, side.narrowing, STATISTICS, signal);
}
