/** Types of what the page uses of Buildbot's modules; Buildbot publishes no package of them. */

declare module "buildbot-plugin-support" {
  import type {ReactElement} from "react";

  export interface RouteConfig {
    route: string;
    group: string | null;
    element: () => ReactElement;
  }

  export interface Registration {
    registerMenuGroup(group: {
      name: string; parentName: string | null; caption: string; route: string | null; icon?: ReactElement;
      order: number | null;
    }): void;
    registerRoute(route: RouteConfig): void;
    registerSettingGroup(group: unknown): void;
  }

  export type Setup = (registration: Registration, config: unknown) => void;

  export function buildbotSetupPlugin(setup: Setup): void;
  export function registerPluginRegistrationConsumer(consumer: (setup: Setup) => void): void;
}

declare module "buildbot-data-js" {
  import type {Context} from "react";

  export interface Message {
    k: string;
    m: {complete?: boolean; buildid?: number; builderid?: number};
  }

  export interface DataClient {
    webSocketClient: {
      socket: WebSocket;
      eventStream: {subscribe(listener: (message: Message) => void): () => void};
      subscribe(path: string, subscriber: object): Promise<void>;
      unsubscribe(path: string, subscriber: object): Promise<void>;
    };
  }

  export const DataClientContext: Context<DataClient | undefined>;
}

declare module "buildbot-ui" {
  export function useTopbarItems(items: {caption: string; route: string | null}[]): void;
}

declare module "react-dom" {
  import type {ReactNode, ReactPortal} from "react";

  export function createPortal(children: ReactNode, container: Element): ReactPortal;
}

declare module "react-router-dom" {
  import type {AnchorHTMLAttributes, ForwardRefExoticComponent, RefAttributes} from "react";

  export const Link: ForwardRefExoticComponent<
    AnchorHTMLAttributes<HTMLAnchorElement> & RefAttributes<HTMLAnchorElement> & {to: string; replace?: boolean}>;
  export function useLocation(): {pathname: string; search: string};
  export function useNavigate(): (to: string, options?: {replace?: boolean}) => void;
  export function useParams(): Readonly<Record<string, string | undefined>>;
  export function useSearchParams(): [
    URLSearchParams, (next: URLSearchParams, options?: {replace?: boolean}) => void];
}
