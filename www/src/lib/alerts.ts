/** Order and description of alerts. */

import type {Alert, LevelChange} from "./api";
import {lineLabel, tagsKey, type Line, type LineName} from "./lines";
import {seriesRoute} from "./urlState";

const RULES: Readonly<Record<string, string>> = {
  shift: "change of level", exact: "change of level", limit: "above the limit", lower_limit: "below the limit",
  increase: "larger increase than allowed", decrease: "larger decrease than allowed",
};

const isMuted = (alert: Alert) => alert.until !== null;

/** Order of alerts: muted ones last, then the largest change, then the newest. */
export const byUrgency = (a: Alert, b: Alert): number =>
  Number(isMuted(a)) - Number(isMuted(b)) || Math.abs(b.change ?? Infinity) - Math.abs(a.change ?? Infinity) || b.time - a.time;

export const ruleName = (rule: string): string => RULES[rule] ?? rule;

/** The route of the line of an alert. */
export const alertRoute = ({series, builder, branch, tags, kind, unit}: Alert): string => seriesRoute(series, {
  ...(builder === null ? {} : {builder}), ...(branch === null ? {} : {branch}), kind, unit,
}, tags);

/** What distinguishes the line of an alert: builder, branch and tags. */
export const alertLine = ({builder, branch, tags}: Alert): string =>
  [builder ?? "no builder", ...(branch === null ? [] : [branch]), ...Object.keys(tags).sort().map(key => `${key}=${tags[key]}`)].join(" \u00b7 ");

/** Alerts of one series that the same commits may have caused; `key` is equal as long as one of them remains. */
export interface AlertGroup {
  key: string;
  alerts: Alert[];
}

/** Alerts in groups, in the order of their first ones; an alert without suspects is a group of its own. */
export function groupAlerts(alerts: readonly Alert[]): AlertGroup[] {
  const groups = new Map<string, Alert[]>();
  for (const alert of alerts) {
    const revisions = alert.suspects.flatMap(({revision}) => revision ?? []).sort();
    const {series, kind, unit, outcome} = alert;
    const key = JSON.stringify(revisions.length ? [series, kind, unit, outcome, isMuted(alert), revisions] : alert.id);
    groups.set(key, [...groups.get(key) ?? [], alert]);
  }
  return [...groups].map(([key, members]) => ({key, alerts: members}));
}

/** What distinguishes the line of each alert from those of the others. */
export function alertLabels(alerts: readonly Alert[]): string[] {
  const names = alerts.map(({builder, branch, tags, machine_class: machine}): LineName => ({builder, branch, tags, machine, proposed: false}));
  return names.map(name => lineLabel(name, names));
}

/** The route of the series of alerts, with what they have in common. */
export function seriesOfAlerts(alerts: readonly Alert[]): string {
  const [{series, branch, kind, unit}] = alerts as [Alert];
  const isSame = branch !== null && alerts.every(alert => alert.branch === branch);
  return seriesRoute(series, {...(isSame ? {branch} : {}), kind, unit});
}

/** Builds by which the first build of an alert and that of a drawn change may differ. */
const REACH = 8;

/** Whether an alert is of that line; of several machine classes it is of the line of all. */
const isOf = (alert: Alert, line: LineName) => alert.builder === line.builder && alert.branch === line.branch
  && tagsKey(alert.tags) === tagsKey(line.tags) && (line.machine === null || line.machine === alert.machine_class);

/** A change with the levels of its alert, so that the page has one figure for both. */
const withLevels = (change: LevelChange, alert: Alert | null): LevelChange => alert === null || alert.before === null || alert.after === null
  ? change : {...change, before: alert.before, after: alert.after, change: alert.change};

/** A line with the changes of its alerts: their levels, and those that the look-back has not found yet. */
export function withAlerts(line: Line, alerts: readonly Alert[]): Line {
  const known = (line.analysis?.changes ?? []).map(change => withLevels(change, alertOfChange(alerts, line, change)));
  const more = line.proposed ? [] : alerts.flatMap((alert): LevelChange[] => {
    const isKnown = known.some(change => change.build !== null && alert.build !== null && Math.abs(change.build - alert.build) <= REACH);
    return !isOf(alert, line) || isKnown || alert.before === null || alert.after === null ? [] : [{
      at: alert.time, before: alert.before, after: alert.after, change: alert.change, build: alert.build, buildid: alert.buildid, revision: null,
      previous_build: null, previous_buildid: null, previous_revision: null,
    }];
  });
  const analysis = line.analysis ?? {median: null, low: null, high: null, levels: [], changes: []};
  return known.length || more.length ? {...line, analysis: {...analysis, changes: [...known, ...more].sort((a, b) => a.at - b.at)}} : line;
}

/** The alert of a change of level of a line, if there is one. */
export function alertOfChange(alerts: readonly Alert[], line: LineName, change: LevelChange): Alert | null {
  const near = alerts.filter(alert => isOf(alert, line) && alert.build !== null && change.build !== null
    && Math.abs(alert.build - change.build) <= REACH);
  return near.sort((a, b) => Math.abs(a.build! - change.build!) - Math.abs(b.build! - change.build!))[0] ?? null;
}
