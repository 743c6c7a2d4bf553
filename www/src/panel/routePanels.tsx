import * as React from "react";
import {registerPluginRegistrationConsumer, type Registration, type RouteConfig} from "buildbot-plugin-support";

/** Error boundary that renders nothing after an error, so that a panel never breaks Buildbot's own page. */
class ErrorBoundary extends React.Component<{children: React.ReactNode}, {failed: boolean}> {
  state = {failed: false};

  static getDerivedStateFromError() {
    return {failed: true};
  }

  componentDidCatch(error: Error) {
    console.error("bbmeasure: the panel failed and is not shown", error);
  }

  render() {
    return this.state.failed ? null : this.props.children;
  }
}

/**
 * The routes that Buildbot and its other plugins have registered, by path; empty if this Buildbot does not support it.
 *
 * Buildbot has no extension point on its build page and does not export its routes, but it replays all earlier
 * registrations to each new consumer.  It must be called before this plugin registers its own routes.
 */
export function registeredRoutes(): Map<string, RouteConfig> {
  const routes = new Map<string, RouteConfig>();
  const registration: Registration = {
    registerMenuGroup: () => undefined,
    registerSettingGroup: () => undefined,
    registerRoute: route => { routes.set(route.route, route); },
  };
  let isListening = true;
  try {
    registerPluginRegistrationConsumer(setup => {
      if (isListening) {
        setup(registration, (window as {buildbotFrontendConfig?: unknown}).buildbotFrontendConfig ?? {});
      }
    });
  } catch (error) {
    console.warn("bbmeasure: this Buildbot has no way to add a panel to its pages", error);
  }
  isListening = false;
  return routes;
}

/** Milliseconds that Buildbot's own page waits for the panel, so that it does not move when the panel appears. */
const MAX_WAIT_MS = 2_000;

/** Called by a panel when its height will not change any more without a click. */
export const SettledContext = React.createContext<() => void>(() => undefined);

/** Buildbot's own page below a panel; it loads meanwhile, and is visible as soon as the panel has its height. */
const Page = ({panel, children}: {panel: React.ReactElement; children: React.ReactNode}) => {
  const [isSettled, setSettled] = React.useState(false);
  const settle = React.useCallback(() => setSettled(true), []);
  React.useEffect(() => {
    const timer = window.setTimeout(settle, MAX_WAIT_MS);
    return () => window.clearTimeout(timer);
  }, [settle]);
  return (
    <>
      <SettledContext.Provider value={settle}><ErrorBoundary>{panel}</ErrorBoundary></SettledContext.Provider>
      <div style={isSettled ? undefined : {visibility: "hidden"}}>{children}</div>
    </>
  );
};

/** Register Buildbot's own page again at each path, with a panel above it.  Unknown paths are skipped. */
export function wrapRoutes(
  registration: Registration, routes: ReadonlyMap<string, RouteConfig>,
  panels: Readonly<Record<string, () => React.ReactElement>>,
): void {
  for (const [path, panel] of Object.entries(panels)) {
    const stock = routes.get(path);
    if (stock) {
      registration.registerRoute({...stock, element: () => <Page panel={panel()}>{stock.element()}</Page>});
    }
  }
}
