/** Splitting of lines into charts, one for each value of a builder, branch, machine class or tag. */

import type {LineName} from "./lines";

/** Charts of one page; further lines are in the last one. */
const MAX_CHARTS = 24;

function valueOf(line: LineName, split: string): string {
  if (split.startsWith("tag.")) {
    return line.tags[split.slice(4)] ?? `no ${split.slice(4)}`;
  }
  const value = split === "builder" ? line.builder : split === "branch" ? line.branch : split === "machine" ? line.machine : "";
  return value ?? `no ${split === "machine" ? "worker" : split}`;
}

/** The lines of each chart, with the value that they have in common; null without a split. */
export function splitLines<Name extends LineName>(
  lines: readonly Name[], split: string | null,
): {name: string | null; lines: Name[]}[] {
  if (split === null || !lines.length) {
    return lines.length ? [{name: null, lines: [...lines]}] : [];
  }
  const charts = new Map<string, Name[]>();
  for (const line of lines) {
    const value = valueOf(line, split);
    const name = charts.has(value) || charts.size < MAX_CHARTS - 1 ? value : "others";
    charts.set(name, [...charts.get(name) ?? [], line]);
  }
  return [...charts].map(([name, part]) => ({name, lines: part}))
    .sort((a, b) => a.name.localeCompare(b.name, undefined, {numeric: true}));
}
