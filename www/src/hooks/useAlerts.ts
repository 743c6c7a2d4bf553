import * as React from "react";
import {decideAlert, getAlerts, type Alert} from "../lib/api";
import {byUrgency} from "../lib/alerts";
import {queryClient, useQuery} from "./useQuery";

const KEY = "alerts";

/** The alerts of some filters, the most urgent first; nothing is requested without filters. */
export function useAlerts(filters: Readonly<Record<string, string | null>> | null, version: number) {
  const key = filters && `${KEY} ${JSON.stringify(filters)}`;
  const {data, error, loading} = useQuery(key, version, signal => getAlerts(filters!, signal));
  return {alerts: React.useMemo(() => data ? [...data].sort(byUrgency) : null, [data]), error, loading};
}

export interface Decision {
  decide: (state: "accepted" | "ignored", why: string) => Promise<void>;
  busy: boolean;
  error: Error | null;
}

/**
 * A function that decides alerts, after which all alerts and values are requested again.
 *
 * Each is decided by a request of its own, since a user may be allowed to decide those of some builders only.
 */
export function useDecision(alerts: readonly Pick<Alert, "id" | "builder">[]): Decision {
  const [busy, setBusy] = React.useState(false);
  const [error, setError] = React.useState<Error | null>(null);
  const decide = async (state: "accepted" | "ignored", why: string) => {
    setBusy(true);
    setError(null);
    const failures: string[] = [];
    for (const {id, builder} of alerts) {
      try {
        await decideAlert(id, state, why);
      } catch (failure) {
        const {message} = failure as Error;
        failures.push(alerts.length > 1 ? `${builder ?? "no builder"}: ${message}` : message);
      }
    }
    setError(failures.length ? new Error(failures.join("; ")) : null);
    if (failures.length < alerts.length) {
      await queryClient.invalidateQueries();
    }
    setBusy(false);
  };
  return {decide, busy, error};
}

/** Whether the user is signed in to Buildbot, which deciding needs. */
export function isSignedIn(): boolean {
  const config = (window as {buildbotFrontendConfig?: {user?: {anonymous?: boolean}}}).buildbotFrontendConfig;
  return config?.user !== undefined && !config.user.anonymous;
}
