/** What only tests use of the router. */

declare module "react-router-dom" {
  import type {FC, ReactNode} from "react";

  export const MemoryRouter: FC<{children?: ReactNode; initialEntries?: string[]}>;
  export const Routes: FC<{children?: ReactNode}>;
  export const Route: FC<{path: string; element: ReactNode}>;
}
