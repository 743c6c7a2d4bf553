import * as React from "react";
import {useAlerts} from "../hooks/useAlerts";
import type {Theme} from "../hooks/useTheme";
import {MAX_ALERTS, type Alert} from "../lib/api";
import {AlertCard} from "./AlertCard";
import {Failure} from "./Basics";

const INITIAL_CARDS = 6;
/** The time in which an improvement is lately. */
const LATELY = "14d";

const Cards = ({alerts, theme, now}: {alerts: readonly Alert[]; theme: Theme; now: number}) => {
  const [limit, setLimit] = React.useState(INITIAL_CARDS);
  return (
    <>
      <ul className="bbm-cards">
        {alerts.slice(0, limit).map(alert => <AlertCard key={alert.id} alert={alert} theme={theme} now={now}/>)}
      </ul>
      {alerts.length > limit && (
        <button type="button" className="bbm-button" onClick={() => setLimit(limit + 30)}>
          Show {Math.min(30, alerts.length - limit)} more of {alerts.length - limit}
        </button>
      )}
    </>
  );
};

/** The open alerts, the most urgent first. */
export const NeedsAttention = ({theme, version, now}: {theme: Theme; version: number; now: number}) => {
  const {alerts, error} = useAlerts({state: "open"}, version);
  return (
    <section aria-labelledby="bbm-attention-title">
      <h2 id="bbm-attention-title">Needs attention {alerts && alerts.length > 0 && <span className="bbm-more">{alerts.length}</span>}</h2>
      {error && <Failure error={error}/>}
      {alerts && alerts.length === 0 && <p className="bbm-note">Nothing: no open alert.</p>}
      {alerts && alerts.length >= MAX_ALERTS && <p className="bbm-note">There may be more: the newest {MAX_ALERTS.toLocaleString("en")} are read.</p>}
      {alerts && <Cards alerts={alerts} theme={theme} now={now}/>}
    </section>
  );
};

/** The improvements of the last days; nothing without any. */
export const ImprovedLately = ({theme, version, now}: {theme: Theme; version: number; now: number}) => {
  const {alerts} = useAlerts({state: "accepted", since: LATELY}, version);
  const improved = alerts?.filter(alert => alert.outcome === "better") ?? [];
  return improved.length === 0 ? null : (
    <section aria-labelledby="bbm-improved-title">
      <h2 id="bbm-improved-title">Improved lately <span className="bbm-more">{improved.length}</span></h2>
      <Cards alerts={improved} theme={theme} now={now}/>
    </section>
  );
};
