import * as React from "react";
import type uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import {usePlot} from "../hooks/usePlot";
import {changesOf, timesBetween, type ChartModel, type DrawnLine, type MarkedChange} from "../lib/chartModel";
import {formatChange, formatValue} from "../lib/format";
import type {Dot} from "../lib/lines";
import {movePosition, pointCount, valueAt, type PointPosition} from "../lib/pointSelection";
import {formatTime} from "../lib/time";
import {PointDetails, pointDescription} from "./PointDetails";

interface Props {
  model: ChartModel;
  name: string;
  onZoom: (since: number | null, until: number | null) => void;
  onOpen: (dot: Dot) => void;
  onChange: (change: MarkedChange) => void;
}

/** A range of the axis, `factor` times as long, about `center` or its middle, shifted by a fraction of its length. */
export function zoomedRange({min, max}: {min: number; max: number}, factor: number, shift: number, center: number | null): [number, number] {
  if (center !== null && center >= min && center <= max) {
    return [center - (center - min) * factor, center + (max - center) * factor];
  }
  const half = (max - min) / 2 * factor;
  const middle = (min + max) / 2 + (max - min) * shift;
  return [middle - half, middle + half];
}

/** The place of a position on both axes inside the chart's box, in CSS pixels; null if it is left or right of the plot. */
function pixelOf(plot: uPlot, box: HTMLElement, x: number, y: number | null) {
  const [over, outer] = [plot.over.getBoundingClientRect(), box.getBoundingClientRect()];
  const left = plot.valToPos(x, "x");
  if (left < -1 || left > plot.over.clientWidth + 1) {
    return null;
  }
  const top = y === null ? 0 : Math.min(plot.over.clientHeight, Math.max(0, plot.valToPos(y, "y")));
  return {left: left + over.left - outer.left, top: top + over.top - outer.top, width: outer.width};
}

const ARROWS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];
/** Changes that are marked; of more, the newest ones. */
const MAX_MARKS = 20;

function ChangeMarks({plot, box, model, onChange}: {
  plot: uPlot; box: HTMLElement; model: ChartModel; onChange: (change: MarkedChange) => void;
}) {
  const marks = changesOf(model).sort((a, b) => a.x - b.x).slice(-MAX_MARKS);
  return (
    <>
      {marks.map(mark => {
        const pixel = pixelOf(plot, box, mark.x, null);
        const {change, line} = mark;
        const text = change.change === null ? formatValue(change.after, model.unit, model.kind) : formatChange(change.change);
        return pixel && (
          <button type="button" key={`${line.key} ${change.at}`} className="bbm-change-mark" onClick={() => onChange(mark)}
                  style={{left: Math.min(Math.max(pixel.left, 30), pixel.width - 30), borderColor: line.colour}}
                  aria-label={`Change of ${text}, ${formatTime(change.at)}, ${line.label}`}>
            {change.after > change.before ? "▲" : "▼"} {text}
          </button>
        );
      })}
    </>
  );
}

function useKeys(
  model: ChartModel, box: React.RefObject<HTMLElement>, position: PointPosition | null, props: Props,
  setPosition: (position: PointPosition | null) => void, zoom: (factor: number, shift?: number) => void,
) {
  return (event: React.KeyboardEvent) => {
    if (event.target !== box.current || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const {key} = event;
    const dot = position && model.lines[position.line]?.dots[position.index];
    const actions: Record<string, () => void> = {
      "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), "0": () => props.onZoom(null, null),
      Enter: () => dot && props.onOpen(dot), Escape: () => setPosition(null),
    };
    if (ARROWS.includes(key)) {
      setPosition(movePosition(model.lines, position, key));
    } else if (actions[key]) {
      actions[key]();
    } else {
      return;
    }
    event.preventDefault();
  };
}

const Tools = ({zoom, onAll}: {zoom: (factor: number, shift?: number) => void; onAll: () => void}) => (
  <div className="bbm-chart-tools" role="group" aria-label="Zoom">
    <button type="button" className="bbm-button" onClick={() => zoom(1, -0.5)} aria-label="Earlier" title="Earlier">←</button>
    <button type="button" className="bbm-button" onClick={() => zoom(1, 0.5)} aria-label="Later" title="Later">→</button>
    <button type="button" className="bbm-button" onClick={() => zoom(0.5)} aria-label="Zoom in" title="Zoom in">+</button>
    <button type="button" className="bbm-button" onClick={() => zoom(2)} aria-label="Zoom out" title="Zoom out">−</button>
    <button type="button" className="bbm-button" onClick={onAll}>All</button>
  </div>
);

function currentPosition(model: ChartModel, position: PointPosition | null): {line: DrawnLine; index: number} | null {
  const line = position ? model.lines[position.line] : undefined;
  return position && line && position.index < pointCount(line) ? {line, index: position.index} : null;
}

/** A chart with zoom, tooltip and keyboard control. */
export const Chart = (props: Props) => {
  const {model, name, onZoom, onOpen, onChange} = props;
  const box = React.useRef<HTMLDivElement>(null);
  const holder = React.useRef<HTMLDivElement>(null);
  const [position, setPosition] = React.useState<PointPosition | null>(null);
  const keysId = React.useId();
  const zoomTo = (low: number, high: number) => {
    const times = timesBetween(model, low, high);
    if (times) {
      onZoom(...times);
    }
  };
  const plot = usePlot(holder, model, {onPoint: setPosition, onRange: zoomTo, onReset: () => onZoom(null, null), onOpen});
  const current = currentPosition(model, position);
  const at = current && valueAt(model, current.line, current.index);
  const zoom = (factor: number, shift = 0) => {
    const scale = plot?.scales.x as {min: number; max: number} | undefined;
    if (scale) {
      zoomTo(...zoomedRange(scale, factor, shift, shift ? null : at?.x ?? null));
    }
  };
  const onKeyDown = useKeys(model, box, position, props, setPosition, zoom);
  const pixel = at && plot && box.current ? pixelOf(plot, box.current, at.x, at.y) : null;
  const side = pixel && pixel.left > pixel.width / 2 ? {right: pixel.width - pixel.left + 14} : {left: (pixel?.left ?? 0) + 14};

  return (
    <div className="bbm-chart">
      <Tools zoom={zoom} onAll={() => onZoom(null, null)}/>
      <div className="bbm-chart-box" ref={box} tabIndex={0} role="group" aria-roledescription="chart" aria-label={name}
           aria-describedby={keysId} onKeyDown={onKeyDown} onMouseLeave={() => setPosition(null)}>
        <div className="bbm-chart-plot" ref={holder}/>
        {plot && box.current && <ChangeMarks plot={plot} box={box.current} model={model} onChange={onChange}/>}
        {pixel && <span className="bbm-marker" style={{left: pixel.left, top: pixel.top, borderColor: current!.line.colour}}/>}
        {pixel && (
          <div className="bbm-tip" style={{...side, top: Math.max(0, pixel.top - 40)}}>
            <PointDetails line={current!.line} index={current!.index} unit={model.unit} kind={model.kind}/>
          </div>
        )}
        <p className="bbm-sr" aria-live="polite">
          {current ? pointDescription(current.line, current.index, model.unit, model.kind) : ""}
        </p>
      </div>
      <p className="bbm-chart-help" id={keysId}>
        Drag to zoom, double-click for all. With the keyboard: arrows go from point to point, Enter opens the build,
        plus and minus zoom about the chosen point, 0 shows all.
      </p>
    </div>
  );
};
