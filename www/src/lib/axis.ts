/** Ticks of an axis and their labels, at every scale. */

import {digits, unitName} from "./format";

const SECONDS: readonly [number, string][] = [
  [86400, "d"], [3600, "h"], [60, "min"], [1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"],
];
const BYTES: readonly [number, string][] = [
  [1024 ** 6, "EiB"], [1024 ** 5, "PiB"], [1024 ** 4, "TiB"], [1024 ** 3, "GiB"], [1024 ** 2, "MiB"], [1024, "KiB"], [1, "B"],
];
/** Values from which on, and below which, plain numbers have an exponent. */
const LARGEST_PLAIN = 1e9;
const SMALLEST_PLAIN = 1e-4;

/** Factor and name of the unit in which values up to `largest` are labelled. */
function axisScale(largest: number, unit: string, kind: string): [number, string] {
  const steps = unit === "s" ? SECONDS : unit === "bytes" || unit === "bytes/s" ? BYTES : null;
  if (steps) {
    const [factor, name] = steps.find(step => largest >= step[0]) ?? steps[steps.length - 1]!;
    return [factor, ` ${name}${unit === "bytes/s" ? "/s" : ""}`];
  }
  return kind === "ratio" && unit === "1" ? [0.01, " %"] : [1, ""];
}

/** The smallest of 1, 2 and 5 times a power of ten that is at least `step`, as its digit and power. */
function roundStep(step: number): [number, number] {
  const power = Math.floor(Math.log10(step));
  const digit = [1, 2, 5].find(candidate => Number(`${candidate}e${power}`) >= step * (1 - 1e-9));
  return digit === undefined ? [1, power + 1] : [digit, power];
}

/** At most about `count` round ticks from `low` to `high`, in the unit of their labels; at least two where they fit. */
export function niceTicks(low: number, high: number, count: number, unit: string, kind: string): number[] {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) {
    return [low];
  }
  const [factor] = axisScale(Math.max(Math.abs(low), Math.abs(high)), unit, kind);
  const [digit, power] = roundStep(span / factor / Math.max(1, count));
  const step = Number(`${digit}e${power}`);
  // The product of a whole number and a step below 1 is not exact: divide by the inverse, which is.
  const value = (index: number) => (power < 0 ? index * digit / Number(`1e${-power}`) : index * step) * factor + 0;
  const ticks: number[] = [];
  for (let index = Math.ceil(low / factor / step - 1e-9); index * step * factor <= high + span * 1e-9; index += 1) {
    ticks.push(value(index));
    if (ticks.length > 2 * count + 4) {
      break;
    }
  }
  return ticks.length ? ticks : [low];
}

const groupThousands = (whole: string) => whole.replace(/\B(?=(\d{3})+$)/g, "\u202f");

/** A number with as many significant digits as tell ticks `step` apart from each other. */
function withExponent(value: number, step: number): string {
  if (value === 0) {
    return "0";
  }
  const exponent = Math.floor(Math.log10(Math.abs(value)) + 1e-12);
  const places = Math.min(15, Math.max(0, exponent - Math.floor(Math.log10(step) + 1e-9)));
  const [mantissa, power] = value.toExponential(places).split("e") as [string, string];
  return `${mantissa}e${Number(power) < 0 ? "-" : "+"}${power.replace(/[+-]/, "").padStart(2, "0")}`;
}

/** The labels of equidistant ticks: in one unit, with as many decimals as needed to differ. */
export function tickLabels(ticks: readonly number[], unit: string, kind: string): string[] {
  const largest = Math.max(...ticks.map(Math.abs), 0);
  const [factor, name] = axisScale(largest, unit, kind);
  const step = ticks.length > 1 ? Math.abs(ticks[1]! - ticks[0]!) / factor : 0;
  if (!step) {
    return ticks.map(tick => digits(tick / factor) + name);
  }
  const scaled = largest / factor;
  if (scaled >= LARGEST_PLAIN || scaled < SMALLEST_PLAIN) {
    return ticks.map(tick => withExponent(tick / factor, step) + name);
  }
  const places = Math.min(20, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  return ticks.map(tick => {
    const value = tick / factor;
    const text = (Math.abs(value) < step / 1e6 ? 0 : value).toFixed(places);
    const [whole, part] = text.split(".") as [string, string?];
    return groupThousands(whole) + (part ? `.${part}` : "") + name;
  });
}

/** The title of an axis; empty if its labels contain the unit. */
export const axisTitle = (unit: string, kind: string) =>
  ["1", "s", "bytes", "bytes/s"].includes(unit) ? "" : unitName(unit, kind);
