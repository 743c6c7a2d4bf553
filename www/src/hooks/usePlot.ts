import * as React from "react";
import uPlot from "uplot";
import type {ChartModel} from "../lib/chartModel";
import type {Dot} from "../lib/lines";
import {nearestPoint, type PointPosition} from "../lib/pointSelection";
import {plotColumns, plotOptions, structureOf} from "../lib/plotOptions";

/** Pixels within which a click belongs to a point. */
const CLICK_DISTANCE = 40;
/** Pixels by which a click may move. */
const CLICK_MOVE = 4;

export interface PlotEvents {
  onPoint: (position: PointPosition | null) => void;
  onRange: (low: number, high: number) => void;
  onReset: () => void;
  onOpen: (dot: Dot) => void;
}

/** Report clicks and taps on points. */
function listen(chart: uPlot, model: () => ChartModel, events: () => PlotEvents): void {
  let pressed = 0;
  let touched: Dot | null = null;
  let isTouch = false;
  chart.over.addEventListener("pointerdown", event => { isTouch = event.pointerType === "touch"; });
  chart.over.addEventListener("mousedown", event => { pressed = event.clientX; });
  chart.over.addEventListener("click", event => {
    const {left, top} = chart.over.getBoundingClientRect();
    const found = nearestPoint(chart, model(), event.clientX - left, event.clientY - top);
    const dot = found && model().lines[found.position.line]!.dots[found.position.index];
    if (!found || !dot || found.distance > CLICK_DISTANCE || Math.abs(event.clientX - pressed) > CLICK_MOVE) {
      return;
    }
    // A touch screen has no hover: the first tap shows the point, the second one opens its build.
    if (isTouch && touched !== dot) {
      touched = dot;
      events().onPoint(found.position);
    } else {
      events().onOpen(dot);
    }
  });
  chart.over.addEventListener("dblclick", () => events().onReset());
}

function hooksOf(model: () => ChartModel, events: () => PlotEvents, onDraw: () => void): uPlot.Hooks.Arrays {
  const onCursor = (chart: uPlot) => {
    const {left = -1, top = -1} = chart.cursor;
    if (left >= 0) {
      events().onPoint(nearestPoint(chart, model(), left, top)?.position ?? null);
    }
  };
  const onSelect = (chart: uPlot) => {
    if (chart.select.width > 2) {
      const [low, high] = [chart.select.left, chart.select.left + chart.select.width].map(x => chart.posToVal(x, "x"));
      chart.setSelect({left: 0, top: 0, width: 0, height: 0}, false);
      events().onRange(low!, high!);
    }
  };
  return {setCursor: [onCursor], setSelect: [onSelect], draw: [onDraw]};
}

/**
 * A uPlot in `holder`; it is created again only if the structure of the model changes, else updated in place.
 *
 * The component renders again after each drawing, so that it can place elements above the plot.
 */
export function usePlot(holder: React.RefObject<HTMLElement>, model: ChartModel, events: PlotEvents): uPlot | null {
  const [plot, setPlot] = React.useState<{chart: uPlot; structure: string} | null>(null);
  const [, setDrawings] = React.useState(0);
  const latest = React.useRef({model, events});
  const plotted = React.useRef<ChartModel | null>(null);
  React.useLayoutEffect(() => { latest.current = {model, events}; });
  const structure = structureOf(model);

  React.useLayoutEffect(() => {
    const element = holder.current;
    if (!element) {
      return undefined;
    }
    const size = () => ({width: element.clientWidth || 300, height: element.clientHeight || 320});
    const current = () => latest.current.model;
    const {width, height} = size();
    const hooks = hooksOf(current, () => latest.current.events, () => setDrawings(count => count + 1));
    const chart = new uPlot(
      plotOptions(current, width, height, hooks), plotColumns(current()) as uPlot.AlignedData, element);
    plotted.current = current();
    listen(chart, current, () => latest.current.events);
    setPlot({chart, structure});
    const observer = new ResizeObserver(() => {
      const now = size();
      if (now.width !== chart.width || now.height !== chart.height) {  // it reports the first size too
        chart.setSize(now);
      }
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
      setPlot(null);
    };
  }, [holder, structure]);

  React.useEffect(() => {
    if (plot?.structure === structure && plotted.current !== model) {  // of another structure it is destroyed
      plotted.current = model;
      plot.chart.setData(plotColumns(model) as uPlot.AlignedData);
    }
  }, [plot, structure, model]);

  return plot?.structure === structure ? plot.chart : null;
}
