import * as React from "react";
import type {Better, Statistics} from "../lib/api";
import {formatValue} from "../lib/format";
import {changeOf, STATISTICS} from "../lib/statistics";
import {Change, Swatch} from "./Basics";

const NAMES: Record<string, string> = {
  count: "Points", average: "Average", deviation: "Deviation", minimum: "Minimum", maximum: "Maximum", median: "Median",
  p95: "p95", first: "First", last: "Last",
};

export interface Row {
  key: string;
  label: string;
  colour: string | null;
  dashed?: boolean;
  statistics: Statistics | null;
}

interface Props {
  rows: readonly Row[];
  unit: string;
  kind: string;
}

function formatStatistic(row: Row, name: string, unit: string, kind: string): string {
  const value = row.statistics?.[name];
  return name === "count" ? formatValue(value ?? null) : formatValue(value ?? null, unit, kind);
}

const Label = ({row}: {row: Row}) => (
  <>
    {row.colour && <Swatch colour={row.colour} dashed={row.dashed}/>}
    <bdi className="bbm-name bbm-clamp" title={row.label}>{row.label}</bdi>
  </>
);

/** Table of statistics: one row a line, one column a statistic. */
export const StatisticsTable = ({rows, unit, kind}: Props) => (
  <div className="bbm-scroll" tabIndex={0} role="region" aria-label="Statistics">
    <table className="bbm-table bbm-statistics" data-testid="statistics">
      <caption className="bbm-sr">Statistics of the chosen range</caption>
      <thead>
        <tr><th scope="col">Line</th>{STATISTICS.map(name => <th scope="col" key={name}>{NAMES[name]}</th>)}</tr>
      </thead>
      <tbody>
        {rows.map(row => (
          <tr key={row.key}>
            <th scope="row"><Label row={row}/></th>
            {STATISTICS.map(name => (
              <td key={name} data-statistic={name} data-value={row.statistics?.[name] ?? ""}>{formatStatistic(row, name, unit, kind)}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  </div>
);

/** Table of two groups of points: one row a statistic, with the difference of the first from the second. */
export const ComparisonTable = ({rows, unit, kind, better}: Props & {better: Better}) => {
  const [first, second] = rows;
  if (!first || !second) {
    return null;
  }
  return (
    <div className="bbm-scroll" tabIndex={0} role="region" aria-label="Comparison">
      <table className="bbm-table bbm-comparison" data-testid="comparison">
        <caption className="bbm-sr">Statistics of both sides, and how much the first differs from the second</caption>
        <thead>
          <tr>
            <th scope="col">Statistic</th><th scope="col"><Label row={first}/></th><th scope="col"><Label row={second}/></th>
            <th scope="col">Difference</th>
          </tr>
        </thead>
        <tbody>
          {STATISTICS.map(name => {
            const [after, before] = [first, second].map(row => row.statistics?.[name] ?? null) as (number | null)[];
            return (
              <tr key={name}>
                <th scope="row">{NAMES[name]}</th>
                <td>{formatStatistic(first, name, unit, kind)}</td>
                <td>{formatStatistic(second, name, unit, kind)}</td>
                <td>
                  <Change before={before ?? null} after={after ?? null} change={changeOf(before, after)}
                          better={name === "count" || name === "deviation" ? null : better}
                          unit={name === "count" ? "1" : unit} kind={name === "count" ? "" : kind}/>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
};
