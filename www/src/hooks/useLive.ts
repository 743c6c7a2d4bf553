import * as React from "react";
import {DataClientContext, type Message} from "buildbot-data-js";
import {getLastFinished} from "../lib/api";

const PATH = "builds/*/*";
const POLL_MS = 15_000;
/** The last points of a build reach the store up to 200 ms after the build has ended. */
const SETTLE_MS = 600;
const AT_MOST_EVERY_MS = 3_000;

/**
 * A number that grows whenever builds have ended, for as long as the page is looked at.
 *
 * Listens on the connection that Buildbot's page holds, and asks every 15 s where that one is closed.  Many builds that
 * end together make one step.
 */
export function useLive(matters: (message: Message["m"]) => boolean = () => true): number {
  const client = React.useContext(DataClientContext);
  const [version, setVersion] = React.useState(0);
  const filter = React.useRef(matters);
  filter.current = matters;

  React.useEffect(() => {
    let timer: number | undefined;
    let due = false;
    let stepped = 0;

    const step = () => {
      timer = undefined;
      if (document.hidden) {
        due = true;
        return;
      }
      due = false;
      stepped = Date.now();
      setVersion(value => value + 1);
    };
    const soon = () => {
      if (timer === undefined) {
        timer = window.setTimeout(step, Math.max(SETTLE_MS, stepped + AT_MOST_EVERY_MS - Date.now()));
      }
    };
    const shown = () => !document.hidden && due && soon();
    document.addEventListener("visibilitychange", shown);

    const socket = client?.webSocketClient;
    const subscriber = {};
    const stopListening = socket?.eventStream.subscribe(message => {
      if (/^builds\/\d+\/finished$/.test(message.k) && filter.current(message.m)) {
        soon();
      }
    });
    socket?.subscribe(PATH, subscriber).catch(() => undefined);

    let newest: number | null = null;
    const poll = window.setInterval(async () => {
      if (document.hidden || socket?.socket.readyState === WebSocket.OPEN) {
        return;
      }
      try {
        const build = await getLastFinished();
        if (build && build.buildid !== newest) {
          if (newest !== null && filter.current(build)) {
            soon();
          }
          newest = build.buildid;
        }
      } catch {
        // The next question tells; what is on the page stays.
      }
    }, POLL_MS);

    return () => {
      window.clearTimeout(timer);
      window.clearInterval(poll);
      document.removeEventListener("visibilitychange", shown);
      stopListening?.();
      socket?.unsubscribe(PATH, subscriber).catch(() => undefined);
    };
  }, [client]);

  return version;
}
