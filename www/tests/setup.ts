/** What jsdom lacks: a canvas that measures texts and records what is drawn, and observers. */

import {cleanup} from "@testing-library/react";
import {afterEach, vi} from "vitest";
import {queryClient} from "../src/hooks/useQuery";

/** The texts that have been drawn on any canvas since the last clearing. */
export const drawnTexts: string[] = [];

/** A text with its position, a rectangle, an arc, or the corners of a path, which is stroked or filled. */
export interface Drawing {
  kind: "text" | "rectangle" | "arc" | "stroke" | "fill";
  text?: string;
  numbers: readonly number[];
  colour: unknown;
  dash: readonly number[];
}

/** What has been drawn since the last clearing, apart from paths that are objects of their own. */
export const drawings: Drawing[] = [];

function context(canvas: HTMLCanvasElement): unknown {
  let dash: readonly number[] = [];
  let path: number[] = [];
  const add = (kind: Drawing["kind"], numbers: readonly number[], style: string, text?: string) =>
    drawings.push({kind, numbers, colour: known[style], dash, ...(text === undefined ? {} : {text})});
  const known: Record<string, unknown> = {
    canvas,
    measureText: (text: string) => ({width: 6 * text.length}),
    fillText: (text: string, x: number, y: number) => {
      drawnTexts.push(text);
      add("text", [x, y], "fillStyle", text);
    },
    clearRect: () => { drawnTexts.length = drawings.length = 0; },
    setLineDash: (of: readonly number[]) => { dash = [...of]; },
    beginPath: () => { path = []; },
    moveTo: (...at: number[]) => path.push(...at),
    lineTo: (...at: number[]) => path.push(...at),
    arc: (...circle: number[]) => add("arc", circle.slice(0, 3), "strokeStyle"),
    fillRect: (...sides: number[]) => add("rectangle", sides, "fillStyle"),
    stroke: (of?: unknown) => of === undefined && path.length && add("stroke", path, "strokeStyle"),
    fill: (of?: unknown) => of === undefined && path.length && add("fill", path, "fillStyle"),
  };
  return new Proxy(known, {get: (target, name: string) => name in target ? target[name] : () => undefined});
}

const contexts = new WeakMap<HTMLCanvasElement, unknown>();
HTMLCanvasElement.prototype.getContext = function getContext(this: HTMLCanvasElement) {
  contexts.set(this, contexts.get(this) ?? context(this));
  return contexts.get(this);
} as never;

vi.stubGlobal("Path2D", class {
  moveTo() { /* not drawn */ }
  lineTo() { /* not drawn */ }
  arc() { /* not drawn */ }
  rect() { /* not drawn */ }
  addPath() { /* not drawn */ }
  closePath() { /* not drawn */ }
});
vi.stubGlobal("ResizeObserver", class {
  observe() { /* sizes do not change */ }
  disconnect() { /* sizes do not change */ }
});
/** An element is in view at once. */
vi.stubGlobal("IntersectionObserver", class {
  constructor(private readonly report: (entries: {isIntersecting: boolean}[]) => void) {}
  observe() { this.report([{isIntersecting: true}]); }
  disconnect() { /* nothing to release */ }
});
vi.stubGlobal("matchMedia", (query: string) => ({
  matches: false, media: query, addEventListener: () => undefined, removeEventListener: () => undefined,
}));
Object.defineProperty(HTMLElement.prototype, "clientWidth", {configurable: true, get: () => 600});
Object.defineProperty(HTMLElement.prototype, "clientHeight", {configurable: true, get: () => 320});

afterEach(() => {
  cleanup();
  queryClient.clear();
  window.localStorage.clear();
});
