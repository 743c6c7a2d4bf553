/** Parsing and formatting of times. */

const SECONDS: Readonly<Record<string, number>> = {
  ms: 1e-3, s: 1, m: 60, h: 3600, d: 86400, w: 7 * 86400, y: 365 * 86400,
};

/**
 * Unix seconds of an age such as `7d`, of unix seconds, or of ISO 8601 (UTC if it has no zone); null for anything
 * else.
 */
export function parseTime(text: string, now: number): number | null {
  const trimmed = text.trim();
  const age = /^([0-9]+(?:\.[0-9]+)?)(ms|[smhdwy])$/.exec(trimmed);
  if (age) {
    return now - Number(age[1]) * SECONDS[age[2]!]!;
  }
  if (/^-?[0-9]+(?:\.[0-9]+)?$/.test(trimmed)) {
    return Number(trimmed);
  }
  if (!/^[0-9]{4}-[0-9]{2}/.test(trimmed)) {
    return null;
  }
  const hasZone = /(?:z|[+-][0-9]{2}:?[0-9]{2})$/i.test(trimmed) || !trimmed.includes(":");
  const time = Date.parse(hasZone ? trimmed : `${trimmed}Z`) / 1000;
  return Number.isFinite(time) ? time : null;
}

const pad = (part: number) => String(part).padStart(2, "0");

const day = (date: Date) => `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;

/** `2026-11-24` in local time. */
export const formatDay = (time: number) => day(new Date(time * 1000));

/** `2026-11-24 13:05:07` in local time. */
export function formatTime(time: number): string {
  const date = new Date(time * 1000);
  return `${day(date)} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** The value of a `datetime-local` field, in local time. */
export function inputTime(time: number): string {
  const date = new Date(time * 1000);
  return `${day(date)}T${pad(date.getHours())}:${pad(date.getMinutes())}`;
}

/** `just now`, `5 minutes ago`, `in 2 days`. */
export function formatAgo(time: number, now: number): string {
  const elapsed = now - time;
  const size = Math.abs(elapsed);
  if (size < 45) {
    return "just now";
  }
  const [seconds, name] = size < 2700 ? [60, "minute"] : size < 79200 ? [3600, "hour"] : size < 30 * 86400
    ? [86400, "day"] : size < 330 * 86400 ? [30.44 * 86400, "month"] : [365.25 * 86400, "year"];
  const count = Math.max(1, Math.round(size / (seconds as number)));
  const words = `${count} ${name}${count === 1 ? "" : "s"}`;
  return elapsed >= 0 ? `${words} ago` : `in ${words}`;
}

/** Unix seconds for a URL, with up to three decimals. */
export const urlTime = (time: number) => String(Math.round(time * 1000) / 1000);

/** The time zone of all times on the page, such as `Europe/Berlin (UTC+1)`. */
export function timeZone(time: number): string {
  const minutes = -new Date(time * 1000).getTimezoneOffset();
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const offset = minutes === 0 ? "UTC" : `UTC${minutes < 0 ? "-" : "+"}${hours}${rest ? `:${pad(rest)}` : ""}`;
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return !name || name === "UTC" ? offset : `${name} (${offset})`;
}
