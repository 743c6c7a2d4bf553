/** Series of texts as their changes. */

import type {Point} from "./api";
import {lineKey, lineLabel, nameOfPoint, type LineName} from "./lines";

export interface TextChange {
  label: string;
  /** The text before; null for the first one of the line. */
  before: string | null;
  point: Point;
  /** The number of points with this text, up to the next change. */
  count: number;
}

/** The changes of each line, newest first. */
export function textChanges(points: readonly Point[]): TextChange[] {
  const lines = new Map<string, {name: LineName; changes: Omit<TextChange, "label">[]}>();
  for (const point of [...points].sort((a, b) => a.time - b.time)) {
    const name = nameOfPoint(point, false);
    const key = lineKey(name);
    const line = lines.get(key) ?? {name, changes: []};
    lines.set(key, line);
    const last = line.changes[line.changes.length - 1];
    if (last && last.point.value === point.value) {
      last.count += 1;
    } else {
      line.changes.push({before: last ? String(last.point.value) : null, point, count: 1});
    }
  }
  const names = [...lines.values()].map(({name}) => name);
  return [...lines.values()]
    .flatMap(({name, changes}) => changes.map(change => ({...change, label: lineLabel(name, names)})))
    .sort((a, b) => b.point.time - a.point.time);
}
