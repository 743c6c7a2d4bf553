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

type Assessed = {assessment: Assessment; change: number | null};

/** The size of a change; a change from 0 is no fraction, and larger than every other. */
function size({assessment, change}: Assessed): number {
  const isChange = assessment === "worse" || assessment === "better" || assessment === "neutral";
  return Math.abs(change ?? (isChange ? Number.MAX_VALUE : 0));
}

/** Order of rows: worse, better, others; within each the largest change first. */
export function bySeverity(a: Assessed, b: Assessed): number {
  const rank: Record<Assessment, number> = {worse: 0, better: 1, neutral: 2, same: 3, unknown: 4};
  return rank[a.assessment] - rank[b.assessment] || size(b) - size(a) || 0;
}
