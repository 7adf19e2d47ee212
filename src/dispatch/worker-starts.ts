import { ProxyError } from '../errors.ts';
import { Backoff } from '../lib/backoff.ts';
import type { Deadline, Deadlines } from '../lib/deadlines.ts';
import { pause } from '../lib/pause.ts';
import type { Worker, WorkerChanged } from '../worker/worker.ts';
import { type PoolCounts, type PoolPlan, type StartsWanted, startsWanted } from './pool-plan.ts';
import type { StartGate } from './start-gate.ts';

/** How long after failures in a row a connector is started again. */
export const startBackoff = { firstMs: 500, maxMs: 30_000 } as const;
/** A queue that the workers at work empty within this time is no reason to start another. */
export const scaleUpDelayMs = 20;
/** From an invocation that took a single-use worker to the start of the next one ahead of time. */
const refillDelayMs = 20;

export interface WorkerStartsOptions {
  readonly plan: PoolPlan;
  /** Starts one worker; throws a ProxyError, with nothing left, when it cannot. */
  readonly start: (signal: AbortSignal, changed: WorkerChanged) => Promise<Worker>;
  readonly gate: StartGate;
  readonly deadlines: Deadlines;
  /** Workers of one pool that may be starting at once. */
  readonly startsMax: number;
  readonly pool: StartingPool;
}

/** What starts need of their pool. */
export interface StartingPool {
  counts(): Omit<PoolCounts, 'starting'>;
  /** Since when the first of the queue waits, on the clock of performance.now(). */
  waitingSince(): number | undefined;
  readonly changed: WorkerChanged;
  opened(worker: Worker, startMs: number): void;
  /** A start failed; back-off has begun. */
  failed(error: ProxyError): void;
  /** A start ended either way, or may be tried again. */
  pump(): void;
}

/** The starts of one pool: how many, when, and how long none after one that failed. */
export class WorkerStarts {
  readonly #options: WorkerStartsOptions;
  readonly #backoff = new Backoff(startBackoff);
  readonly #abort = new AbortController();
  #starting = 0;
  #isInLine = false;
  #isAheadWanted = true;
  #failure: ProxyError | undefined;
  #failedAt = Number.NEGATIVE_INFINITY;
  #scaleLater: Deadline | undefined;

  constructor(options: WorkerStartsOptions) {
    this.#options = options;
  }

  get starting(): number {
    return this.#starting;
  }

  /** Failures in a row. */
  get failures(): number {
    return this.#backoff.failures;
  }

  /** The last failure and how long it keeps others from being tried; undefined when a start may be tried. */
  backingOff(): { readonly failure: ProxyError; readonly waitMs: number } | undefined {
    const waitMs = this.#backoff.retryAt - performance.now();
    return this.#failure === undefined || waitMs <= 0 ? undefined : { failure: this.#failure, waitMs };
  }

  /** Starts as many as are wanted. */
  scale(): void {
    const now = performance.now();
    if (this.#abort.signal.aborted || this.#backoff.retryAt > now) return;
    const { demand, ahead } = this.#wanted();
    if (demand > 0 && this.#isWorthStarting(now)) for (let index = 0; index < demand; index++) void this.#startOnDemand();
    if (ahead > 0) void this.#startAhead();
  }

  /** Also for a worker that ended by itself before it was given anything: it would be started again and again. */
  fail(error: ProxyError): void {
    const { deadlines, pool } = this.#options;
    this.#failure = error;
    this.#failedAt = performance.now();
    this.#backoff.fail(this.#failedAt);
    deadlines.add(this.#backoff.retryAt + 1, { expire: () => pool.pump() });
  }

  /** A worker that was opened then did its work. One from before the last failure still works, which tells nothing about a start now. */
  succeed(openedAt: number): void {
    if (openedAt < this.#failedAt) return;
    this.#backoff.succeed();
    this.#failure = undefined;
  }

  /** From here on only what waits is a reason to start. */
  startNoneAhead(): void {
    this.#isAheadWanted = false;
  }

  /** Gives up what is starting, and starts nothing any more. */
  abort(): void {
    this.#abort.abort();
    if (this.#scaleLater !== undefined) this.#options.deadlines.cancel(this.#scaleLater);
  }

  #wanted(): StartsWanted {
    const { plan, pool, startsMax } = this.#options;
    // After a failure one start at a time is tried.
    const wanted = startsWanted(plan, { ...pool.counts(), starting: this.#starting }, this.failures > 0 ? 1 : startsMax);
    return this.#isAheadWanted ? wanted : { ...wanted, ahead: 0 };
  }

  /** With workers at work, a queue is given a moment to empty; single-use workers never take a second invocation. */
  #isWorthStarting(now: number): boolean {
    const { plan, pool, deadlines } = this.#options;
    if (plan.isSingleUse || pool.counts().open === 0) return true;
    const waitedMs = now - (pool.waitingSince() ?? now);
    if (waitedMs >= scaleUpDelayMs) return true;
    this.#scaleLater ??= deadlines.add(now + scaleUpDelayMs - waitedMs, { expire: () => this.#scaleLate() });
    return false;
  }

  #scaleLate(): void {
    this.#scaleLater = undefined;
    this.scale();
  }

  async #startOnDemand(): Promise<void> {
    this.#starting += 1;
    await this.#start();
  }

  /** Stands in line once; what is wanted is asked again when it is its turn. */
  async #startAhead(): Promise<void> {
    if (this.#isInLine) return;
    this.#isInLine = true;
    // A start blocks the event loop for milliseconds: not those in which the invocation that took the last worker is answered.
    if (this.#options.plan.isSingleUse) await pause(refillDelayMs, this.#abort.signal);
    using _slot = await this.#options.gate.slot();
    this.#isInLine = false;
    if (this.#abort.signal.aborted || this.#backoff.retryAt > performance.now() || this.#wanted().ahead === 0) return;
    this.#starting += 1;
    await this.#start();
  }

  /** One start, already counted in `#starting`. */
  async #start(): Promise<void> {
    const { gate, start, pool } = this.#options;
    const { signal } = this.#abort;
    const startedAt = performance.now();
    try {
      await gate.turn();
      signal.throwIfAborted();
      const worker = await start(signal, pool.changed);
      this.#starting -= 1;
      pool.opened(worker, performance.now() - startedAt);
    } catch (error) {
      this.#starting -= 1;
      if (!signal.aborted) this.#failed(ProxyError.from(error));
    }
    pool.pump();
  }

  #failed(error: ProxyError): void {
    this.fail(error);
    this.#options.pool.failed(error);
  }
}
