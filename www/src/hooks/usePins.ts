import * as React from "react";

const STORAGE_KEY = "bbmeasure.pinned";
/** Charts that are pinned at most. */
export const MAX_PINS = 24;

/** Routes of pinned charts, newest last; none if the browser refuses storage or it holds something else. */
export function readPins(): string[] {
  try {
    const pins: unknown = JSON.parse(window.localStorage.getItem(STORAGE_KEY) ?? "[]");
    return Array.isArray(pins) ? pins.filter((pin): pin is string => typeof pin === "string" && pin.startsWith("/measurements/")) : [];
  } catch {
    return [];
  }
}

/** The charts that are pinned in this browser, and a function that pins or unpins one; `failed` if it cannot be stored. */
export function usePins(): {pins: readonly string[]; toggle: (route: string) => void; failed: boolean} {
  const [pins, setPins] = React.useState(readPins);
  const [failed, setFailed] = React.useState(false);
  React.useEffect(() => {
    const update = (event: StorageEvent) => event.key === STORAGE_KEY && setPins(readPins());
    window.addEventListener("storage", update);
    return () => window.removeEventListener("storage", update);
  }, []);
  const toggle = React.useCallback((route: string) => {
    const old = readPins();
    const next = old.includes(route) ? old.filter(pin => pin !== route) : [...old, route].slice(-MAX_PINS);
    try {
      window.localStorage.setItem(STORAGE_KEY, JSON.stringify(next));
      setPins(next);
    } catch {
      setFailed(true);
    }
  }, []);
  return {pins, toggle, failed};
}
