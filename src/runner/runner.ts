import type { Readable, Writable } from 'node:stream';
import type { ErrorCode } from '../errors.ts';
import type { ConnectorName } from '../manifest/names.ts';
import type { SandboxPolicy } from '../sandbox/policy.ts';
import type { Lender } from './lending-socket.ts';

/** What to start. A runner knows streams and processes; it knows nothing of messages or invocations. */
export interface ProcessSpec {
  readonly connector: ConnectorName;
  readonly policy: SandboxPolicy;
  readonly source: ProcessSource;
  /** Told while the process lives; the worker puts it into logs and into the error of the invocations it may have broken. */
  readonly onNotice: (notice: ProcessNotice) => void;
  /** Ids of the invocations that run in it now, for the audit log of its connections. */
  readonly invocations?: () => readonly string[];
}

/** Something that the machinery around a process saw it do: a refused connection, a limit that was reached. */
export interface ProcessNotice {
  readonly code: ErrorCode;
  /** Names the thing, the state and the repair, e.g. `api.foo.com:443 is not in the rules of connector x; add it under connectors.x.network`. */
  readonly message: string;
}

export type ProcessSource =
  | {
      readonly type: 'folder';
      /** Real path of the connector's folder. */
      readonly folder: string;
      readonly command: readonly string[];
      /** A folder of Bulkhead's own that the command needs; the sandbox shows it read-only at `target`. */
      readonly support?: { readonly source: string; readonly target: string };
    }
  | { readonly type: 'image'; readonly image: string; readonly engine?: string };

/** One live process tree or container. Whoever got it must see `exited` settle; `kill` makes that certain. */
export interface ConnectorProcess {
  readonly stdin: Writable;
  readonly stdout: Readable & Partial<Lender>;
  readonly stderr: Readable;
  /** Settles once, when nothing of the tree is left; never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** For logs: `pid 4711` or `container 0f3a…`. */
  readonly label: string;
  /** Asks politely (SIGTERM). A sandbox may turn it into a kill. */
  terminate(): void;
  /** Ends the whole tree at once. Idempotent; safe after exit. */
  kill(): void;
}

export interface ProcessExit {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** A limit that ended it, with the figure reached: known by the runner only. */
  readonly breach?: { readonly code: ErrorCode; readonly message: string };
}

/** A way of starting connectors. `start` resolves once the process exists (not: is ready), or throws a ProxyError. */
export interface Runner {
  readonly type: 'subprocess' | 'docker';
  start(spec: ProcessSpec, signal: AbortSignal): Promise<ConnectorProcess>;
  /** Ends everything it started and releases what it holds. */
  close(): Promise<void>;
}
