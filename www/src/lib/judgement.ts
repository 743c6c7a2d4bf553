/** Whether a change is a good one. */

import type {Better} from "./api";

export type Judgement = "better" | "worse" | "same" | "neutral" | "unknown";

/** What a step from `before` to `after` means where `better` is the good direction. */
export function judge(
  before: number | string | null | undefined, after: number | string | null | undefined, better: Better,
): Judgement {
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

/** The worst first, then what got better, then the rest; within each the largest change first. */
export function bySeverity<Row extends {judgement: Judgement; change: number | null}>(a: Row, b: Row): number {
  const rank: Record<Judgement, number> = {worse: 0, better: 1, neutral: 2, same: 3, unknown: 4};
  return rank[a.judgement] - rank[b.judgement] || Math.abs(b.change ?? 0) - Math.abs(a.change ?? 0);
}
