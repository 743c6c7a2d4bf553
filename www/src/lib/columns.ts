/** Points from the columns of the API. */

import type {Analysis, Point, Tags} from "./api";

export interface LineName {
  builder: string | null;
  branch: string | null;
  machine_class: string | null;
  proposed: boolean;
  tags: Tags;
}

export interface ColumnsAnswer {
  lines: LineName[];
  workers?: string[];
  revisions?: string[];
  proposals?: string[];
  columns: {
    line: number[];
    time: number[];
    value: (number | string)[];
    build: (number | null)[];
    buildid: (number | null)[];
    samples?: number[];
    spread?: (number | null)[];
    worker?: (number | null)[];
    revision?: (number | null)[];
    proposal?: (number | null)[];
  };
  analysis?: (Analysis & {line: number})[];
}

export interface Columns {
  points: Point[];
  /** The look-back of lines. */
  analyses: {line: LineName; analysis: Analysis}[];
}

/** The name that an index of a column stands for. */
function nameAt(names: readonly string[] | undefined, column: readonly (number | null)[] | undefined, row: number) {
  const index = column?.[row] ?? null;
  return index === null ? null : names?.[index] ?? null;
}

export function decodeColumns(answer: ColumnsAnswer): Columns {
  const {lines, columns} = answer;
  const points = columns.time.map((time, row): Point => {
    const line = lines[columns.line[row]!]!;
    return {
      time, value: columns.value[row]!,
      builder: line.builder, branch: line.branch, machine: line.machine_class, tags: line.tags,
      build: columns.build[row] ?? null, buildid: columns.buildid[row] ?? null,
      worker: nameAt(answer.workers, columns.worker, row),
      revision: nameAt(answer.revisions, columns.revision, row),
      proposal: nameAt(answer.proposals, columns.proposal, row),
      samples: columns.samples?.[row] ?? 1, spread: columns.spread?.[row] ?? null,
    };
  });
  const analyses = (answer.analysis ?? []).map(({line, ...analysis}) => ({line: lines[line]!, analysis}));
  return {points, analyses};
}
