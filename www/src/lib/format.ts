/** Formatting of values, equal to `bbmeasure.units.format`: tests/format_cases.json has the cases of both. */

const SECONDS: readonly [number, string][] = [
  [86400, "d"], [3600, "h"], [60, "min"], [1, "s"], [1e-3, "ms"], [1e-6, "\u00b5s"], [1e-9, "ns"],
];
const BYTES: readonly [number, string][] = [
  [1024 ** 6, "EiB"], [1024 ** 5, "PiB"], [1024 ** 4, "TiB"], [1024 ** 3, "GiB"], [1024 ** 2, "MiB"], [1024, "KiB"], [1, "bytes"],
];
const THIN_SPACE = "\u202f";

/** `value.toExponential(decimals)` with ties rounded to the even digit, as Python does. */
function toExponentialHalfEven(value: number, decimals: number): string {
  const text = value.toExponential(decimals);
  const exact = value.toExponential(60);
  const digits = exact.slice(0, exact.indexOf("e")).replace("-", "").replace(".", "");
  const isTie = /^50*$/.test(digits.slice(decimals + 1));
  if (!isTie || Number(digits[decimals]) % 2) {
    return text;
  }
  const sign = value < 0 ? "-" : "";
  const kept = digits.slice(0, decimals + 1);
  return `${sign}${kept[0]}.${kept.slice(1)}0${exact.slice(exact.indexOf("e"))}`;
}

/** Python's `format(value, ".3g")`. */
function threeSignificantDigits(value: number): string {
  const rounded = toExponentialHalfEven(value, 2);
  const exponent = Number(rounded.slice(rounded.indexOf("e") + 1));
  if (exponent >= -4 && exponent < 3) {
    return String(Number(Number(rounded).toFixed(Math.max(0, 2 - exponent))));
  }
  const mantissa = Number(rounded.slice(0, rounded.indexOf("e")));
  const size = String(Math.abs(exponent)).padStart(2, "0");
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${size}`;
}

function groupDigits(whole: number): string {
  const sign = whole < 0 ? "-" : "";
  return sign + String(Math.abs(whole)).replace(/\B(?=(\d{3})+$)/g, THIN_SPACE);
}

function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  if (value - below !== 0.5) {
    return Math.round(value);
  }
  return below % 2 ? below + 1 : below;
}

/** Three significant digits; integers in full; no exponent between 1e-4 and 1e15. */
export function digits(value: number): string {
  const size = Math.abs(value);
  if (size < 1e15 && Number.isInteger(value)) {
    return groupDigits(value || 0);
  }
  if (size >= 999.5 && size < 1e15) {
    return groupDigits(roundHalfEven(value));
  }
  return threeSignificantDigits(value);
}

function formatScaled(value: number, steps: readonly [number, string][]): string {
  const [factor, unit] = steps.find(step => Math.abs(value) >= step[0]) ?? steps[steps.length - 1]!;
  return `${digits(value / factor)} ${unit}`;
}

/** A value in a base unit: `1.42 MiB`, `12.5 ms`, `85 %` for the kind ratio.  A text is returned unchanged. */
export function formatValue(value: number | string | null | undefined, unit = "1", kind = ""): string {
  if (value === null || value === undefined) {
    return "–";
  }
  if (typeof value === "string") {
    return value;
  }
  if (!Number.isFinite(value)) {
    return String(value);
  }
  if (unit === "s") {
    return value ? formatScaled(value, SECONDS) : "0 s";
  }
  if (unit === "bytes" || unit === "bytes/s") {
    return formatScaled(value, BYTES) + unit.slice("bytes".length);
  }
  if (kind === "ratio" && unit === "1") {
    return `${digits(value * 100)} %`;
  }
  return unit === "1" ? digits(value) : `${digits(value)} ${unitName(unit)}`;
}

/** The display name of a unit: empty for plain numbers, without braces. */
export function unitName(unit: string, kind = ""): string {
  if (unit === "1") {
    return kind === "ratio" ? "%" : "";
  }
  return unit === "Cel" ? "\u00b0C" : unit.replace(/[{}]/g, "");
}

/** `value.toFixed(decimals)` with ties rounded to the even digit, as Python does. */
function toFixedHalfEven(value: number, decimals: number): string {
  const exact = value.toFixed(60);
  const end = exact.indexOf(".") + 1 + decimals;
  const kept = decimals ? exact.slice(0, end) : exact.slice(0, end - 1);
  return /^50*$/.test(exact.slice(end)) && Number(kept[kept.length - 1]) % 2 === 0 ? kept : value.toFixed(decimals);
}

/** A fraction as a signed percentage, as `bbmeasure.units.format_change`: `+0.8 %`, `-12 %`, `+0 %`, `<0.1 %`. */
export function formatChange(change: number | null): string {
  if (change === null || !Number.isFinite(change)) {
    return "–";
  }
  const percent = Math.abs(change * 100);
  if (percent < 0.05) {
    return change === 0 ? "+0 %" : "<0.1 %";
  }
  const number = percent >= 999.5 ? digits(roundHalfEven(percent)) : toFixedHalfEven(percent, percent >= 9.95 ? 0 : 1);
  return `${change > 0 ? "+" : "-"}${number} %`;
}

/** A name cut to `maxLength` characters. */
export function truncate(text: string, maxLength = 60): string {
  const letters = Array.from(text);
  return letters.length <= maxLength ? text : `${letters.slice(0, maxLength - 1).join("")}…`;
}

/** `text` with its writing direction isolated, for places without markup such as options. */
export function isolateDirection(text: string): string {
  return `\u2068${text.replace(/[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g, "")}\u2069`;
}
