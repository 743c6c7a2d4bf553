/**
 * Values as people write them: the same texts as `bbmeasure.units.format`, which tests/format_cases.json holds both to.
 */

const SECONDS: readonly [number, string][] = [
  [86400, "d"], [3600, "h"], [60, "min"], [1, "s"], [1e-3, "ms"], [1e-6, "\u00b5s"], [1e-9, "ns"],
];
const BYTES: readonly [number, string][] = [
  [1024 ** 4, "TiB"], [1024 ** 3, "GiB"], [1024 ** 2, "MiB"], [1024, "KiB"], [1, "bytes"],
];
const THIN_SPACE = "\u202f";

/** `value` rounded as Python rounds: a tie goes to the even digit. */
function roundedTo(value: number, decimals: number): string {
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
function threeDigits(value: number): string {
  const rounded = roundedTo(value, 2);
  const exponent = Number(rounded.slice(rounded.indexOf("e") + 1));
  if (exponent >= -4 && exponent < 3) {
    return String(Number(Number(rounded).toFixed(Math.max(0, 2 - exponent))));
  }
  const mantissa = Number(rounded.slice(0, rounded.indexOf("e")));
  const size = String(Math.abs(exponent)).padStart(2, "0");
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${size}`;
}

function grouped(whole: number): string {
  const sign = whole < 0 ? "-" : "";
  return sign + String(Math.abs(whole)).replace(/\B(?=(\d{3})+$)/g, THIN_SPACE);
}

function nearestEven(value: number): number {
  const below = Math.floor(value);
  if (value - below !== 0.5) {
    return Math.round(value);
  }
  return below % 2 ? below + 1 : below;
}

/** Three significant digits, whole numbers whole, no exponent in the everyday range. */
export function digits(value: number): string {
  const size = Math.abs(value);
  if (size < 1e15 && Number.isInteger(value)) {
    return grouped(value || 0);
  }
  if (size >= 999.5 && size < 1e15) {
    return grouped(nearestEven(value));
  }
  return threeDigits(value);
}

function scaled(value: number, steps: readonly [number, string][]): string {
  const [factor, unit] = steps.find(step => Math.abs(value) >= step[0]) ?? steps[steps.length - 1]!;
  return `${digits(value / factor)} ${unit}`;
}

/** `value` of base `unit`: `1.42 MiB`, `12.5 ms`, `85 %` where `kind` is ratio.  A text is given back as it is. */
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
    return value ? scaled(value, SECONDS) : "0 s";
  }
  if (unit === "bytes" || unit === "bytes/s") {
    return scaled(value, BYTES) + unit.slice("bytes".length);
  }
  if (kind === "ratio" && unit === "1") {
    return `${digits(value * 100)} %`;
  }
  return unit === "1" ? digits(value) : `${digits(value)} ${unit.replace(/^[{}]+|[{}]+$/g, "")}`;
}

/** A unit as a person reads it: nothing for the bare number, no braces. */
export function unitName(unit: string, kind = ""): string {
  if (unit === "1") {
    return kind === "ratio" ? "%" : "";
  }
  return unit.replace(/^[{}]+|[{}]+$/g, "");
}

/** A change that is a fraction, with its sign: `+0.8 %`, `−12 %`, `±0 %`, `<0.1 %`. */
export function formatChange(change: number | null): string {
  if (change === null || !Number.isFinite(change)) {
    return "–";
  }
  const percent = Math.abs(change * 100);
  if (percent < 0.05) {
    return change === 0 ? "±0 %" : "<0.1 %";
  }
  const shown = percent >= 999.5 ? digits(Math.round(percent)) : percent >= 9.95 ? percent.toFixed(0) : percent.toFixed(1);
  return `${change > 0 ? "+" : "−"}${shown} %`;
}

/** A name short enough for a breadcrumb or a list of choices. */
export function shortened(text: string, most = 60): string {
  const letters = Array.from(text);
  return letters.length <= most ? text : `${letters.slice(0, most - 1).join("")}…`;
}

/** `text` where no markup can be given (an option, a breadcrumb): its writing direction stays inside it. */
export function isolated(text: string): string {
  return `\u2068${text.replace(/[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g, "")}\u2069`;
}
