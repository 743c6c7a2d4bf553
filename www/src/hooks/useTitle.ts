import * as React from "react";

/** Set the title of the browser's page, beside Buildbot's own; it is restored afterwards. */
export function useTitle(title: string): void {
  React.useEffect(() => {
    const before = document.title;
    document.title = `${title} · ${before}`;
    return () => { document.title = before; };
  }, [title]);
}
