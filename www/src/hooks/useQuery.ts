import * as React from "react";
import {keepPreviousData, QueryClient, useQuery as useLibraryQuery} from "@tanstack/react-query";
import {ApiError} from "../lib/api";

export interface QueryResult<Data> {
  data: Data | null;
  error: Error | null;
  loading: boolean;
  /** When `data` was received, in milliseconds; 0 for none. */
  updatedAt: number;
}

/** Milliseconds for which an answer is used again without a request, such as the one that is prefetched. */
const STALE_MS = 2_000;
const RETRY_MS = 2_000;

/** The cache of all answers. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: STALE_MS,
      refetchOnWindowFocus: false,
      networkMode: "always",
      retry: (count, error) => count < 1 && error instanceof ApiError && error.status === 503,
      retryDelay: RETRY_MS,
    },
  },
});

/**
 * The result of `request`, which runs again when `key` or `version` changes.
 *
 * After a change of `key` the old data is dropped, unless `keepPrevious` keeps it until the new data arrives.  After a
 * change of `version` the old data is kept meanwhile, and also if the request fails.  A request whose result is no
 * longer needed is aborted.  Nothing is requested while `key` is null.
 */
export function useQuery<Data>(
  key: string | null, version: number, request: (signal: AbortSignal) => Promise<Data>, keepPrevious = false,
): QueryResult<Data> {
  const result = useLibraryQuery<Data>({
    queryKey: [key],
    queryFn: ({signal}) => request(signal),
    enabled: key !== null,
    placeholderData: keepPrevious ? keepPreviousData as never : undefined,
  }, queryClient);
  const {refetch} = result;
  const loaded = React.useRef({key, version});
  React.useEffect(() => {
    const isNewer = loaded.current.key === key && loaded.current.version !== version;
    loaded.current = {key, version};
    if (isNewer && key !== null) {
      void refetch();
    }
  }, [key, version, refetch]);
  return {
    data: key === null ? null : result.data ?? null,
    error: key === null ? null : result.error,
    loading: key !== null && result.isFetching,
    updatedAt: key === null ? 0 : result.dataUpdatedAt,
  };
}
