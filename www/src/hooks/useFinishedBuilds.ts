import * as React from "react";
import {DataClientContext, type Message} from "buildbot-data-js";
import {getLastFinished} from "../lib/api";

const PATH = "builds/*/*";
const POLL_MS = 15_000;
/** The last points of a build are stored up to 200 ms after the build has finished. */
const SETTLE_MS = 600;
const MIN_INTERVAL_MS = 3_000;

/**
 * A version number that increases after builds have finished, while the page is visible.
 *
 * It listens on the WebSocket of Buildbot's page, and polls every 15 s if that is closed.  Builds that finish within
 * MIN_INTERVAL_MS increase it once.  `isRelevant` selects the builds.
 */
export function useFinishedBuilds(isRelevant: (message: Message["m"]) => boolean = () => true): number {
  const client = React.useContext(DataClientContext);
  const [version, setVersion] = React.useState(0);
  const filter = React.useRef(isRelevant);
  filter.current = isRelevant;

  React.useEffect(() => {
    let timer: number | undefined;
    let isDue = false;
    let lastIncrease = 0;

    const increase = () => {
      timer = undefined;
      if (document.hidden) {
        isDue = true;
        return;
      }
      isDue = false;
      lastIncrease = Date.now();
      setVersion(value => value + 1);
    };
    const schedule = () => {
      if (timer === undefined) {
        timer = window.setTimeout(increase, Math.max(SETTLE_MS, lastIncrease + MIN_INTERVAL_MS - Date.now()));
      }
    };
    const onVisible = () => !document.hidden && isDue && schedule();
    document.addEventListener("visibilitychange", onVisible);

    const socket = client?.webSocketClient;
    const subscriber = {};
    const stopListening = socket?.eventStream.subscribe(message => {
      if (/^builds\/\d+\/finished$/.test(message.k) && filter.current(message.m)) {
        schedule();
      }
    });
    socket?.subscribe(PATH, subscriber).catch(() => undefined);

    let newestId: number | null = null;
    const poll = window.setInterval(async () => {
      if (document.hidden || socket?.socket.readyState === WebSocket.OPEN) {
        return;
      }
      try {
        const build = await getLastFinished();
        if (build && build.buildid !== newestId) {
          if (newestId !== null && filter.current(build)) {
            schedule();
          }
          newestId = build.buildid;
        }
      } catch {
        // Polled again after POLL_MS.
      }
    }, POLL_MS);

    return () => {
      window.clearTimeout(timer);
      window.clearInterval(poll);
      document.removeEventListener("visibilitychange", onVisible);
      stopListening?.();
      socket?.unsubscribe(PATH, subscriber).catch(() => undefined);
    };
  }, [client]);

  return version;
}
