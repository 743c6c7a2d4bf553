import * as React from "react";
import type {Better, Statistics} from "../lib/api";
import {formatValue} from "../lib/format";
import {changeOf, STATISTICS} from "../lib/statistics";
import {Change} from "./Basics";

export const STATISTIC_NAMES: Readonly<Record<string, string>> = {
  count: "Points", average: "Average", deviation: "Deviation", minimum: "Minimum", maximum: "Maximum", median: "Median",
  p95: "p95",
};

interface Side {
  label: string;
  statistics: Statistics | null;
}

/** Table of two groups of points: one row a statistic, with the difference of the first from the second. */
export const ComparisonTable = ({first, second, unit, kind, better}: {
  first: Side; second: Side; unit: string; kind: string; better: Better;
}) => {
  const format = (name: string, value: number | null) => name === "count" ? formatValue(value) : formatValue(value, unit, kind);
  return (
    <div className="bbm-scroll" tabIndex={0} role="region" aria-label="Comparison">
      <table className="bbm-table bbm-comparison">
        <caption className="bbm-sr">Statistics of both sides, and how much the first differs from the second</caption>
        <thead>
          <tr>
            <th scope="col">Statistic</th><th scope="col"><bdi className="bbm-name bbm-clamp">{first.label}</bdi></th>
            <th scope="col"><bdi className="bbm-name bbm-clamp">{second.label}</bdi></th><th scope="col">Difference</th>
          </tr>
        </thead>
        <tbody>
          {STATISTICS.map(name => {
            const [after, before] = [first, second].map(side => side.statistics?.[name] ?? null) as (number | null)[];
            return (
              <tr key={name}>
                <th scope="row">{STATISTIC_NAMES[name]}</th>
                <td>{format(name, after ?? null)}</td>
                <td>{format(name, before ?? null)}</td>
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
