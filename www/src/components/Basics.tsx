import * as React from "react";
import type {Better, Tags} from "../lib/api";
import {formatValue} from "../lib/format";
import {formatAgo, formatTime} from "../lib/time";

/** A name from user input, of any length; its writing direction is isolated from the text around it. */
export const Name = ({text, clamp = false}: {text: string; clamp?: boolean}) => (
  <bdi className={clamp ? "bbm-name bbm-clamp" : "bbm-name"} title={clamp && text.length > 40 ? text : undefined}>
    {text}
  </bdi>
);

/** A value: a number is kept on one line, a text is clamped. */
export const Value = ({value, unit, kind}: {value: number | string | null; unit: string; kind: string}) => {
  const text = formatValue(value, unit, kind);
  return (
    <bdi className={typeof value === "string" ? "bbm-clamp" : "bbm-nowrap"}
         title={typeof value === "string" && text.length > 20 ? text : undefined}>{text}</bdi>
  );
};

export const TagList = ({tags}: {tags: Tags}) => {
  const keys = Object.keys(tags).sort();
  return keys.length === 0 ? null : (
    <ul className="bbm-tags" aria-label="tags">
      {keys.map(key => (
        <li key={key} className="bbm-tag" title={`${key}=${tags[key]}`}>
          <bdi>{key}</bdi>=<bdi>{tags[key]}</bdi>
        </li>
      ))}
    </ul>
  );
};

/** The colour of a line, for a legend. */
export const Swatch = ({colour, dashed = false}: {colour: string; dashed?: boolean}) => (
  <span className={dashed ? "bbm-swatch bbm-dashed" : "bbm-swatch"} aria-hidden="true"
        style={dashed ? {borderColor: colour} : {background: colour}}/>
);

export const RelativeTime = ({time, now}: {time: number | null; now: number}) =>
  time === null ? <span>–</span> : (
    <time dateTime={new Date(time * 1000).toISOString()} title={formatTime(time)}>{formatAgo(time, now)}</time>
  );

export const Loading = ({what}: {what: string}) => (
  <p className="bbm-state" role="status"><span className="bbm-spinner" aria-hidden="true"/>Loading {what}…</p>
);

export const Failure = ({error, retry}: {error: Error; retry?: () => void}) => (
  <div className="bbm-state bbm-failure" role="alert">
    <p><strong>That did not work.</strong> <bdi>{error.message}</bdi></p>
    {retry && <button type="button" className="bbm-button" onClick={retry}>Try again</button>}
  </div>
);

export const Empty = ({children}: {children: React.ReactNode}) => (
  <div className="bbm-state bbm-empty" role="status">{children}</div>
);

export const directionLabel = (better: Better) =>
  better === "lower" ? "lower is better" : better === "higher" ? "higher is better" : null;

/** A link that opens another site in a new window; nothing unless `href` is an http or https URL. */
export const ExternalLink = ({href, children}: {href: string | null | undefined; children: React.ReactNode}) =>
  href && /^https?:\/\//i.test(href)
    ? <a className="bbm-outlink" href={href} target="_blank" rel="noopener noreferrer">{children}<span aria-hidden="true"> ↗</span><span className="bbm-sr"> (opens in a new window)</span></a>
    : null;

/** The branch that a build is judged on, and its proposal. */
export const BranchName = ({branch, proposal}: {branch?: string | null; proposal?: string | null}) => (
  <>
    {branch ? <Name text={branch} clamp/> : "–"}
    {proposal && <span className="bbm-more"> ← <Name text={proposal} clamp/></span>}
  </>
);

const VERDICT_LABELS: Readonly<Record<string, string>> = {
  broken: "broken", worse: "worse", changed: "changed", unconfirmed: "unconfirmed", better: "better",
};

/** The verdict on a value that is not normal, with its reason. */
export const VerdictMark = ({verdict, reason}: {verdict?: string | null; reason?: string | null}) => {
  const label = verdict ? VERDICT_LABELS[verdict] : undefined;
  return label ? <span className={`bbm-verdict bbm-${verdict}`} title={reason ?? undefined}>{label}</span> : null;
};
