/** The place of a panel in one of Buildbot's pages, which have no extension point. */

import * as React from "react";

/** Milliseconds that Buildbot's own page waits for the panel, so that it does not move when the panel appears. */
export const MAX_WAIT_MS = 2_000;

/** A place beside the first element of Buildbot's page that matches `selector`. */
export interface Spot {
  selector: string;
  where: "afterend" | "beforebegin";
}

/** Below the header of a build, which is above its steps. */
export const BELOW_BUILD_SUMMARY: Spot = {
  selector: ".bb-build-view .tab-pane > .bb-build-summary > .card-header", where: "afterend",
};

/** Below the description of a builder, which is above its tabs. */
export const BELOW_BUILDER_DESCRIPTION: Spot = {selector: ".container > div > .nav-tabs", where: "beforebegin"};

/**
 * The progress of a panel.
 *
 * While it is `waiting`, Buildbot's page is hidden.  It is `settled` when the panel is in its place with its height, and
 * `late` if that takes longer than MAX_WAIT_MS: then it keeps the height that it has, until the user clicks.
 */
export interface PanelPlace {
  phase: "waiting" | "settled" | "late";
  /** Called by a panel when its height will not change any more without a click. */
  settle: () => void;
  /** Called on a click, after which the panel may have any height. */
  release: () => void;
}

export const PlaceContext = React.createContext<PanelPlace>({phase: "settled", settle: () => undefined, release: () => undefined});

interface Progress {
  pathname: string;
  isPlaced: boolean;
  isSettled: boolean;
  /** The height of a late panel. */
  height: number | null;
}

const begin = (pathname: string): Progress => ({pathname, isPlaced: false, isSettled: false, height: null});

function phaseOf({height, isPlaced, isSettled}: Progress): PanelPlace["phase"] {
  return height !== null ? "late" : isPlaced && isSettled ? "settled" : "waiting";
}

/**
 * Keep an element at a spot of Buildbot's page.
 *
 * React leaves elements that are not its own where they are, beside its own, and removes them only with their parent.
 * If that happens, or if the spot does not exist yet, the element is inserted when the spot appears, before it is
 * painted.  Without a spot for MAX_WAIT_MS the element is moved to `above`, where it stays.
 */
export function keepAt(spot: Spot, element: Element, page: Element, above: Element, onPlaced: () => void): () => void {
  let timer: number | undefined;
  const stopTimer = () => {
    window.clearTimeout(timer);
    timer = undefined;
  };
  const update = () => {
    if (element.isConnected) {
      return;
    }
    const beside = page.querySelector(spot.selector);
    if (beside) {
      stopTimer();
      beside.insertAdjacentElement(spot.where, element);
      onPlaced();
    } else {
      timer ??= window.setTimeout(() => {
        above.append(element);
        onPlaced();
      }, MAX_WAIT_MS);
    }
  };
  if (page.contains(element)) {
    onPlaced();
  } else {
    element.remove();
  }
  const observer = new MutationObserver(update);
  observer.observe(page, {childList: true, subtree: true});
  update();
  return () => {
    observer.disconnect();
    stopTimer();
  };
}

interface Placed {
  place: PanelPlace;
  /** The element that contains the panel, anywhere on the page. */
  container: HTMLElement;
  height: number | null;
  above: React.RefObject<HTMLDivElement>;
  page: React.RefObject<HTMLDivElement>;
}

/** The place of the panel of the page at `pathname`; each page begins to wait anew. */
export function usePlace(spot: Spot, pathname: string): Placed {
  const above = React.useRef<HTMLDivElement>(null);
  const page = React.useRef<HTMLDivElement>(null);
  const [container] = React.useState(() => document.createElement("div"));
  const [state, setState] = React.useState(() => begin(pathname));
  const progress = state.pathname === pathname ? state : begin(pathname);
  const advance = React.useCallback((change: (old: Progress) => Partial<Progress>) => setState(old => {
    const current = old.pathname === pathname ? old : begin(pathname);
    return {...current, ...change(current)};
  }), [pathname]);
  React.useLayoutEffect(() => keepAt(spot, container, page.current!, above.current!, () => advance(() => ({isPlaced: true}))),
    [spot, container, advance]);
  React.useEffect(() => {
    const timer = window.setTimeout(() => {
      if (!container.isConnected) {
        above.current!.append(container);
      }
      const height = container.offsetHeight;
      advance(old => ({isPlaced: true, height: old.isSettled ? old.height : height}));
    }, MAX_WAIT_MS);
    return () => window.clearTimeout(timer);
  }, [advance, container]);
  const phase = phaseOf(progress);
  const place = React.useMemo(() => ({
    phase,
    settle: () => advance(() => ({isSettled: true})),
    release: () => advance(() => ({isPlaced: true, isSettled: true, height: null})),
  }), [phase, advance]);
  return {place, container, height: progress.height, above, page};
}
