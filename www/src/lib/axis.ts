/** Ticks of an axis and their labels. */

import {digits, unitName} from "./format";

const SECONDS: readonly [number, string][] = [
  [86400, "d"], [3600, "h"], [60, "min"], [1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"],
];
const BYTES: readonly [number, string][] = [
  [1024 ** 4, "TiB"], [1024 ** 3, "GiB"], [1024 ** 2, "MiB"], [1024, "KiB"], [1, "B"],
];

function axisScale(largest: number, unit: string, kind: string): [number, string] {
  const steps = unit === "s" ? SECONDS : unit === "bytes" || unit === "bytes/s" ? BYTES : null;
  if (steps) {
    const [factor, name] = steps.find(step => largest >= step[0]) ?? steps[steps.length - 1]!;
    return [factor, ` ${name}${unit === "bytes/s" ? "/s" : ""}`];
  }
  return kind === "ratio" && unit === "1" ? [0.01, " %"] : [1, ""];
}

const STEPS = Array.from({length: 37}, (_, index) => index - 18)
  .flatMap(power => [1, 2, 5].map(digit => Number(`${digit}e${power}`)));

/** Round increments between ticks, in the unit in which values up to `largest` are labelled. */
export function increments(largest: number, unit: string, kind: string): number[] {
  const [factor] = axisScale(largest, unit, kind);
  return STEPS.map(step => step * factor);
}

/** The labels of ticks that are `step` apart: in one unit, with as many decimals as needed to differ. */
export function tickLabels(ticks: readonly number[], step: number, unit: string, kind: string): string[] {
  const largest = Math.max(...ticks.map(Math.abs), 0);
  const [factor, name] = axisScale(largest, unit, kind);
  const scaledStep = Math.abs(step / factor);
  let places = 0;
  while (places < 8 && Math.abs(Number(scaledStep.toFixed(places)) - scaledStep) > scaledStep * 0.02) {
    places += 1;
  }
  return ticks.map(tick => {
    const value = tick / factor;
    if (Math.abs(value) >= 1e9 || (value !== 0 && places === 8)) {
      return digits(value) + name;
    }
    const text = (Math.abs(value) < scaledStep / 1e6 ? 0 : value).toFixed(places);
    const [whole, part] = text.split(".") as [string, string?];
    return whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") + (part ? `.${part}` : "") + name;
  });
}

/** The title of an axis; empty if its labels contain the unit. */
export const axisTitle = (unit: string, kind: string) =>
  ["1", "s", "bytes", "bytes/s"].includes(unit) ? "" : unitName(unit, kind);
