/** The records of a build as the panel shows them: counted by verdict, the told ones apart, the rest in groups. */

import type {BuildRecord, Tags} from "../lib/api";

/** Verdicts that are shown without a click, in this order. */
export const TOLD = ["worse", "broken", "changed"] as const;
const DURATION_SERIES = new Set(["build_duration", "queue_duration", "lock_duration", "step_duration"]);

export interface Group {
  /** What the names of its series begin with, or the name of its only one; empty for series with one record each. */
  prefix: string;
  records: BuildRecord[];
}

const text = (tags: Tags) => Object.keys(tags).sort().map(key => `${key}=${tags[key]}`).join(" ");

/** What identifies a line among the records of a build. */
export const recordKey = ({series, tags}: Pick<BuildRecord, "series" | "tags">): string => `${series} ${text(tags)}`;

/** The number of records with a verdict. */
export const countOf = (records: readonly BuildRecord[], verdict: string): number =>
  records.filter(record => record.verdict === verdict).length;

/** The counts of the line that the panel is by default, after those of worse and better. */
export function otherCounts(records: readonly BuildRecord[]): string[] {
  const words: [string, string][] = [
    ["broken", "broken"], ["changed", "changed"], ["unconfirmed", "unconfirmed"], ["normal", "normal"],
    ["no_baseline", "without baseline"],
  ];
  const parts = words.map(([verdict, word]) => [countOf(records, verdict), word] as const).filter(([count]) => count);
  const unjudged = records.filter(record => !record.verdict && typeof record.value === "number").length;
  return [...parts.map(([count, word]) => `${count} ${word}`), ...(unjudged ? [`${unjudged} not judged`] : [])];
}

const size = (record: BuildRecord) => Math.abs(record.usual && record.baseline && typeof record.value === "number"
  ? record.value / record.baseline - 1 : 0);

/** The records that are shown without a click: the worst first. */
export const toldRecords = (records: readonly BuildRecord[]): BuildRecord[] =>
  TOLD.flatMap(verdict => records.filter(record => record.verdict === verdict).sort((a, b) => size(b) - size(a)));

/** The change from what is usual, as a fraction; null without a baseline. */
export function changeOf(record: BuildRecord): number | null {
  const {value, baseline} = record;
  return typeof value === "number" && typeof baseline === "number" && baseline !== 0
    ? (value - baseline) / Math.abs(baseline) : null;
}

const isDuration = (record: BuildRecord) => record.kind === "duration" || DURATION_SERIES.has(record.series);

/**
 * Groups by the part of the name before a separator, or by one series with several tags; people's own series are before
 * durations.
 */
export function groupRecords(records: readonly BuildRecord[]): Group[] {
  const groups = new Map<string, BuildRecord[]>();
  const names = new Map<string, Set<string>>();
  const counts = new Map<string, number>();
  const prefixOf = (series: string) => /^[^._:/ -]+(?=[._:/ -])/.exec(series)?.[0] ?? series;
  for (const {series} of records) {
    names.set(prefixOf(series), (names.get(prefixOf(series)) ?? new Set()).add(series));
    counts.set(series, (counts.get(series) ?? 0) + 1);
  }
  for (const record of records) {
    const prefix = prefixOf(record.series);
    const name = names.get(prefix)!.size > 1 ? prefix : counts.get(record.series)! > 1 ? record.series : "";
    const key = `${isDuration(record) ? 1 : 0} ${name}`;
    groups.set(key, [...(groups.get(key) ?? []), record]);
  }
  return [...groups].sort(([a], [b]) => a < b ? -1 : 1).map(([key, members]) => ({
    prefix: key.slice(2),
    records: members.sort((a, b) => recordKey(a).localeCompare(recordKey(b), "en", {numeric: true})),
  }));
}

/** The series of the build before that this one has not measured. */
export function missingRecords(before: readonly BuildRecord[], now: readonly BuildRecord[]): string[] {
  // durations of a failed build have another tag than those of the build before
  const key = ({series, tags}: BuildRecord) => recordKey({series, tags: {...tags, result: ""}});
  const here = new Set(now.map(key));
  return [...new Set(before.filter(record => !here.has(key(record))).map(record => record.series))].sort();
}
