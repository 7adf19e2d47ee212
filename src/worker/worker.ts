import type { Deadlines } from '../lib/deadlines.ts';
import type { Logger } from '../log.ts';
import type { CommandName, ConnectorName } from '../manifest/names.ts';
import type { Mask } from '../protocol/breach.ts';
import type { ProcessSource, Runner } from '../runner/runner.ts';
import type { SandboxPolicy } from '../sandbox/policy.ts';
import type { Invocation, Outcome, Phases } from './invocation.ts';

/**
 * `starting` until the handshake is done, `ready` with nothing to do, `busy` with invocations; `closing` takes nothing new and may still
 * finish what it has; `closed` has no process any more.
 */
export type WorkerState = 'starting' | 'ready' | 'busy' | 'closing' | 'closed';

/** How long an invocation waited before a worker took it, of which starting one. */
export type Waited = Pick<Phases, 'queueMs' | 'startMs'>;

/** One live connector, whatever its dialect. A worker knows one process; counts and queues are the pool’s. */
export interface Worker {
  /** For logs. */
  readonly label: string;
  readonly state: WorkerState;
  /** Invocations it takes at once. */
  readonly capacity: number;
  /** Invocations that hold a place: those that run, and those given up on that the connector has not answered yet. */
  readonly load: number;
  /** Invocations it was given so far. */
  readonly invocations: number;
  /** Runs the command. Only while `load` is below `capacity` and the state is `ready` or `busy`. */
  invoke(invocation: Invocation, waited: Waited): Promise<Outcome>;
  /** Takes nothing new, lets what runs end, then asks the process to go by ever firmer means. Idempotent. */
  close(): Promise<void>;
  /** Ends the process at once; what runs fails with `shutting_down` and the reason. Idempotent. */
  kill(reason: string): void;
  /** Settles when nothing of it is left; never rejects. */
  readonly closed: Promise<WorkerEnd>;
}

/** Why a worker ended: the first reason, not its consequences. */
export interface WorkerEnd {
  readonly reason: string;
  /** False when Bulkhead closed it and it went. */
  readonly isUnexpected: boolean;
}

/** What a worker tells its pool: a place came free, or it takes nothing new from here on. */
export type WorkerChanged = (worker: Worker) => void;

/** What a connector’s processes need to be started and talked to; the same for all of its workers. */
export interface WorkerOptions {
  readonly connector: ConnectorName;
  readonly commands: readonly CommandName[];
  readonly runner: Runner;
  readonly policy: SandboxPolicy;
  readonly source: ProcessSource;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Read right before each start. @throws ProxyError `secret_missing` */
  readonly secrets: (signal: AbortSignal) => Promise<SecretBundle>;
  readonly limits: WorkerLimits;
  readonly proxyVersion: string;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  readonly changed: WorkerChanged;
}

export interface SecretBundle {
  readonly values: Readonly<Record<string, string>>;
  /** Replaces every form of the secrets in a text. */
  readonly mask: Mask;
}

export interface WorkerLimits {
  /** From the start of the process to the answer to `initialize`. */
  readonly startTimeoutMs: number;
  /** How long an invocation given up on may still be answered before the worker is killed. */
  readonly cancelGraceMs: number;
  readonly messageBytesMax: number;
  readonly nestingMax: number;
  /** Bytes on their way to a connector that reads too slowly; an invocation beyond it fails at once. */
  readonly stdinQueueBytesMax: number;
  /** Invocations of one worker at once, if the connector does not say less. */
  readonly concurrency: number;
}

/** The rungs of the close ladder, and other waits that end in a kill. */
export const workerWaits = {
  /** For the answer to `shutdown`. */
  shutdownTimeoutMs: 1000,
  /** From the end of stdin to the exit. */
  stdinEndTimeoutMs: 1000,
  /** From SIGTERM to the exit. */
  terminateTimeoutMs: 2000,
  /** From SIGKILL to the exit; past it the process is given up on and the log says so. */
  killTimeoutMs: 5000,
  /** From a broken pipe or the end of stdout to the exit that explains it; a core dump takes its time. */
  symptomTimeoutMs: 2000,
} as const;
