import type {Build, Builder, BuildRecord} from "../lib/api";
import {seriesRoute} from "../lib/urlState";

/** The route of the series of a record, with its line: builder, branch and tags; `build` marks the build. */
export function recordRoute(record: BuildRecord, build: Build, builder: Builder): string {
  const {branch, proposal, tags} = record;
  return seriesRoute(record.series, {
    builder: builder.name,
    ...(branch === null ? {} : {branch}),
    ...(proposal ? {proposals: "1"} : {}),
    build: String(build.buildid),
  }, tags);
}
