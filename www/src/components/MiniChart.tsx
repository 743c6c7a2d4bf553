import * as React from "react";
import type {Theme} from "../hooks/useTheme";
import {formatValue} from "../lib/format";
import type {Line} from "../lib/lines";
import {lineStyle} from "../lib/plotOptions";
import {formatDay, formatTime} from "../lib/time";
import {valueRange} from "../lib/valueRange";
import {rollingMedian} from "../lib/statistics";

const WIDTH = 320;
const HEIGHT = 110;
const PAD = 4;
/** Lines that are drawn. */
const MAX_LINES = 8;

/** A small chart without controls: lines over time, with the extent of both axes. */
export const MiniChart = ({lines, unit, kind, theme, name, marked}: {
  lines: readonly Line[]; unit: string; kind: string; theme: Theme; name: string;
  /** The time at which there is a mark. */
  marked?: number;
}) => {
  const drawn = lines.slice(0, MAX_LINES);
  const dots = drawn.flatMap(line => line.dots);
  const range = valueRange(drawn.map(line => {
    const values = line.dots.map(dot => dot.value);
    return {values, smooth: rollingMedian(values, 9), required: []};
  }));
  if (!range || !dots.length) {
    return <p className="bbm-note">No points.</p>;
  }
  const [first, last] = [Math.min(...dots.map(dot => dot.time)), Math.max(...dots.map(dot => dot.time))];
  const x = (time: number) => PAD + (last > first ? (time - first) / (last - first) : 0.5) * (WIDTH - 2 * PAD);
  const y = (value: number) => range.high > range.low
    ? Math.min(HEIGHT, Math.max(0, HEIGHT - PAD - (value - range.low) / (range.high - range.low) * (HEIGHT - 2 * PAD))) : HEIGHT / 2;
  const pathOf = (line: Line) => line.dots.map((dot, index) => `${index ? "L" : "M"}${x(dot.time).toFixed(1)} ${y(dot.value).toFixed(1)}`).join("");
  const format = formatDay(first) === formatDay(last) ? formatTime : formatDay;
  const [begin, end] = [format(first), format(last)];
  const [low, high] = [range.low, range.high].map(value => formatValue(value, unit, kind));
  return (
    <figure className="bbm-mini">
      <figcaption className="bbm-mini-extent"><span>{high}</span></figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${name}: from ${low} to ${high}, ${lines.length} lines`}>
        {marked !== undefined && marked >= first && marked <= last && (
          <line className="bbm-mini-mark" x1={x(marked)} x2={x(marked)} y1="0" y2={HEIGHT}/>
        )}
        {drawn.map((line, index) => {
          const {colour, dash} = lineStyle(index, theme);
          return <path key={line.key} d={pathOf(line)} fill="none" stroke={colour} strokeWidth="1.5" strokeDasharray={dash.join(" ")}/>;
        })}
      </svg>
      <p className="bbm-mini-extent"><span>{low}</span></p>
      <p className="bbm-mini-extent"><span>{begin}</span><span>{end}</span></p>
      {lines.length > MAX_LINES && <p className="bbm-more">{MAX_LINES} of {lines.length} lines</p>}
    </figure>
  );
};
