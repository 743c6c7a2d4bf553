import * as React from "react";
import {useLocation} from "react-router-dom";
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

/**
 * The place of a panel above Buildbot's own page.
 *
 * While it is `waiting`, Buildbot's page is hidden.  It is `settled` when the panel has its height, and `late` if that
 * takes longer than MAX_WAIT_MS: then the place keeps the height that it has, until the user clicks.
 */
export interface PanelPlace {
  phase: "waiting" | "settled" | "late";
  /** Called by a panel when its height will not change any more without a click. */
  settle: () => void;
  /** Called on a click, after which the panel may have any height. */
  release: () => void;
}

export const PlaceContext = React.createContext<PanelPlace>({phase: "settled", settle: () => undefined, release: () => undefined});

/** Buildbot's own page below a panel; it loads meanwhile, and does not move once it is visible. */
const Page = ({panel, children}: {panel: React.ReactElement; children: React.ReactNode}) => {
  const element = React.useRef<HTMLDivElement>(null);
  const {pathname} = useLocation();
  const [reached, setReached] = React.useState<{pathname: string; phase: PanelPlace["phase"]; height: number} | null>(null);
  const {phase, height} = reached?.pathname === pathname ? reached : {phase: "waiting" as const, height: 0};
  const reach = React.useCallback((next: "settled" | "late") => setReached(old =>
    old?.pathname === pathname ? old : {pathname, phase: next, height: element.current?.offsetHeight ?? 0}), [pathname]);
  React.useEffect(() => {
    const timer = window.setTimeout(() => reach("late"), MAX_WAIT_MS);
    return () => window.clearTimeout(timer);
  }, [reach]);
  const place = React.useMemo(() => ({
    phase, settle: () => reach("settled"), release: () => setReached({pathname, phase: "settled", height: 0}),
  }), [phase, pathname, reach]);
  return (
    <PlaceContext.Provider value={place}>
      <div ref={element} className="bbm-place" style={phase === "late" ? {height, overflow: "auto"} : undefined}>
        <ErrorBoundary>{panel}</ErrorBoundary>
      </div>
      <div style={phase === "waiting" ? {visibility: "hidden"} : undefined}>{children}</div>
    </PlaceContext.Provider>
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
