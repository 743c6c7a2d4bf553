import * as React from "react";
import {isSignedIn, useDecision} from "../hooks/useAlerts";
import type {Alert, Suspect} from "../lib/api";
import {formatTime} from "../lib/time";
import {ExternalLink, Name} from "./Basics";

const NO_OTHERS: readonly Alert[] = [];

/** The form that accepts or ignores an open alert, and `others` with it, for users who are signed in. */
export const AlertActions = ({alert, others = NO_OTHERS}: {alert: Alert; others?: readonly Alert[]}) => {
  const {decide, busy, error} = useDecision([alert, ...others]);
  const [why, setWhy] = React.useState("");
  const id = React.useId();
  if (alert.state !== "open") {
    return null;
  }
  if (!isSignedIn()) {
    return <p className="bbm-more">Sign in to accept or ignore {others.length ? "them" : "it"}.</p>;
  }
  const isReady = Boolean(why.trim()) && !busy;
  const which = others.length ? ` all ${others.length + 1}` : "";
  return (
    <form className="bbm-decision" onSubmit={event => event.preventDefault()}>
      <label htmlFor={id}>Why</label>
      <input id={id} className="bbm-field" value={why} aria-describedby={`${id}-help`} maxLength={1000} placeholder="e.g. a new compiler" onChange={event => setWhy(event.target.value)}/>
      <button type="button" className="bbm-button" disabled={!isReady} onClick={() => void decide("accepted", why.trim())}>Accept{which}</button>
      <button type="button" className="bbm-button" disabled={!isReady} onClick={() => void decide("ignored", why.trim())}>Ignore{which}</button>
      <p id={`${id}-help`} className="bbm-more bbm-decision-help">
        {!why.trim() && "Say why first. "}Accept: the new level is expected. Ignore: both levels are usual.
      </p>
      {error && <p className="bbm-failure" role="alert">{error.message}</p>}
    </form>
  );
};

/** State of an alert, with who decided it and why. */
export const AlertNote = ({alert}: {alert: Alert}) => (
  <p className="bbm-more">
    <span className="bbm-badge">{alert.state}</span>
    {alert.by && <> by <bdi>{alert.by}</bdi></>}{alert.why && <>: <bdi>{alert.why}</bdi></>}
    {alert.until !== null && <> muted until {formatTime(alert.until)}</>}
  </p>
);

const MAX_SUSPECTS = 5;

export const Commits = ({commits}: {commits: readonly Suspect[]}) => (
  <ul className="bbm-commits">
    {commits.map((commit, index) => (
      <li key={index}>
        <bdi className="bbm-code">{commit.revision?.slice(0, 12) || "\u2013"}</bdi>{" "}
        <Name text={commit.subject || "(no message)"}/>
        {commit.author && <span className="bbm-more"> by <bdi>{commit.author}</bdi></span>}{" "}
        <ExternalLink href={commit.url}>view</ExternalLink>
      </li>
    ))}
  </ul>
);

/** The commits that may have caused an alert. */
export const Suspects = ({suspects}: {suspects: readonly Suspect[]}) => suspects.length === 0 ? null : (
  <>
    <p className="bbm-more">Suspects</p>
    <Commits commits={suspects.slice(0, MAX_SUSPECTS)}/>
    {suspects.length > MAX_SUSPECTS && <p className="bbm-more">and {suspects.length - MAX_SUSPECTS} more</p>}
  </>
);
