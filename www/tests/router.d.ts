/** What only tests use of the router. */

declare module "react-router-dom" {
  import type {FC, ReactNode} from "react";

  export const MemoryRouter: FC<{children?: ReactNode; initialEntries?: string[]}>;
}
