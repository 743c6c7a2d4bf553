import * as React from "react";

/** Whether the browser has painted what the page showed when `isReady` was first true. */
export function usePainted(isReady: boolean): boolean {
  const [painted, setPainted] = React.useState(false);
  React.useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const frame = isReady ? requestAnimationFrame(() => { timer = setTimeout(() => setPainted(true)); }) : 0;
    return () => {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
    };
  }, [isReady]);
  return painted;
}
