import * as React from "react";
import {alertLine, ruleName} from "../lib/alerts";
import type {Alert} from "../lib/api";
import {formatChange, formatValue} from "../lib/format";
import {formatTime} from "../lib/time";
import {AlertActions, AlertNote} from "./AlertActions";
import {Name} from "./Basics";

const MAX_ROWS = 50;

/** The alerts of a series, newest first: what changed, and who accepted it why. */
export const AlertTable = ({alerts}: {alerts: readonly Alert[]}) => alerts.length === 0 ? null : (
  <section aria-labelledby="bbm-alerts-title">
    <h2 id="bbm-alerts-title">Alerts</h2>
    <div className="bbm-scroll" tabIndex={0} role="region" aria-label="Table of alerts">
      <table className="bbm-table bbm-alerts">
        <thead>
          <tr>
            <th scope="col">Since</th><th scope="col">Line</th><th scope="col">Change</th><th scope="col">Levels</th><th scope="col">State</th>
          </tr>
        </thead>
        <tbody>
          {[...alerts].sort((a, b) => b.time - a.time).slice(0, MAX_ROWS).map(alert => (
            <tr key={alert.id}>
              <td className="bbm-nowrap">{formatTime(alert.time)}{alert.build !== null && <span className="bbm-more"> #{alert.build}</span>}</td>
              <td><Name text={alertLine(alert)} clamp/></td>
              <td>
                <span className={`bbm-verdict bbm-${alert.outcome}`}>{alert.change === null ? alert.outcome : formatChange(alert.change)}</span>
                <span className="bbm-more"> {ruleName(alert.rule)}</span>
              </td>
              <td className="bbm-nowrap">
                {formatValue(alert.before, alert.unit, alert.kind)} → {formatValue(alert.after, alert.unit, alert.kind)}
              </td>
              <td><AlertNote alert={alert}/><AlertActions alert={alert}/></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
    {alerts.length > MAX_ROWS && <p className="bbm-note">The newest {MAX_ROWS} of {alerts.length} are shown.</p>}
  </section>
);
