import * as React from "react";
import type {DrawnLine} from "../lib/chartModel";
import {formatValue} from "../lib/format";
import {formatTime} from "../lib/time";
import {Swatch, TagList} from "./Basics";

interface Props {
  line: DrawnLine;
  index: number;
  unit: string;
  kind: string;
}

/** The description of a point or bucket: its value, build, revision, worker, time and tags. */
export const PointDetails = ({line, index, unit, kind}: Props) => {
  const bucket = line.buckets[index];
  const dot = line.dots[index];
  const format = (value: number | null) => formatValue(value, unit, kind);
  return (
    <>
      <p className="bbm-tip-value">
        <Swatch colour={line.colour} dashed={line.dash.length > 0}/>
        {bucket ? `${format(bucket.average)} on average` : format(dot!.value)}
      </p>
      <dl className="bbm-tip-facts">
        <dt>Line</dt><dd><bdi>{line.label}</bdi></dd>
        {bucket && <><dt>Between</dt><dd>{format(bucket.minimum)} and {format(bucket.maximum)}</dd></>}
        {bucket && <><dt>Points</dt><dd>{bucket.count}</dd></>}
        {dot && (dot.samples ?? 1) > 1 && (
          <><dt>Samples</dt><dd>{dot.samples}{dot.spread != null && `, ± ${format(dot.spread)}`}</dd></>
        )}
        {dot && dot.build !== null && <><dt>Build</dt><dd>#{dot.build}</dd></>}
        {dot?.revision && <><dt>Revision</dt><dd><bdi>{dot.revision.slice(0, 12)}</bdi></dd></>}
        {dot?.worker && <><dt>Worker</dt><dd><bdi>{dot.worker}</bdi></dd></>}
        <dt>Time</dt><dd>{formatTime((bucket ?? dot!).time)}</dd>
      </dl>
      {dot && <TagList tags={dot.tags}/>}
      {dot && dot.buildid !== null && <p className="bbm-tip-hint">Click or Enter opens the build</p>}
    </>
  );
};

/** The description of a point for a screen reader. */
export function pointDescription(line: DrawnLine, index: number, unit: string, kind: string): string {
  const bucket = line.buckets[index];
  if (bucket) {
    return `${formatValue(bucket.average, unit, kind)} on average of ${bucket.count}, ${formatTime(bucket.time)}, ${line.label}`;
  }
  const dot = line.dots[index]!;
  const build = dot.build === null ? "" : `, build ${dot.build}`;
  return `${formatValue(dot.value, unit, kind)}${build}, ${formatTime(dot.time)}, ${line.label}`;
}
