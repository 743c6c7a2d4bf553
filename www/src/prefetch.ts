/** Requests that are made when this module is evaluated, before Buildbot renders the page. */

import {queryClient} from "./hooks/useQuery";
import {getSeries} from "./lib/api";
import type {Requested} from "./lib/chartData";
import {filtersOf, linesRequest, pagesRequest, pointsRequest, selectLines} from "./lib/requests";
import {findSeries} from "./lib/seriesList";
import {readSeriesState, resolveRange, seriesOfPath} from "./lib/urlState";

const fetched = <Data>({key, request}: Requested<Data>): Promise<Data> =>
  queryClient.fetchQuery({queryKey: [key], queryFn: ({signal}) => request(signal)});

/** Request the list of series with the lines of one, then the points of that. */
async function prefetchSeries(name: string, search: string): Promise<void> {
  const state = readSeriesState(new URLSearchParams(search));
  const range = resolveRange(state, Date.now() / 1000);
  const [all, overview] = await Promise.all([fetched({key: "series", request: getSeries}), fetched(linesRequest(name))]);
  const series = findSeries(all, name, state);
  if (series && range.error === null) {
    const known = selectLines(series, state, overview);
    await fetched(pointsRequest(series, state, known, state, filtersOf(series, state, range), true));
  }
}

/** Request what the page at the fragment of an address shows, if that is one of ours. */
export async function prefetch(fragment: string): Promise<void> {
  const [path, search = ""] = fragment.slice(1).split("?") as [string, string?];
  if (!/^\/measurements(\/|$)/.test(path)) {
    return;
  }
  const name = seriesOfPath(path);
  try {
    await (name === null ? Promise.all([fetched({key: "series", request: getSeries}), fetched(pagesRequest({}, 1))])
      : prefetchSeries(name, search));
  } catch {
    // the page shows the error of its own request
  }
}

void prefetch(window.location.hash);
