import * as React from "react";
import {createPortal} from "react-dom";
import {useLocation} from "react-router-dom";
import {registerPluginRegistrationConsumer, type Registration, type RouteConfig} from "buildbot-plugin-support";
import {PlaceContext, usePlace, type Spot} from "./place";

/** Error boundary that renders nothing after an error, so that a panel never breaks Buildbot's own page. */
class ErrorBoundary extends React.Component<{children: React.ReactNode}, {failed: boolean}> {
  static contextType = PlaceContext;
  declare context: React.ContextType<typeof PlaceContext>;
  state = {failed: false};

  static getDerivedStateFromError() {
    return {failed: true};
  }

  componentDidCatch(error: Error) {
    console.error("bbmeasure: the panel failed and is not shown", error);
    this.context.settle();
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

/** A panel of one of Buildbot's pages, and its spot there. */
export interface RoutePanel {
  panel: () => React.ReactElement;
  spot: Spot;
}

/** Buildbot's own page with a panel; it loads meanwhile, and does not move once it is visible. */
const Page = ({panel, spot, children}: {panel: React.ReactElement; spot: Spot; children: React.ReactNode}) => {
  const {pathname} = useLocation();
  const {place, container, height, above, page} = usePlace(spot, pathname);
  return (
    <PlaceContext.Provider value={place}>
      <div ref={above}/>
      <div ref={page} style={place.phase === "waiting" ? {visibility: "hidden"} : undefined}>{children}</div>
      {createPortal(
        <div className="bbm-place" style={height === null ? undefined : {height, overflow: "auto"}}>
          <ErrorBoundary>{panel}</ErrorBoundary>
        </div>, container)}
    </PlaceContext.Provider>
  );
};

/** Register Buildbot's own page again at each path, with its panel.  Unknown paths are skipped. */
export function wrapRoutes(
  registration: Registration, routes: ReadonlyMap<string, RouteConfig>, panels: Readonly<Record<string, RoutePanel>>,
): void {
  for (const [path, {panel, spot}] of Object.entries(panels)) {
    const stock = routes.get(path);
    if (stock) {
      registration.registerRoute({...stock, element: () => <Page panel={panel()} spot={spot}>{stock.element()}</Page>});
    }
  }
}
