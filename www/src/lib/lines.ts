/** Lines of a chart: one for each builder, branch and set of tags, those of proposals apart. */

import type {Analysis, Bucket, OverviewRow, Point, Tags} from "./api";
import {medianOf} from "./statistics";

/** A point with a numeric value; `x` is its position on the axis, unique within its line. */
export interface Dot extends Point {
  value: number;
  x: number;
}

/** What distinguishes a line; `machine` is null where lines contain several machine classes. */
export interface LineName {
  builder: string | null;
  branch: string | null;
  machine: string | null;
  /** Whether its points are of proposals to `branch`. */
  proposed: boolean;
  tags: Tags;
}

export interface Line extends LineName {
  key: string;
  dots: Dot[];
  /** Set instead of `dots` if there are too many points to draw each. */
  buckets: Bucket[];
  analysis: Analysis | null;
  /** Limits of its gate, which its values should not pass. */
  limits: readonly number[];
}

/** The lines of a series before their points are loaded. */
export interface KnownLine extends LineName {
  key: string;
  count: number;
  last: number;
  row: OverviewRow;
  limits: readonly number[];
}

/** A text that is equal for equal tags. */
export const tagsKey = (tags: Tags): string => JSON.stringify(Object.keys(tags).sort().map(key => [key, tags[key]]));

export const lineKey = ({builder, branch, machine, proposed, tags}: LineName): string =>
  JSON.stringify([builder, branch, machine, proposed, tagsKey(tags)]);

/** The line of a point; `byMachine` is whether machine classes have lines of their own. */
export const nameOfPoint = (point: Point, byMachine: boolean): LineName => ({
  builder: point.builder, branch: point.branch ?? null, machine: byMachine ? point.machine ?? point.worker : null,
  proposed: Boolean(point.proposal), tags: point.tags,
});

export const isNumber = (point: Point): point is Point & {value: number} => typeof point.value === "number";

/** The lines of `points`, those with the most points first.  Points of a line with the same time get `x` a ms apart. */
export function groupIntoLines(points: readonly Point[], byMachine = false): Line[] {
  const lines = new Map<string, Line>();
  for (const point of points) {
    if (!isNumber(point)) {
      continue;
    }
    const name = nameOfPoint(point, byMachine);
    const key = lineKey(name);
    let line = lines.get(key);
    if (!line) {
      line = {...name, key, dots: [], buckets: [], analysis: null, limits: []};
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

/** The lines of rows of the overview; rows of several machine classes are one line unless `byMachine`. */
export function knownLines(rows: readonly OverviewRow[], byMachine = false): KnownLine[] {
  const lines = new Map<string, KnownLine>();
  for (const row of rows) {
    const name: LineName = {
      builder: row.builder, branch: row.branch, machine: byMachine ? row.machine_class : null, proposed: false, tags: row.tags,
    };
    const key = lineKey(name);
    const known = lines.get(key);
    const limits = row.limits?.flatMap(limit => limit ?? []) ?? [];
    if (!known) {
      lines.set(key, {...name, key, count: row.count, last: row.time, row, limits});
    } else {
      known.limits = [...new Set([...known.limits, ...limits])];
      known.count += row.count;
      known.row = bySeverity(row, known.row) < 0 ? row : known.row;
      known.last = Math.max(known.last, row.time);
    }
  }
  return [...lines.values()];
}

const RANK: Readonly<Record<string, number>> = {
  broken: 0, worse: 1, changed: 2, unconfirmed: 3, better: 4, normal: 5, no_baseline: 6,
};
/** Deviations below this fraction of the level are not compared. */
const LEAST_SPREAD = 1e-4;
/** Values that a deviation needs. */
const LEAST_VALUES = 5;

/**
 * The distance of the newest value from the median of the values before it, in their spreads; positive if it is worse.
 *
 * It orders lines and is no verdict.
 */
export function deviationOf({values, better}: Pick<OverviewRow, "values" | "better">): number | null {
  const before = values.slice(0, -1);
  const last = values[values.length - 1];
  if (before.length < LEAST_VALUES || last === undefined) {
    return null;
  }
  const level = medianOf(before)!;
  const spread = Math.max(1.4826 * medianOf(before.map(value => Math.abs(value - level)))!, LEAST_SPREAD * Math.abs(level));
  const distance = spread ? (last - level) / spread : Math.sign(last - level) * 1e3;
  return better === "higher" ? -distance : better === null ? Math.abs(distance) : distance;
}

/** Order of rows: by verdict, then by deviation, then by the number of points. */
export function bySeverity(a: OverviewRow, b: OverviewRow): number {
  const rank = (row: OverviewRow) => RANK[row.verdict ?? "normal"] ?? RANK.normal!;
  return rank(a) - rank(b) || (deviationOf(b) ?? -Infinity) - (deviationOf(a) ?? -Infinity) || b.count - a.count || 0;
}

/** The parts of the label of `line` that are not the same in all lines: builder, branch, machine class and tags. */
function labelParts(line: LineName, all: readonly LineName[]): string[] {
  const differs = (value: (name: LineName) => string | null | undefined | boolean) =>
    all.some(other => value(other) !== value(line));
  const keys = [...new Set(all.flatMap(({tags}) => Object.keys(tags)))].sort();
  const branch = line.branch ?? "unknown branch";
  return [
    ...(differs(name => name.builder) ? [line.builder ?? "no builder"] : []),
    ...(line.proposed ? [`proposals to ${branch}`] : differs(name => name.branch) ? [branch] : []),
    ...(differs(name => name.machine) ? [line.machine ?? "no worker"] : []),
    ...keys.filter(key => differs(name => name.tags[key])).map(key => `${key}=${line.tags[key] ?? "none"}`),
  ];
}

/** The label of `line`: what is not the same in all lines; of a single line its builder. */
export const lineLabel = (line: LineName, all: readonly LineName[]): string =>
  labelParts(line, all).join(" · ") || (line.builder ?? "all points");

export type Columns = (number | null)[];

/** Lines on a common axis, as uPlot expects: the positions, then one column a line, null where it has no point. */
export function alignColumns(lines: readonly {x: number; y: number | null}[][]): [number[], ...Columns[]] {
  const positions = [...new Set(lines.flatMap(line => line.map(dot => dot.x)))].sort((a, b) => a - b);
  const indexOf = new Map(positions.map((position, index) => [position, index]));
  const columns = lines.map(line => {
    const column: Columns = new Array(positions.length).fill(null);
    for (const dot of line) {
      column[indexOf.get(dot.x)!] = dot.y;
    }
    return column;
  });
  return [positions, ...columns];
}
