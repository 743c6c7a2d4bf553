import * as React from "react";
import {formatValue} from "../lib/format";

const WIDTH = 120;
const HEIGHT = 28;
const PAD = 3;

interface Props {
  values: readonly number[];
  unit: string;
  kind: string;
  /** Index of the value that is marked, by default the last one; none if negative. */
  marked?: number;
  /** The least and the largest usual value. */
  usual?: readonly [number | null, number | null] | null;
}

/** Line chart of a few values, without axes. */
export const Sparkline = ({values, unit, kind, marked = values.length - 1, usual}: Props) => {
  if (values.length < 2) {
    return <span className="bbm-spark" aria-hidden="true"/>;
  }
  const bounds = usual?.flatMap(value => value ?? []) ?? [];
  const low = Math.min(...values, ...bounds);
  const span = Math.max(...values, ...bounds) - low;
  const x = (index: number) => PAD + index * (WIDTH - 2 * PAD) / (values.length - 1);
  const y = (value: number) => span ? HEIGHT - PAD - (value - low) / span * (HEIGHT - 2 * PAD) : HEIGHT / 2;
  const path = values.map((value, index) => `${index ? "L" : "M"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const [first, last] = [values[0]!, values[values.length - 1]!].map(value => formatValue(value, unit, kind));
  return (
    <svg className="bbm-spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img"
         aria-label={`the last ${values.length} values, from ${first} to ${last}`}>
      {bounds.length === 2 && (
        <rect className="bbm-spark-band" x="0" width={WIDTH} y={y(bounds[1]!)} height={Math.max(1, y(bounds[0]!) - y(bounds[1]!))}/>
      )}
      <path d={path} fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinejoin="round"/>
      {marked >= 0 && <circle className="bbm-spark-mark" cx={x(marked)} cy={y(values[marked]!)} r="2.5"/>}
    </svg>
  );
};
