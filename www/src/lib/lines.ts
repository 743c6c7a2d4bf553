/** Lines of a chart: one for each builder, branch and set of tags, those of proposals apart. */

import type {Bucket, Point, Tags} from "./api";

/** A point with a numeric value; `x` is its time, unique within its line. */
export interface Dot extends Point {
  value: number;
  x: number;
}

export interface Line {
  key: string;
  builder: string | null;
  branch: string | null;
  /** Whether its points are of proposals to `branch`. */
  proposed: boolean;
  tags: Tags;
  dots: Dot[];
  /** Set instead of `dots` if there are too many points to draw each. */
  buckets: Bucket[];
}

export function lineKey(builder: string | null, tags: Tags, branch: string | null = null, proposed = false): string {
  return JSON.stringify([builder, branch, proposed, ...Object.keys(tags).sort().map(key => [key, tags[key]])]);
}

const keyOfPoint = (point: Point) => lineKey(point.builder, point.tags, point.branch, Boolean(point.proposal));

export const isNumber = (point: Point): point is Point & {value: number} => typeof point.value === "number";

/** The lines of `points`, those with the most points first.  Points of a line with the same time get `x` a ms apart. */
export function groupIntoLines(points: readonly Point[]): Line[] {
  const lines = new Map<string, Line>();
  for (const point of points) {
    if (!isNumber(point)) {
      continue;
    }
    const key = keyOfPoint(point);
    let line = lines.get(key);
    if (!line) {
      const {builder, branch = null, tags} = point;
      line = {key, builder, branch, proposed: Boolean(point.proposal), tags, dots: [], buckets: []};
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

/** The newest point, the last point of an earlier build in the same line, and the values of that line. */
export function newestOfLine(points: readonly Point[]): {last: Point | null; previous: Point | null; values: number[]} {
  const ordered = [...points].sort((a, b) => a.time - b.time);
  const last = ordered[ordered.length - 1] ?? null;
  if (!last) {
    return {last: null, previous: null, values: []};
  }
  const key = keyOfPoint(last);
  const line = ordered.filter(point => keyOfPoint(point) === key);
  const earlier = line.filter(point => point !== last && (last.buildid === null || point.buildid !== last.buildid));
  return {
    last,
    previous: earlier[earlier.length - 1] ?? null,
    values: line.filter(isNumber).map(point => point.value),
  };
}

type LineName = Pick<Line, "builder" | "branch" | "proposed" | "tags">;

/** The label of `line`: its builder, and the branch and tags that are not the same in all lines. */
export function lineLabel(line: LineName, all: readonly LineName[]): string {
  const distinguishing = Object.keys(line.tags).filter(key => all.some(other => other.tags[key] !== line.tags[key]));
  const parts = distinguishing.sort().map(key => `${key}=${line.tags[key]}`);
  const branch = line.branch ?? "unknown branch";
  const ofBranch = line.proposed ? [`proposals to ${branch}`]
    : all.some(other => other.branch !== line.branch) ? [branch] : [];
  return [line.builder ?? "no builder", ...ofBranch, ...parts].join(" · ");
}

export type Columns = (number | null)[];

/** Lines on a common time axis, as uPlot expects: the times, then one column a line, null where it has no point. */
export function alignColumns(lines: readonly {x: number; y: number | null}[][]): [number[], ...Columns[]] {
  const times = [...new Set(lines.flatMap(line => line.map(dot => dot.x)))].sort((a, b) => a - b);
  const indexOf = new Map(times.map((time, index) => [time, index]));
  const columns = lines.map(line => {
    const column: Columns = new Array(times.length).fill(null);
    for (const dot of line) {
      column[indexOf.get(dot.x)!] = dot.y;
    }
    return column;
  });
  return [times, ...columns];
}
