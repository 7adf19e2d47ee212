import type { Connector } from '../catalog/connector.ts';
import type { ConnectorName } from '../manifest/names.ts';
import type { Invocation, Outcome } from '../worker/invocation.ts';

/** Picks a worker of the connector's pool and runs the command. */
export interface Dispatcher {
  /** Always settles, by the invocation's deadline plus the connector's cancel grace; expected failures are outcomes. */
  invoke(invocation: Invocation): Promise<Outcome>;
  /** With what a changed connector still runs and holds from before, and a removed one until it is gone. */
  status(): ReadonlyMap<ConnectorName, PoolStatus>;
  /** Takes a new set of connectors: pools of changed and removed ones are drained, others are untouched. */
  apply(connectors: readonly Connector[]): void;
  /** Takes nothing new, lets what runs end until the deadline (milliseconds since the epoch), then ends it. */
  close(deadline: number): Promise<void>;
}

export interface PoolStatus {
  /** Workers by state. */
  readonly workers: { readonly starting: number; readonly ready: number; readonly busy: number; readonly closing: number };
  readonly queueLength: number;
  readonly running: number;
  readonly restarts: number;
  /** Why the connector cannot start now, while its back-off lasts. */
  readonly startFailure?: { readonly message: string; readonly retryAt: number };
}
