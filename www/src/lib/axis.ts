/** Where an axis has its ticks, and what they say. */

import {digits, unitName} from "./format";

const SECONDS: readonly [number, string][] = [
  [86400, "d"], [3600, "h"], [60, "min"], [1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"],
];
const BYTES: readonly [number, string][] = [
  [1024 ** 4, "TiB"], [1024 ** 3, "GiB"], [1024 ** 2, "MiB"], [1024, "KiB"], [1, "B"],
];

function scaleOf(largest: number, unit: string, kind: string): [number, string] {
  const steps = unit === "s" ? SECONDS : unit === "bytes" || unit === "bytes/s" ? BYTES : null;
  if (steps) {
    const [factor, name] = steps.find(step => largest >= step[0]) ?? steps[steps.length - 1]!;
    return [factor, ` ${name}${unit === "bytes/s" ? "/s" : ""}`];
  }
  return kind === "ratio" && unit === "1" ? [0.01, " %"] : [1, ""];
}

const STEPS = Array.from({length: 37}, (_, index) => index - 18)
  .flatMap(power => [1, 2, 5].map(digit => Number(`${digit}e${power}`)));

/** The steps between ticks that read well where the largest value is `largest`. */
export function increments(largest: number, unit: string, kind: string): number[] {
  const [factor] = scaleOf(largest, unit, kind);
  return STEPS.map(step => step * factor);
}

/** The labels of ticks that are `step` apart: all in one unit, with as many decimals as tell them apart. */
export function tickLabels(ticks: readonly number[], step: number, unit: string, kind: string): string[] {
  const largest = Math.max(...ticks.map(Math.abs), 0);
  const [factor, name] = scaleOf(largest, unit, kind);
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

/** What an axis of bare numbers is called. */
export const axisName = (unit: string, kind: string) =>
  ["1", "s", "bytes", "bytes/s"].includes(unit) ? "" : unitName(unit, kind);
