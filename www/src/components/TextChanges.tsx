import * as React from "react";
import {Link} from "react-router-dom";
import type {Point} from "../lib/api";
import {textChanges} from "../lib/textChanges";
import {formatTime} from "../lib/time";
import {Name, Value} from "./Basics";

const MAX_ROWS = 100;

/** The changes of a series of texts: what it was, what it became, and with which build. */
export const TextChanges = ({points, kind, routeOf, complete}: {
  points: readonly Point[]; kind: string; routeOf: (point: Point) => string | null; complete: boolean;
}) => {
  const changes = React.useMemo(() => textChanges(points), [points]);
  const hasLines = new Set(changes.map(change => change.label)).size > 1;
  return (
    <section aria-labelledby="bbm-changes-title">
      <h2 id="bbm-changes-title">Changes</h2>
      <div className="bbm-scroll" tabIndex={0} role="region" aria-label="Table of changes">
        <table className="bbm-table bbm-text-changes">
          <thead>
            <tr>
              <th scope="col">Since</th>{hasLines && <th scope="col">Line</th>}<th scope="col">Text</th>
              <th scope="col">Before</th><th scope="col">Build</th><th scope="col" className="bbm-cell-count">Points</th>
            </tr>
          </thead>
          <tbody>
            {changes.slice(0, MAX_ROWS).map(({label, before, point, count}, index) => {
              const route = routeOf(point);
              const build = point.build === null ? "–" : `#${point.build}`;
              return (
                <tr key={index}>
                  <td className="bbm-nowrap">{formatTime(point.time)}</td>
                  {hasLines && <td><Name text={label} clamp/></td>}
                  <td className="bbm-value"><Value value={point.value} unit="1" kind={kind}/></td>
                  <td>{before === null ? "–" : <Value value={before} unit="1" kind={kind}/>}</td>
                  <td>{route ? <Link to={route}>{build}</Link> : build}</td>
                  <td className="bbm-cell-count">{count}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {(changes.length > MAX_ROWS || !complete) && <p className="bbm-note">Only the newest changes are shown.</p>}
    </section>
  );
};
