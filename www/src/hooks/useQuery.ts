import * as React from "react";

export interface QueryResult<Data> {
  data: Data | null;
  error: Error | null;
  loading: boolean;
}

/**
 * The result of `request`, which runs again when `key` or `version` changes.
 *
 * After a change of `key` the old data is dropped, unless `keepPrevious` keeps it until the new data arrives.  After a
 * change of `version` the old data is kept meanwhile.  A request whose result is no longer needed is aborted.  Nothing
 * is requested while `key` is null.
 */
export function useQuery<Data>(
  key: string | null, version: number, request: (signal: AbortSignal) => Promise<Data>, keepPrevious = false,
): QueryResult<Data> {
  const [result, setResult] = React.useState<QueryResult<Data> & {key: string | null}>(
    {key: null, data: null, error: null, loading: true});
  const latestRequest = React.useRef(request);
  const loadedKey = React.useRef<string | null>(null);
  latestRequest.current = request;

  React.useEffect(() => {
    if (key === null) {
      return undefined;
    }
    const controller = new AbortController();
    setResult(old => ({key, data: keepPrevious || old.key === key ? old.data : null, error: null, loading: true}));
    latestRequest.current(controller.signal).then(
      data => {
        if (!controller.signal.aborted) {
          loadedKey.current = key;
          setResult({key, data, error: null, loading: false});
        }
      },
      error => !controller.signal.aborted && setResult(old =>
        ({key, data: loadedKey.current === key ? old.data : null, error: error as Error, loading: false})),
    );
    return () => controller.abort();
  }, [key, version]);

  if (key !== null && result.key === key) {
    return result;
  }
  return {data: keepPrevious && key !== null ? result.data : null, error: null, loading: key !== null};
}
