import {prefetched} from "./prefetch";  // first: its requests are under way while the other modules are evaluated
import * as React from "react";
import {buildbotSetupPlugin} from "buildbot-plugin-support";
import {ApiError, getHealth} from "./lib/api";
import {MeasurementsPage} from "./pages/MeasurementsPage";
import {BuilderPanel, BuildPanel} from "./panel/panels";
import {BELOW_BUILD_SUMMARY, BELOW_BUILDER_DESCRIPTION} from "./panel/place";
import {registeredRoutes, wrapRoutes} from "./panel/routePanels";
import "./styles.css";

const ICON = (
  <svg stroke="currentColor" fill="none" strokeWidth="2" strokeLinecap="round" strokeLinejoin="round" viewBox="0 0 24 24"
       height="1em" width="1em" aria-hidden="true">
    <path d="M3 3v18h18"/><path d="M7 15l4-5 3 3 6-8"/>
  </svg>
);

const stockRoutes = registeredRoutes();

buildbotSetupPlugin(registration => {
  for (const route of ["/measurements", "/measurements/*"]) {
    registration.registerRoute({route, group: "measurements", element: () => <MeasurementsPage/>});
  }
  wrapRoutes(registration, stockRoutes, {
    "builders/:builderid": {panel: () => <BuilderPanel/>, spot: BELOW_BUILDER_DESCRIPTION},
    "builders/:builderid/builds/:buildnumber": {panel: () => <BuildPanel/>, spot: BELOW_BUILD_SUMMARY},
  });
  const addToMenu = () => registration.registerMenuGroup(
    {name: "measurements", parentName: null, caption: "Measurements", route: "/measurements", icon: ICON, order: 6});
  // A master without an instance answers 404 and gets no menu entry.
  (prefetched ?? getHealth()).then(addToMenu, error => {
    if (!(error instanceof ApiError && error.status === 404)) {
      addToMenu();
    }
  });
});
