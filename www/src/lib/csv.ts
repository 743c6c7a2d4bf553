/** Points as CSV, with the columns of the API. */

import type {Point} from "./api";

const COLUMNS = ["time", "value", "unit", "builder", "build", "buildid", "worker", "revision", "branch", "proposal", "samples", "spread"];

/** A cell; a text that a spreadsheet would take for a formula is quoted, as names come from workers. */
function cell(value: string | number | null | undefined): string {
  const text = value == null ? "" : typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

/** The points, oldest first, with times in UTC and a column for each tag. */
export function csvOf(points: readonly Point[], unit: string): string {
  const keys = [...new Set(points.flatMap(({tags}) => Object.keys(tags)))].sort();
  const rows = [...points].sort((a, b) => a.time - b.time).map(point => [
    new Date(Math.round(point.time * 1000)).toISOString(), point.value, unit, point.builder, point.build, point.buildid,
    point.worker, point.revision, point.branch, point.proposal, point.samples, point.spread, ...keys.map(key => point.tags[key]),
  ]);
  return [[...COLUMNS, ...keys.map(key => `tag.${key}`)], ...rows].map(row => `${row.map(cell).join(",")}\r\n`).join("");
}
