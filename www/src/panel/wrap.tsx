import * as React from "react";
import {registerPluginRegistrationConsumer, type Registration, type RouteConfig} from "buildbot-plugin-support";

/** Draws nothing where what it holds fails: a panel of ours may never take Buildbot's own page down. */
class Guard extends React.Component<{children: React.ReactNode}, {failed: boolean}> {
  state = {failed: false};

  static getDerivedStateFromError() {
    return {failed: true};
  }

  componentDidCatch(error: Error) {
    console.error("bbmeasure: its panel failed and is left out", error);
  }

  render() {
    return this.state.failed ? null : this.props.children;
  }
}

/**
 * The routes that Buildbot and its other plugins have registered, by their path; none where they cannot be had.
 *
 * Buildbot has no slot on its build page, and keeps its routes to itself; but it tells every consumer of registrations
 * about all that were made before.  To be called before this plugin registers itself, which would be told too.
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

/** Registers Buildbot's own page at each path anew, with a panel above it.  A path that is not there stays so. */
export function wrapRoutes(
  registration: Registration, routes: ReadonlyMap<string, RouteConfig>,
  panels: Readonly<Record<string, () => React.ReactElement>>,
): void {
  for (const [path, panel] of Object.entries(panels)) {
    const stock = routes.get(path);
    if (stock) {
      registration.registerRoute({...stock, element: () => <><Guard>{panel()}</Guard>{stock.element()}</>});
    }
  }
}
