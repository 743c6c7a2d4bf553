/** Lines of a chart: one for each builder, branch and set of tags, those of proposals apart. */

import type {Analysis, Bucket, OverviewRow, Point, Tags} from "./api";
import {medianOf} from "./statistics";

/** A point with a numeric value. */
export type Dot = Point & {value: number};

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

export const isNumber = (point: Point): point is Dot => typeof point.value === "number";

/** Whether two points are of the same line; points of one answer share their tags. */
const isSameLine = (a: Point, b: Point) => a.tags === b.tags && a.builder === b.builder && a.branch === b.branch
  && a.machine === b.machine && a.worker === b.worker && Boolean(a.proposal) === Boolean(b.proposal);

/** The lines of `points`, each ordered by time, those with the most points first. */
export function groupIntoLines(points: readonly Point[], byMachine = false): Line[] {
  const lines = new Map<string, Line>();
  let last: {point: Point; line: Line} | null = null;
  for (const point of points) {
    if (!isNumber(point)) {
      continue;
    }
    if (!last || !isSameLine(last.point, point)) {
      const name = nameOfPoint(point, byMachine);
      const key = lineKey(name);
      const line: Line = lines.get(key) ?? {...name, key, dots: [], buckets: [], analysis: null, limits: []};
      lines.set(key, line);
      last = {point, line};
    }
    last.line.dots.push(point);
  }
  for (const line of lines.values()) {
    line.dots.sort((a, b) => a.time - b.time);
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

/** Columns of a line at its positions, which increase. */
export interface LineColumns {
  xs: number[];
  columns: readonly Columns[];
}

/** Lines on a common axis, as uPlot expects: the positions, then the columns of each line, null where it has no point. */
export function alignColumns(lines: readonly LineColumns[]): [number[], ...Columns[]] {
  const [first] = lines;
  if (first && lines.length === 1) {
    return [first.xs, ...first.columns];
  }
  const positions = [...new Set(lines.flatMap(line => line.xs))].sort((a, b) => a - b);
  const indexOf = new Map(positions.map((position, index) => [position, index]));
  const aligned = lines.flatMap(({xs, columns}) => {
    const places = xs.map(x => indexOf.get(x)!);
    return columns.map(column => {
      const cells: Columns = new Array(positions.length).fill(null);
      column.forEach((value, index) => { cells[places[index]!] = value; });
      return cells;
    });
  });
  return [positions, ...aligned];
}
