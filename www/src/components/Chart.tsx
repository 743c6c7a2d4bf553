import * as React from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import {formatValue} from "../lib/format";
import type {Dot} from "../lib/lines";
import {countOf, nearestSpot, stepSpot, valueAt, type Spot} from "../lib/nearest";
import {columnsOf, optionsOf, type Drawing, type DrawnLine} from "../lib/plot";
import {formatTime} from "../lib/time";
import {Swatch, TagList} from "./Basics";

const CLICK_DISTANCE = 40;

interface Props {
  drawing: Drawing;
  name: string;
  onZoom: (since: number | null, until: number | null) => void;
  onOpen: (dot: Dot) => void;
}

const Details = ({line, index, unit, kind}: {line: DrawnLine; index: number; unit: string; kind: string}) => {
  const bucket = line.buckets[index];
  const dot = line.dots[index];
  const show = (value: number | null) => formatValue(value, unit, kind);
  return (
    <>
      <p className="bbm-tip-value">
        <Swatch colour={line.colour} dashed={line.dash.length > 0}/>
        {bucket ? `${show(bucket.average)} on average` : show(dot!.value)}
      </p>
      <dl className="bbm-tip-facts">
        <dt>Line</dt><dd><bdi>{line.label}</bdi></dd>
        {bucket && <><dt>Between</dt><dd>{show(bucket.minimum)} and {show(bucket.maximum)}</dd></>}
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

/** What a screen reader says of a point. */
function wordsFor(line: DrawnLine, index: number, unit: string, kind: string): string {
  const bucket = line.buckets[index];
  if (bucket) {
    return `${formatValue(bucket.average, unit, kind)} on average of ${bucket.count}, ${formatTime(bucket.time)}, ${line.label}`;
  }
  const dot = line.dots[index]!;
  const build = dot.build === null ? "" : `, build ${dot.build}`;
  return `${formatValue(dot.value, unit, kind)}${build}, ${formatTime(dot.time)}, ${line.label}`;
}

function zoomed(plot: uPlot, factor: number, shift: number): [number, number] {
  const {min, max} = plot.scales.x as {min: number; max: number};
  const half = (max - min) / 2 * factor;
  const middle = (min + max) / 2 + (max - min) * shift;
  return [middle - half, middle + half];
}

/** Where a point is inside the chart's box, in CSS pixels; null where it is out of sight. */
function pixelOf(plot: uPlot, box: HTMLElement, line: DrawnLine, index: number) {
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

export const Chart = ({drawing, name, onZoom, onOpen}: Props) => {
  const box = React.useRef<HTMLDivElement>(null);
  const holder = React.useRef<HTMLDivElement>(null);
  const plot = React.useRef<uPlot | null>(null);
  const [spot, setSpot] = React.useState<Spot | null>(null);
  const [, setDrawn] = React.useState(0);
  const latest = React.useRef({drawing, onZoom, onOpen});
  latest.current = {drawing, onZoom, onOpen};

  React.useEffect(() => {
    const element = holder.current!;
    const size = () => ({width: element.clientWidth || 300, height: element.clientHeight || 320});
    const onCursor = (chart: uPlot) => {
      const {left = -1, top = -1} = chart.cursor;
      if (left < 0) {
        return;
      }
      const found = nearestSpot(chart, latest.current.drawing.lines, left, top);
      setSpot(found?.spot ?? null);
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
      optionsOf(drawing, width, height, {setCursor: [onCursor], setSelect: [onSelect], draw: [() => setDrawn(n => n + 1)]}),
      columnsOf(drawing.lines) as uPlot.AlignedData, element);
    plot.current = chart;
    Object.assign(element, {plotted: chart.data});  // what is drawn, for who looks from outside: canvas hides it
    let pressed = 0;
    let touched: Dot | null = null;
    let isTouch = false;
    chart.over.addEventListener("pointerdown", event => { isTouch = event.pointerType === "touch"; });
    chart.over.addEventListener("mousedown", event => { pressed = event.clientX; });
    chart.over.addEventListener("click", event => {
      const {left, top} = chart.over.getBoundingClientRect();
      const found = nearestSpot(chart, latest.current.drawing.lines, event.clientX - left, event.clientY - top);
      const dot = found && latest.current.drawing.lines[found.spot.line]!.dots[found.spot.index];
      if (!found || !dot || found.distance > CLICK_DISTANCE || Math.abs(event.clientX - pressed) > 4) {
        return;
      }
      // A finger has no way to look before it presses: its first tap shows the point, the second one opens its build.
      if (isTouch && touched !== dot) {
        touched = dot;
        setSpot(found.spot);
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
  }, [drawing]);

  const zoom = (factor: number, shift = 0) => plot.current && onZoom(...zoomed(plot.current, factor, shift));

  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.target !== box.current || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const {key} = event;
    const dot = spot && drawing.lines[spot.line]?.dots[spot.index];
    const acts: Record<string, () => void> = {
      "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), "0": () => onZoom(null, null),
      Enter: () => dot && onOpen(dot), Escape: () => setSpot(null),
    };
    if (["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(key)) {
      setSpot(stepSpot(drawing.lines, spot, key));
    } else if (acts[key]) {
      acts[key]();
    } else {
      return;
    }
    event.preventDefault();
  };

  const line = spot ? drawing.lines[spot.line] : undefined;
  const known = spot && line && spot.index < countOf(line) ? spot : null;
  const at = known && plot.current && box.current ? pixelOf(plot.current, box.current, line!, known.index) : null;
  const words = known ? wordsFor(line!, known.index, drawing.unit, drawing.kind) : "";
  const side = at && at.left > at.width / 2 ? {right: at.width - at.left + 14} : {left: (at?.left ?? 0) + 14};

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
           aria-describedby="bbm-chart-keys" onKeyDown={onKeyDown} onMouseLeave={() => setSpot(null)}>
        <div className="bbm-chart-plot" ref={holder} data-testid="chart"/>
        {at && <span className="bbm-marker" style={{left: at.left, top: at.top, borderColor: line!.colour}}/>}
        {at && (
          <div className="bbm-tip" style={{...side, top: Math.max(0, at.top - 40)}} data-testid="tip">
            <Details line={line!} index={known!.index} unit={drawing.unit} kind={drawing.kind}/>
          </div>
        )}
        <p className="bbm-sr" aria-live="polite">{words}</p>
      </div>
      <p className="bbm-chart-help" id="bbm-chart-keys">
        Drag to zoom, double-click for all. With the keyboard: arrows go from point to point, Enter opens the build,
        plus and minus zoom, 0 shows all.
      </p>
    </div>
  );
};
