import * as React from "react";
import type {Point} from "../lib/api";
import {csvOf} from "../lib/csv";

/** A link that saves the result of `points` as CSV; `url` is that of all points if not all are loaded. */
export const CsvLink = ({points, unit, url, name}: {
  points: () => readonly Point[]; unit: string; url: string | null; name: string;
}) => {
  const fileName = `${name.replace(/[^\w.-]+/g, "_").slice(0, 80)}.csv`;
  const save = (event: React.MouseEvent<HTMLAnchorElement>) => {
    if (url === null) {
      const blob = URL.createObjectURL(new Blob([csvOf(points(), unit)], {type: "text/csv"}));
      event.currentTarget.href = blob;
      window.setTimeout(() => URL.revokeObjectURL(blob), 60_000);
    }
  };
  return <a className="bbm-button" href={url ?? "#"} download={fileName} onClick={save}>CSV</a>;
};

/** A button that copies the address of the page. */
export const CopyLink = () => {
  const [state, setState] = React.useState<"" | "copied" | "failed">("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(window.location.href);
      setState("copied");
    } catch {
      setState("failed");
    }
  };
  return (
    <>
      <button type="button" className="bbm-button" onClick={copy}>Copy link</button>
      <span className="bbm-more" role="status">
        {state === "copied" ? "Copied." : state === "failed" ? "The browser does not allow it: copy the address." : ""}
      </span>
    </>
  );
};
