import * as React from "react";
import {Link} from "react-router-dom";
import {useQuery} from "../hooks/useQuery";
import {useInView} from "../hooks/useInView";
import type {Theme} from "../hooks/useTheme";
import {alertLabels, alertLine, alertRoute, ruleName, seriesOfAlerts} from "../lib/alerts";
import {getColumns, type Alert} from "../lib/api";
import {formatChange, formatValue} from "../lib/format";
import {groupIntoLines, tagsKey} from "../lib/lines";
import {AlertActions, AlertNote, Suspects} from "./AlertActions";
import {Failure, Loading, Name, RelativeTime} from "./Basics";
import {MiniChart} from "./MiniChart";

/** Points of the line that are drawn. */
const MAX_POINTS = 200;

const AlertChart = ({alert, theme}: {alert: Alert; theme: Theme}) => {
  const [element, inView] = useInView<HTMLDivElement>();
  const {series, builder, branch, tags, machine_class: machine, kind, unit} = alert;
  const {data, error} = useQuery(inView ? JSON.stringify(["alert", alert.id, alert.time]) : null, 0, signal => getColumns(
    series, {builder, branch, machine, kind, unit, tags}, MAX_POINTS, false, signal));
  const lines = React.useMemo(() => groupIntoLines(data?.points ?? []).filter(line => tagsKey(line.tags) === tagsKey(tags)), [data, tags]);
  return (
    <div ref={element}>
      {error ? <Failure error={error}/> : data
        ? <MiniChart lines={lines} unit={unit} kind={kind} theme={theme} name={series} marked={alert.time}/> : <Loading what="points"/>}
    </div>
  );
};

const Levels = ({alert}: {alert: Alert}) => {
  const [before, after] = [alert.before, alert.after].map(value => formatValue(value, alert.unit, alert.kind));
  return <span className="bbm-nowrap">{before} → <strong>{after}</strong></span>;
};

/** The lines of several alerts, each with its levels, then what they have in common. */
const AlertLines = ({alerts, now}: {alerts: readonly Alert[]; now: number}) => {
  const labels = alertLabels(alerts);
  return (
    <>
      <ul className="bbm-alert-lines">
        {alerts.map((alert, index) => (
          <li key={alert.id}>
            <Link to={alertRoute(alert)}><Name text={labels[index]!} clamp/></Link>
            <span className={`bbm-verdict bbm-${alert.outcome}`}>{changeText(alert)}</span>
            <Levels alert={alert}/>
            {alert.build !== null && <span className="bbm-more">#{alert.build}</span>}
          </li>
        ))}
      </ul>
      <p className="bbm-more">
        {[...new Set(alerts.map(alert => ruleName(alert.rule)))].join(", ")}
        , <RelativeTime time={Math.min(...alerts.map(alert => alert.time))} now={now}/>
      </p>
    </>
  );
};

const changeText = (alert: Alert) => alert.change === null ? alert.outcome : formatChange(alert.change);

/** The changes of all alerts, from the smallest to the largest one. */
function changesText(alerts: readonly Alert[]): string {
  const ordered = [...alerts].sort((a, b) => Math.abs(a.change ?? Infinity) - Math.abs(b.change ?? Infinity)).map(changeText);
  return [...new Set([ordered[0]!, ordered[ordered.length - 1]!])].join(" to ");
}

/** One change: its lines, since when, a small chart of the first one, suspects, and its decision. */
export const AlertCard = ({alerts, theme, now}: {alerts: readonly Alert[]; theme: Theme; now: number}) => {
  const [alert, ...others] = alerts as [Alert, ...Alert[]];
  const route = others.length ? seriesOfAlerts(alerts) : alertRoute(alert);
  return (
    <li className="bbm-card">
      <header className="bbm-card-head">
        <h3><Link to={route}><Name text={alert.series} clamp/></Link></h3>
        <span className={`bbm-verdict bbm-${alert.outcome}`}>{changesText(alerts)}</span>
      </header>
      {others.length ? <AlertLines alerts={alerts} now={now}/> : (
        <>
          <p className="bbm-more"><Name text={alertLine(alert)} clamp/></p>
          <p>
            <Levels alert={alert}/>
            <span className="bbm-more"> {ruleName(alert.rule)}, {alert.build !== null && <>build #{alert.build}, </>}<RelativeTime time={alert.time} now={now}/></span>
          </p>
        </>
      )}
      <AlertChart alert={alert} theme={theme}/>
      <Suspects suspects={alert.suspects}/>
      {(alert.state !== "open" || alert.until !== null) && <AlertNote alert={alert}/>}
      <AlertActions alert={alert} others={others}/>
    </li>
  );
};
