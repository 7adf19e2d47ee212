// The global one is an accessor, which costs each call (docs/performance.md).
import { performance } from 'node:perf_hooks';
import { ProxyError } from '../errors.ts';
import type { QueuePlace } from '../lib/bounded-queue.ts';
import type { Deadline, Deadlines, Expirable } from '../lib/deadlines.ts';
import type { Invocation, Outcome } from '../worker/invocation.ts';
import { failed } from './failed.ts';

export interface WaitingOptions {
  readonly invocation: Invocation;
  readonly deadlines: Deadlines;
  readonly resolve: (outcome: Outcome | Promise<Outcome>) => void;
  readonly pool: WaitingPool;
  /** The key of the connector's `workers` by which a worker is kept ready. */
  readonly keptReadyBy: 'min' | 'prewarm';
}

/** What an invocation that waits needs of its pool. */
export interface WaitingPool {
  /** It left the queue by itself. */
  left(waiting: WaitingInvocation): void;
  /** Whether what waits does so for a worker to start, not for a busy one. */
  awaitsStart(): boolean;
}

/** An invocation in the queue of a pool: leaves it for a worker, at its deadline, or with its client. */
export class WaitingInvocation implements Expirable {
  readonly since = performance.now();
  place: QueuePlace<WaitingInvocation> | undefined;
  readonly #options: WaitingOptions;
  readonly #deadline: Deadline;

  constructor(options: WaitingOptions) {
    this.#options = options;
    this.#deadline = options.deadlines.add(options.invocation.expiresAt, this);
    options.invocation.signal.addEventListener('abort', this);
  }

  get invocation(): Invocation {
    return this.#options.invocation;
  }

  /** It runs, or failed, from here on. */
  settle(outcome: Outcome | Promise<Outcome>): void {
    this.#options.deadlines.cancel(this.#deadline);
    this.invocation.signal.removeEventListener('abort', this);
    this.#options.resolve(outcome);
  }

  fail(error: ProxyError): void {
    this.settle(failed(error, performance.now() - this.since));
  }

  expire(): void {
    const { connector, command } = this.invocation;
    const { pool, keptReadyBy } = this.#options;
    const keys = `connectors.${connector}`;
    const message = pool.awaitsStart()
      ? `The worker for ${connector}/${command} was still starting at the deadline; the command did not run. Raise ${keys}.limits.invocation, or keep a worker ready by ${keys}.workers.${keptReadyBy}.`
      : `Every worker of ${connector} was busy until the deadline of ${connector}/${command}; the command did not run. Raise ${keys}.workers.max if that is common.`;
    this.#leave(new ProxyError('deadline_exceeded', message));
  }

  handleEvent(): void {
    const { connector, command } = this.invocation;
    this.#leave(new ProxyError('cancelled', `The caller of ${connector}/${command} went away before it ran; the command did not run.`));
  }

  #leave(error: ProxyError): void {
    this.#options.pool.left(this);
    this.fail(error);
  }
}
