import * as React from "react";
import type {Statistics} from "../lib/api";
import {formatChange, formatValue} from "../lib/format";
import {changeOf, STATISTICS} from "../lib/statistics";

export const STATISTIC_NAMES: Readonly<Record<string, string>> = {
  count: "Points", average: "Average", deviation: "Deviation", minimum: "Minimum", maximum: "Maximum", median: "Median",
  p95: "p95",
};

interface Side {
  label: string;
  statistics: Statistics | null;
}

/** The difference of two statistics; it has no colour, because it is no verdict. */
const Difference = ({before, after}: {before: number | null; after: number | null}) => {
  if (before === null || after === null) {
    return <span className="bbm-change bbm-unknown" aria-label="nothing to compare with">–</span>;
  }
  const change = before === after ? 0 : changeOf(before, after);
  const arrow = after > before ? "▲ " : after < before ? "▼ " : "= ";
  return (
    <span className="bbm-change bbm-unknown"><span aria-hidden="true">{arrow}</span>{change === null ? "from 0" : formatChange(change)}</span>
  );
};

/** Table of two groups of points: one row a statistic, with the difference of the first from the second. */
export const ComparisonTable = ({first, second, unit, kind}: {first: Side; second: Side; unit: string; kind: string}) => {
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
            const [after = null, before = null] = [first, second].map(side => side.statistics?.[name]) as (number | null | undefined)[];
            return (
              <tr key={name}>
                <th scope="row">{STATISTIC_NAMES[name]}</th>
                <td>{format(name, after)}</td>
                <td>{format(name, before)}</td>
                <td><Difference before={before} after={after}/></td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <p className="bbm-note">These differences are not judged: verdicts compare each build with the builds before it.</p>
    </div>
  );
};
