import * as React from "react";
import {buildbotSetupPlugin} from "buildbot-plugin-support";
import {ApiError, askSeriesEarly, getHealth} from "./lib/api";
import {MeasurementsPage} from "./pages/MeasurementsPage";
import {BuilderPanel, BuildPanel} from "./panel/panels";
import {registeredRoutes, wrapRoutes} from "./panel/wrap";
import "./styles.css";

const ICON = (
  <svg stroke="currentColor" fill="none" strokeWidth="2" strokeLinecap="round" strokeLinejoin="round" viewBox="0 0 24 24"
       height="1em" width="1em" aria-hidden="true">
    <path d="M3 3v18h18"/><path d="M7 15l4-5 3 3 6-8"/>
  </svg>
);

if (/^#\/measurements\b/.test(window.location.hash)) {
  askSeriesEarly();
}
const stockRoutes = registeredRoutes();

buildbotSetupPlugin(registration => {
  for (const route of ["/measurements", "/measurements/*"]) {
    registration.registerRoute({route, group: "measurements", element: () => <MeasurementsPage/>});
  }
  wrapRoutes(registration, stockRoutes, {
    "builders/:builderid": () => <BuilderPanel/>,
    "builders/:builderid/builds/:buildnumber": () => <BuildPanel/>,
  });
  const addToMenu = () => registration.registerMenuGroup(
    {name: "measurements", parentName: null, caption: "Measurements", route: "/measurements", icon: ICON, order: 6});
  // A master that keeps nothing, since nobody asked it to, says 404: it gets no entry.
  getHealth().then(addToMenu, error => {
    if (!(error instanceof ApiError && error.status === 404)) {
      addToMenu();
    }
  });
});
