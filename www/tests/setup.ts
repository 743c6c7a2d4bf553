/** What jsdom lacks: a canvas that measures and records texts, and observers. */

import {cleanup} from "@testing-library/react";
import {afterEach, vi} from "vitest";
import {queryClient} from "../src/hooks/useQuery";

/** The texts that have been drawn on any canvas since the last clearing. */
export const drawnTexts: string[] = [];

function context(canvas: HTMLCanvasElement): unknown {
  const known: Record<string, unknown> = {
    canvas,
    measureText: (text: string) => ({width: 6 * text.length}),
    fillText: (text: string) => drawnTexts.push(text),
    clearRect: () => { drawnTexts.length = 0; },
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
