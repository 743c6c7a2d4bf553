import * as React from "react";
import {Link} from "react-router-dom";
import {useQuery} from "../hooks/useQuery";
import {useInView} from "../hooks/useInView";
import type {Theme} from "../hooks/useTheme";
import {alertLine, alertRoute, ruleName} from "../lib/alerts";
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

/** An alert: what changed, since when, a small chart, suspects, and its decision. */
export const AlertCard = ({alert, theme, now}: {alert: Alert; theme: Theme; now: number}) => {
  const format = (value: number | null) => formatValue(value, alert.unit, alert.kind);
  const change = alert.change === null ? null : formatChange(alert.change);
  const route = alertRoute(alert);
  return (
    <li className="bbm-card">
      <header className="bbm-card-head">
        <h3><Link to={route}><Name text={alert.series} clamp/></Link></h3>
        <span className={`bbm-verdict bbm-${alert.outcome}`}>{change ?? alert.outcome}</span>
      </header>
      <p className="bbm-more"><Name text={alertLine(alert)} clamp/></p>
      <p>
        <span className="bbm-nowrap">{format(alert.before)} → <strong>{format(alert.after)}</strong></span>
        <span className="bbm-more"> {ruleName(alert.rule)}, {alert.build !== null && <>build #{alert.build}, </>}<RelativeTime time={alert.time} now={now}/></span>
      </p>
      <AlertChart alert={alert} theme={theme}/>
      <Suspects suspects={alert.suspects}/>
      {(alert.state !== "open" || alert.until !== null) && <AlertNote alert={alert}/>}
      <AlertActions alert={alert}/>
    </li>
  );
};
