/** Requests that are made when this module is evaluated, before Buildbot renders the page. */

import {queryClient} from "./hooks/useQuery";
import {getSeries, type Series} from "./lib/api";
import type {Requested} from "./lib/chartData";
import {filtersOf, linesRequest, onlySeries, pagesRequest, pointsRequest, selectLines} from "./lib/requests";
import {findSeries} from "./lib/seriesList";
import {readSeriesState, resolveRange, seriesOfPath} from "./lib/urlState";

const fetched = <Data>({key, request}: Requested<Data>): Promise<Data> =>
  queryClient.fetchQuery({queryKey: [key], queryFn: ({signal}) => request(signal)});

/** Fetch what may be missing: the page makes its own request and shows its error. */
const fetchedIfPossible = <Data>(requested: Requested<Data>): Promise<Data | null> => fetched(requested).catch(() => null);

/** Request the lines of a series with the list of all; the page gets the list when the points are requested. */
function prefetchSeries(name: string, search: string): Promise<Series[]> {
  const state = readSeriesState(new URLSearchParams(search));
  const range = resolveRange(state, Date.now() / 1000);
  const lines = fetchedIfPossible(linesRequest(name));
  const requestPoints = async (all: Promise<Series[]>) => {
    const overview = await lines;
    const series = overview && (onlySeries(overview) ?? findSeries(await all, name, state));
    if (series && range.error === null) {
      const known = selectLines(series, state, overview);
      void fetchedIfPossible(pointsRequest(series, state, known, state, filtersOf(series, state, range), true));
    }
  };
  const request = async (signal: AbortSignal) => {
    const all = getSeries(signal);
    await Promise.all([all, requestPoints(all)]);
    return all;  // the page renders now, while the server reads the points
  };
  return fetched({key: "series", request});
}

/** The list of series, requested with all else that the page at the fragment of an address shows; null if it is not ours. */
export function prefetch(fragment: string): Promise<Series[]> | null {
  const [path, search = ""] = fragment.slice(1).split("?") as [string, string?];
  if (!/^\/measurements(\/|$)/.test(path)) {
    return null;
  }
  const name = seriesOfPath(path);
  if (name !== null) {
    return prefetchSeries(name, search);
  }
  void fetchedIfPossible(pagesRequest({}, 1));
  return fetched({key: "series", request: getSeries});
}

export const prefetched = prefetch(window.location.hash);
