/** Points sorted into the lines of a chart: one a builder, and one a set of tags where a series has tags. */

import type {Bucket, Point, Tags} from "./api";

/** A point whose value is a number, with the place on the time axis that is its own. */
export interface Dot extends Point {
  value: number;
  x: number;
}

export interface Line {
  key: string;
  builder: string | null;
  tags: Tags;
  dots: Dot[];
  /** Filled instead of `dots` where there are too many points to draw each. */
  buckets: Bucket[];
}

export function lineKey(builder: string | null, tags: Tags): string {
  return JSON.stringify([builder, ...Object.keys(tags).sort().map(key => [key, tags[key]])]);
}

export const isNumber = (point: Point): point is Point & {value: number} => typeof point.value === "number";

/** The lines of `points`, those with the most points first.  Points of one line at one time are moved apart by a ms. */
export function linesOf(points: readonly Point[]): Line[] {
  const lines = new Map<string, Line>();
  for (const point of points) {
    if (!isNumber(point)) {
      continue;
    }
    const key = lineKey(point.builder, point.tags);
    let line = lines.get(key);
    if (!line) {
      line = {key, builder: point.builder, tags: point.tags, dots: [], buckets: []};
      lines.set(key, line);
    }
    line.dots.push({...point, x: point.time});
  }
  for (const line of lines.values()) {
    line.dots.sort((a, b) => a.time - b.time);
    let last = -Infinity;
    for (const dot of line.dots) {
      dot.x = Math.max(dot.x, last + (dot.x <= last ? 1e-3 : 0));
      last = dot.x;
    }
  }
  return [...lines.values()].sort((a, b) => b.dots.length - a.dots.length || (a.key < b.key ? -1 : 1));
}

/** The newest point with the one before it of another build of the same builder and tags, and their line. */
export function newest(points: readonly Point[]): {last: Point | null; previous: Point | null; values: number[]} {
  const ordered = [...points].sort((a, b) => a.time - b.time);
  const last = ordered[ordered.length - 1] ?? null;
  if (!last) {
    return {last: null, previous: null, values: []};
  }
  const key = lineKey(last.builder, last.tags);
  const line = ordered.filter(point => lineKey(point.builder, point.tags) === key);
  const earlier = line.filter(point => point !== last && (last.buildid === null || point.buildid !== last.buildid));
  return {
    last,
    previous: earlier[earlier.length - 1] ?? null,
    values: line.filter(isNumber).map(point => point.value),
  };
}

/** What of the tags tells `line` from the others: a tag that all share is left out. */
export function labelOf(line: Pick<Line, "builder" | "tags">, all: readonly Pick<Line, "builder" | "tags">[]): string {
  const telling = Object.keys(line.tags).filter(key => all.some(other => other.tags[key] !== line.tags[key]));
  const words = telling.sort().map(key => `${key}=${line.tags[key]}`);
  return [line.builder ?? "no builder", ...words].join(" · ");
}

export type Columns = (number | null)[];

/** Lines on one time axis, as uPlot wants them: the times, then a column a line with null where it has no point. */
export function aligned(lines: readonly {x: number; y: number | null}[][]): [number[], ...Columns[]] {
  const times = [...new Set(lines.flatMap(line => line.map(dot => dot.x)))].sort((a, b) => a - b);
  const place = new Map(times.map((time, index) => [time, index]));
  const columns = lines.map(line => {
    const column: Columns = new Array(times.length).fill(null);
    for (const dot of line) {
      column[place.get(dot.x)!] = dot.y;
    }
    return column;
  });
  return [times, ...columns];
}
