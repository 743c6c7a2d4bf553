import * as React from "react";
import {decideAlert, getAlerts, type Alert} from "../lib/api";
import {byUrgency} from "../lib/alerts";
import {queryClient, useQuery} from "./useQuery";

const KEY = "alerts";

/** The alerts of some filters, the most urgent first. */
export function useAlerts(filters: Readonly<Record<string, string | null>>, version: number) {
  const key = `${KEY} ${JSON.stringify(filters)}`;
  const {data, error, loading} = useQuery(key, version, signal => getAlerts(filters, signal));
  return {alerts: React.useMemo(() => data ? [...data].sort(byUrgency) : null, [data]), error, loading};
}

export interface Decision {
  decide: (state: "accepted" | "ignored", why: string) => Promise<void>;
  busy: boolean;
  error: Error | null;
}

/** A function that decides an alert, after which all alerts and values are requested again. */
export function useDecision({id}: Pick<Alert, "id">): Decision {
  const [busy, setBusy] = React.useState(false);
  const [error, setError] = React.useState<Error | null>(null);
  const decide = React.useCallback(async (state: "accepted" | "ignored", why: string) => {
    setBusy(true);
    setError(null);
    try {
      await decideAlert(id, state, why);
      await queryClient.invalidateQueries();
    } catch (failure) {
      setError(failure as Error);
    } finally {
      setBusy(false);
    }
  }, [id]);
  return {decide, busy, error};
}

/** Whether the user is signed in to Buildbot, which deciding needs. */
export function isSignedIn(): boolean {
  const config = (window as {buildbotFrontendConfig?: {user?: {anonymous?: boolean}}}).buildbotFrontendConfig;
  return config?.user !== undefined && !config.user.anonymous;
}
