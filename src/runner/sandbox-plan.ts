import type { ListenerPlan } from '../egress/listener-plan.ts';
import type { SandboxPolicy } from '../sandbox/policy.ts';

/** Everything that the arguments of one sandbox are made of: checked paths and plain data, so that the translation is pure. */
export interface SandboxPlan {
  readonly policy: SandboxPolicy;
  readonly command: readonly [string, ...string[]];
  /** Where the connector’s folder is mounted from; shown as /app. */
  readonly folder: string;
  /** Where the folder shown as /data is mounted from. */
  readonly dataFolder?: string;
  readonly readOnlyBinds: readonly Bind[];
  readonly machine: MachineLayout;
  readonly network: NetworkPlan;
  /** What a cgroup counts for the whole tree, memory together with swap; limits of single processes then only stand behind it. */
  readonly counted: { readonly memory: boolean; readonly pids: boolean };
  /** The seccomp program. */
  readonly filter: Uint8Array;
}

export interface Bind {
  readonly source: string;
  readonly target: string;
}

export interface MachinePath {
  readonly path: string;
  /** Where it leads, if it is a link that leads to the same inside: to make one takes a tenth of the time of a mount. */
  readonly link?: string;
}

/** What the machine’s own files look like; found once, see `machine-layout.ts`. */
export interface MachineLayout {
  /** /bin, /lib64 and the like: links into /usr on a merged system, else folders of their own. */
  readonly rootEntries: readonly MachinePath[];
  /** Files and folders of /etc that programs cannot do without and that hold no secret. */
  readonly systemPaths: readonly MachinePath[];
  /** The Node that connectors run on. */
  readonly nodePath: string;
}

/** `listeners` and `routes` are empty unless the connector has rules. */
export interface NetworkPlan {
  readonly isHostShared: boolean;
  readonly listeners: readonly ListenerPlan[];
  readonly localRoutes: readonly string[];
  readonly hosts: readonly { readonly address: string; readonly name: string }[];
  readonly environment: Readonly<Record<string, string>>;
  /** What makes the listeners inside, see namespace-helper/. */
  readonly helper: NamespaceHelper;
}

/** Perl starts in a few milliseconds and is on every Debian and Ubuntu; Node is there always. */
export interface NamespaceHelper {
  readonly interpreter: 'perl' | 'node';
  readonly program: string;
}

/** Places inside the sandbox. */
export const inside = {
  connector: '/app',
  data: '/data',
  nodeFolder: '/opt/bulkhead/bin',
  spiffHost: '/opt/bulkhead/spiff-python',
  helper: '/run/bulkhead/listen.mjs',
  startScript: '/run/bulkhead/start',
  connectorScript: '/run/bulkhead/connector.sh',
} as const;

/** Descriptors of the sandbox’s first process, above stdio. */
export const descriptors = { ipc: 3, arguments: 4, ready: 5, firstFree: 6 } as const;
