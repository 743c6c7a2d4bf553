/** What the page of one series shows: every point where they are few enough, else stretches of them. */

import {getBuckets, getPoints, getStatistics, type Narrowing, type Point, type Statistics} from "./api";
import {lineKey, linesOf, type Line} from "./lines";
import {STATISTICS, summarize} from "./statistics";

export const MOST_POINTS = 10_000;
export const MOST_LINES = 12;
const BUCKETS = 400;

export interface Loaded {
  points: Point[];
  lines: Line[];
  /** Whether `points` are all that there are. */
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

/**
 * The points of `series` for each of `builders` (for all where there are none of them), as lines.
 *
 * `known` are the builders that the series has: where it has too many points to draw each, it is drawn a builder at a
 * time.
 */
export async function loadLines(
  series: string, builders: readonly string[], narrowing: Narrowing, known: readonly string[], signal?: AbortSignal,
): Promise<Loaded> {
  const asked: (string | null)[] = builders.length ? [...builders] : [null];
  const parts = await Promise.all(asked.map(async builder => ({
    builder, points: await getPoints(series, {...narrowing, builder}, MOST_POINTS, signal),
  })));
  const few = parts.filter(part => part.points.length < MOST_POINTS);
  const many = parts.filter(part => part.points.length >= MOST_POINTS).flatMap(({builder}) =>
    builder !== null || !known.length ? [builder] : known.slice(0, MOST_LINES));
  const stretches = await Promise.all(many.map(builder => bucketLine(series, {...narrowing, builder}, signal)));
  return {
    points: parts.flatMap(part => part.points),
    lines: [...stretches.filter(line => line.buckets.length), ...linesOf(few.flatMap(part => part.points))],
    complete: few.length === parts.length,
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
