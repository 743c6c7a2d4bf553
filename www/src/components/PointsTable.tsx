import * as React from "react";
import {Link} from "react-router-dom";
import type {Point} from "../lib/api";
import {formatTime} from "../lib/time";
import {BranchName, Name, TagList, Value} from "./Basics";

const MAX_ROWS = 100;

interface Props {
  points: readonly Point[];
  unit: string;
  kind: string;
  routeOf: (point: Point) => string | null;
  /** Whether `points` are all points that match. */
  complete: boolean;
}

/** Table of the newest points: the text alternative of the chart. */
export const PointsTable = ({points, unit, kind, routeOf, complete}: Props) => {
  const [shown, setShown] = React.useState(false);
  const rows = React.useMemo(
    () => shown ? [...points].sort((a, b) => b.time - a.time).slice(0, MAX_ROWS) : [], [points, shown]);
  return (
    <details className="bbm-points" onToggle={event => setShown(event.currentTarget.open)}>
      <summary>The newest {Math.min(points.length, MAX_ROWS)}{complete ? ` of ${points.length}` : ""} points as a table</summary>
      {shown && (
        <div className="bbm-scroll" tabIndex={0} role="region" aria-label="Points">
          <table className="bbm-table">
            <thead>
              <tr>
                {["Time", "Value", "Builder", "Build", "Branch", "Worker", "Revision", "Tags"].map(name =>
                  <th scope="col" key={name}>{name}</th>)}
              </tr>
            </thead>
            <tbody>
              {rows.map((point, index) => {
                const route = routeOf(point);
                const build = point.build === null ? "–" : `#${point.build}`;
                return (
                  <tr key={index}>
                    <td className="bbm-nowrap">{formatTime(point.time)}</td>
                    <td className="bbm-value"><Value value={point.value} unit={unit} kind={kind}/></td>
                    <td>{point.builder === null ? "–" : <Name text={point.builder} clamp/>}</td>
                    <td>{route ? <Link to={route}>{build}</Link> : build}</td>
                    <td><BranchName branch={point.branch} proposal={point.proposal}/></td>
                    <td>{point.worker === null ? "–" : <Name text={point.worker} clamp/>}</td>
                    <td>{point.revision ? <bdi className="bbm-code">{point.revision.slice(0, 12)}</bdi> : "–"}</td>
                    <td><TagList tags={point.tags}/></td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
};
