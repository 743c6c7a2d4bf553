/** Assessment of a change by the direction that is better. */

import type {Better} from "./api";

export type Assessment = "better" | "worse" | "same" | "neutral" | "unknown";

/** The assessment of a change from `before` to `after`. */
export function assessChange(
  before: number | string | null | undefined, after: number | string | null | undefined, better: Better,
): Assessment {
  if (typeof before !== "number" || typeof after !== "number") {
    return "unknown";
  }
  if (before === after) {
    return "same";
  }
  if (better === null) {
    return "neutral";
  }
  return (after < before) === (better === "lower") ? "better" : "worse";
}

/** Order of rows: worse, better, others; within each the largest change first. */
export function bySeverity<Row extends {assessment: Assessment; change: number | null}>(a: Row, b: Row): number {
  const rank: Record<Assessment, number> = {worse: 0, better: 1, neutral: 2, same: 3, unknown: 4};
  return rank[a.assessment] - rank[b.assessment] || Math.abs(b.change ?? 0) - Math.abs(a.change ?? 0);
}
