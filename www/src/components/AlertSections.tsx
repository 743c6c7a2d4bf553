import * as React from "react";
import {useAlerts} from "../hooks/useAlerts";
import type {Theme} from "../hooks/useTheme";
import {groupAlerts, type AlertGroup} from "../lib/alerts";
import {digits} from "../lib/format";
import {MAX_ALERTS} from "../lib/api";
import {AlertCard} from "./AlertCard";
import {Failure} from "./Basics";

const INITIAL_CARDS = 6;
/** The time in which an improvement is lately. */
const LATELY = "14d";

const Cards = ({groups, theme, now}: {groups: readonly AlertGroup[]; theme: Theme; now: number}) => {
  const [limit, setLimit] = React.useState(INITIAL_CARDS);
  return (
    <>
      <ul className="bbm-cards">
        {groups.slice(0, limit).map(({key, alerts}) => <AlertCard key={key} alerts={alerts} theme={theme} now={now}/>)}
      </ul>
      {groups.length > limit && (
        <button type="button" className="bbm-button" onClick={() => setLimit(limit + 30)}>
          Show {Math.min(30, groups.length - limit)} more of {groups.length - limit}
        </button>
      )}
    </>
  );
};

/** The open alerts, the most urgent first. */
export const NeedsAttention = ({theme, version, now}: {theme: Theme; version: number; now: number}) => {
  const {alerts, error} = useAlerts({state: "open"}, version);
  const groups = React.useMemo(() => groupAlerts(alerts ?? []), [alerts]);
  return (
    <section aria-labelledby="bbm-attention-title">
      <h2 id="bbm-attention-title">Needs attention {groups.length > 0 && <span className="bbm-more">{groups.length}</span>}</h2>
      {error && <Failure error={error}/>}
      {alerts && alerts.length === 0 && <p className="bbm-note">Nothing: no open alert.</p>}
      {alerts && alerts.length >= MAX_ALERTS && <p className="bbm-note">There may be more: the newest {digits(MAX_ALERTS)} are read.</p>}
      <Cards groups={groups} theme={theme} now={now}/>
    </section>
  );
};

/** The improvements of the last days; nothing without any. */
export const ImprovedLately = ({theme, version, now}: {theme: Theme; version: number; now: number}) => {
  const {alerts} = useAlerts({state: "accepted", since: LATELY}, version);
  const improved = React.useMemo(() => groupAlerts(alerts?.filter(alert => alert.outcome === "better") ?? []), [alerts]);
  return improved.length === 0 ? null : (
    <section aria-labelledby="bbm-improved-title">
      <h2 id="bbm-improved-title">Improved lately <span className="bbm-more">{improved.length}</span></h2>
      <Cards groups={improved} theme={theme} now={now}/>
    </section>
  );
};
