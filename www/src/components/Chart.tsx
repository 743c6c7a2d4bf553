import * as React from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import {formatValue} from "../lib/format";
import type {Dot} from "../lib/lines";
import {pointCount, nearestPoint, movePosition, valueAt, type PointPosition} from "../lib/pointSelection";
import {plotColumns, plotOptions, type ChartModel, type StyledLine} from "../lib/plotOptions";
import {formatTime} from "../lib/time";
import {Swatch, TagList} from "./Basics";

const CLICK_DISTANCE = 40;

interface Props {
  model: ChartModel;
  name: string;
  onZoom: (since: number | null, until: number | null) => void;
  onOpen: (dot: Dot) => void;
}

const Details = ({line, index, unit, kind}: {line: StyledLine; index: number; unit: string; kind: string}) => {
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
function pointDescription(line: StyledLine, index: number, unit: string, kind: string): string {
  const bucket = line.buckets[index];
  if (bucket) {
    return `${formatValue(bucket.average, unit, kind)} on average of ${bucket.count}, ${formatTime(bucket.time)}, ${line.label}`;
  }
  const dot = line.dots[index]!;
  const build = dot.build === null ? "" : `, build ${dot.build}`;
  return `${formatValue(dot.value, unit, kind)}${build}, ${formatTime(dot.time)}, ${line.label}`;
}

function zoomedRange(plot: uPlot, factor: number, shift: number): [number, number] {
  const {min, max} = plot.scales.x as {min: number; max: number};
  const half = (max - min) / 2 * factor;
  const middle = (min + max) / 2 + (max - min) * shift;
  return [middle - half, middle + half];
}

/** The position of a point inside the chart's box, in CSS pixels; null if it is outside of the plot. */
function pixelOf(plot: uPlot, box: HTMLElement, line: StyledLine, index: number) {
  const {x, y} = valueAt(line, index);
  if (y === null) {
    return null;
  }
  const [over, outer] = [plot.over.getBoundingClientRect(), box.getBoundingClientRect()];
  const left = plot.valToPos(x, "x");
  const top = plot.valToPos(y, "y");
  if (left < -1 || left > over.width + 1) {
    return null;
  }
  return {left: left + over.left - outer.left, top: top + over.top - outer.top, width: outer.width};
}

export const Chart = ({model, name, onZoom, onOpen}: Props) => {
  const box = React.useRef<HTMLDivElement>(null);
  const holder = React.useRef<HTMLDivElement>(null);
  const plot = React.useRef<uPlot | null>(null);
  const [position, setPosition] = React.useState<PointPosition | null>(null);
  const [, setDrawn] = React.useState(0);
  const latest = React.useRef({model, onZoom, onOpen});
  latest.current = {model, onZoom, onOpen};

  React.useEffect(() => {
    const element = holder.current!;
    const size = () => ({width: element.clientWidth || 300, height: element.clientHeight || 320});
    const onCursor = (chart: uPlot) => {
      const {left = -1, top = -1} = chart.cursor;
      if (left < 0) {
        return;
      }
      const found = nearestPoint(chart, latest.current.model.lines, left, top);
      setPosition(found?.position ?? null);
    };
    const onSelect = (chart: uPlot) => {
      if (chart.select.width > 2) {
        const since = chart.posToVal(chart.select.left, "x");
        const until = chart.posToVal(chart.select.left + chart.select.width, "x");
        chart.setSelect({left: 0, top: 0, width: 0, height: 0}, false);
        latest.current.onZoom(since, until);
      }
    };
    const {width, height} = size();
    const chart = new uPlot(
      plotOptions(model, width, height, {setCursor: [onCursor], setSelect: [onSelect], draw: [() => setDrawn(n => n + 1)]}),
      plotColumns(model.lines) as uPlot.AlignedData, element);
    plot.current = chart;
    Object.assign(element, {plotted: chart.data});  // for browser tests, which cannot read a canvas
    let pressed = 0;
    let touched: Dot | null = null;
    let isTouch = false;
    chart.over.addEventListener("pointerdown", event => { isTouch = event.pointerType === "touch"; });
    chart.over.addEventListener("mousedown", event => { pressed = event.clientX; });
    chart.over.addEventListener("click", event => {
      const {left, top} = chart.over.getBoundingClientRect();
      const found = nearestPoint(chart, latest.current.model.lines, event.clientX - left, event.clientY - top);
      const dot = found && latest.current.model.lines[found.position.line]!.dots[found.position.index];
      if (!found || !dot || found.distance > CLICK_DISTANCE || Math.abs(event.clientX - pressed) > 4) {
        return;
      }
      // A touch screen has no hover: the first tap shows the point, the second one opens its build.
      if (isTouch && touched !== dot) {
        touched = dot;
        setPosition(found.position);
      } else {
        latest.current.onOpen(dot);
      }
    });
    chart.over.addEventListener("dblclick", () => latest.current.onZoom(null, null));
    const observer = new ResizeObserver(() => chart.setSize(size()));
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
      plot.current = null;
    };
  }, [model]);

  const zoom = (factor: number, shift = 0) => plot.current && onZoom(...zoomedRange(plot.current, factor, shift));

  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.target !== box.current || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const {key} = event;
    const dot = position && model.lines[position.line]?.dots[position.index];
    const actions: Record<string, () => void> = {
      "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), "0": () => onZoom(null, null),
      Enter: () => dot && onOpen(dot), Escape: () => setPosition(null),
    };
    if (["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(key)) {
      setPosition(movePosition(model.lines, position, key));
    } else if (actions[key]) {
      actions[key]();
    } else {
      return;
    }
    event.preventDefault();
  };

  const line = position ? model.lines[position.line] : undefined;
  const current = position && line && position.index < pointCount(line) ? position : null;
  const pixel = current && plot.current && box.current ? pixelOf(plot.current, box.current, line!, current.index) : null;
  const description = current ? pointDescription(line!, current.index, model.unit, model.kind) : "";
  const side = pixel && pixel.left > pixel.width / 2 ? {right: pixel.width - pixel.left + 14} : {left: (pixel?.left ?? 0) + 14};

  return (
    <div className="bbm-chart">
      <div className="bbm-chart-tools" role="group" aria-label="Zoom">
        <button type="button" className="bbm-button" onClick={() => zoom(1, -0.5)} aria-label="Earlier" title="Earlier">←</button>
        <button type="button" className="bbm-button" onClick={() => zoom(1, 0.5)} aria-label="Later" title="Later">→</button>
        <button type="button" className="bbm-button" onClick={() => zoom(0.5)} aria-label="Zoom in" title="Zoom in">+</button>
        <button type="button" className="bbm-button" onClick={() => zoom(2)} aria-label="Zoom out" title="Zoom out">−</button>
        <button type="button" className="bbm-button" onClick={() => onZoom(null, null)}>All</button>
      </div>
      <div className="bbm-chart-box" ref={box} tabIndex={0} role="group" aria-roledescription="chart" aria-label={name}
           aria-describedby="bbm-chart-keys" onKeyDown={onKeyDown} onMouseLeave={() => setPosition(null)}>
        <div className="bbm-chart-plot" ref={holder} data-testid="chart"/>
        {pixel && <span className="bbm-marker" style={{left: pixel.left, top: pixel.top, borderColor: line!.colour}}/>}
        {pixel && (
          <div className="bbm-tip" style={{...side, top: Math.max(0, pixel.top - 40)}} data-testid="tip">
            <Details line={line!} index={current!.index} unit={model.unit} kind={model.kind}/>
          </div>
        )}
        <p className="bbm-sr" aria-live="polite">{description}</p>
      </div>
      <p className="bbm-chart-help" id="bbm-chart-keys">
        Drag to zoom, double-click for all. With the keyboard: arrows go from point to point, Enter opens the build,
        plus and minus zoom, 0 shows all.
      </p>
    </div>
  );
};
