/** The automatic runtime of JSX for libraries, from the React that Buildbot's page provides. */

import * as React from "react";

type Props = Record<string, unknown> | null;

export const jsx = (type: React.ElementType, props: Props, key?: React.Key) =>
  React.createElement(type, key === undefined ? props : {...props, key});

export const jsxs = jsx;
export const Fragment = React.Fragment;
