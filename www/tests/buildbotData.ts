/** Stands for Buildbot's own module. */
import * as React from "react";

export const DataClientContext = React.createContext(undefined);
