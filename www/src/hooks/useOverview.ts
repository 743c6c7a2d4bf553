import * as React from "react";
import {MAX_OVERVIEW_ROWS, type OverviewFilters, type OverviewRow} from "../lib/api";
import {pagesRequest} from "../lib/requests";
import type {ListState} from "../lib/urlState";
import {useQuery} from "./useQuery";

const NO_ROWS: readonly OverviewRow[] = [];

/**
 * The lines of the list: all of them by one request, if they fit.
 *
 * If they do not, the filters select them on the server, and `more` loads the next page.
 */
export function useOverview(state: ListState, version: number) {
  const [isLarge, setLarge] = React.useState(false);
  const [attempt, setAttempt] = React.useState(0);
  const {search, builder, branch, kind, unit} = state;
  const filters: OverviewFilters = isLarge ? {search: search || null, builder, branch, kind, unit} : {};
  const key = JSON.stringify(filters);
  const [loaded, setLoaded] = React.useState({key, count: 1});
  const pageCount = loaded.key === key ? loaded.count : 1;
  const pages = pagesRequest(filters, pageCount);
  const {data, error, loading} = useQuery(pages.key, version + attempt, pages.request, true);
  const total = data?.total ?? 0;
  React.useEffect(() => {
    if (total > MAX_OVERVIEW_ROWS) {
      setLarge(true);
    }
  }, [total]);
  return {
    rows: data?.rows ?? NO_ROWS, total, error, loading,
    more: () => setLoaded({key, count: pageCount + 1}),
    retry: () => setAttempt(attempt + 1),
  };
}
