import { ProxyError } from '../errors.ts';
import { Backoff } from '../lib/backoff.ts';
import { BoundedQueue } from '../lib/bounded-queue.ts';
import type { Deadline, Deadlines } from '../lib/deadlines.ts';
import { settlesWithin } from '../lib/pause.ts';
import type { Logger } from '../log.ts';
import type { ConnectorName } from '../manifest/names.ts';
import type { Invocation, Outcome } from '../worker/invocation.ts';
import type { Waited, Worker, WorkerChanged, WorkerEnd } from '../worker/worker.ts';
import type { PoolStatus } from './dispatcher.ts';
import { failed } from './failed.ts';
import { type PoolPlan, startsWanted } from './pool-plan.ts';
import type { StartGate } from './start-gate.ts';
import { WaitingInvocation } from './waiting-invocation.ts';

/** What a pool tells whoever counts. */
export interface PoolEvents {
  workerStarted?(connector: ConnectorName, startMs: number): void;
  workerEnded?(connector: ConnectorName, end: WorkerEnd): void;
  startFailed?(connector: ConnectorName, error: ProxyError): void;
}

export interface PoolOptions {
  readonly connector: ConnectorName;
  readonly plan: PoolPlan;
  /** Starts one worker; throws a ProxyError, with nothing left, when it cannot. */
  readonly start: (signal: AbortSignal, changed: WorkerChanged) => Promise<Worker>;
  readonly gate: StartGate;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  readonly events: PoolEvents;
  /** Workers of one pool that may be starting at once. */
  readonly startsMax: number;
}

/** How long after failures in a row a connector is started again. */
export const startBackoff = { firstMs: 500, maxMs: 30_000 } as const;
/** A queue that a running worker empties within this time is no reason to start another. */
export const scaleUpDelayMs = 20;
/** Between two workers that are replaced for their age, so that a pool is never without. */
const ageStaggerMs = 1000;
/** A worker that lived so long did start well, whatever ended it. */
const soundLifeMs = 10_000;
const retryAfter = { minMs: 1000, maxMs: 30_000 } as const;

interface Entry {
  readonly worker: Worker;
  readonly openedAt: number;
  /** How long its start took. */
  readonly startMs: number;
  idleSince: number;
  /** Single-use, and used. */
  isSpent: boolean;
}

const noWait: Waited = { queueMs: 0, startMs: 0 };

/** The bounded set of workers of one connector, and the invocations that wait for one. */
export class Pool {
  readonly #options: PoolOptions;
  readonly #plan: PoolPlan;
  readonly #queue: BoundedQueue<WaitingInvocation>;
  readonly #backoff = new Backoff(startBackoff);
  /** Workers that may be given invocations, the oldest first; and the others. */
  readonly #open: Entry[] = [];
  readonly #closing = new Map<Worker, Entry>();
  readonly #starts = new AbortController();
  readonly #gone = Promise.withResolvers<void>();
  #starting = 0;
  #isInLine = false;
  #restarts = 0;
  #startFailure: ProxyError | undefined;
  #isClosing = false;
  #sweepAt: Deadline | undefined;
  #scaleAt: Deadline | undefined;
  #takenAt = 0;
  #takeIntervalMs = 0;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#plan = options.plan;
    this.#queue = new BoundedQueue(options.plan.queueMax);
    this.#scale();
  }

  invoke(invocation: Invocation): Promise<Outcome> {
    const refusal = this.#refusal(invocation);
    if (refusal !== undefined) return Promise.resolve(failed(refusal));
    const entry = this.#queue.length === 0 ? this.#pick() : undefined;
    return entry === undefined ? this.#wait(invocation) : this.#run(entry, invocation, noWait);
  }

  status(): PoolStatus {
    const workers = { starting: this.#starting, ready: 0, busy: 0, closing: this.#closing.size };
    let running = 0;
    for (const { worker } of this.#open) {
      workers[worker.load === 0 ? 'ready' : 'busy'] += 1;
      running += worker.load;
    }
    for (const worker of this.#closing.keys()) running += worker.load;
    const status = { workers, queueLength: this.#queue.length, running, restarts: this.#restarts };
    const waitMs = this.#backoff.retryAt - performance.now();
    if (this.#startFailure === undefined || waitMs <= 0) return status;
    return { ...status, startFailure: { message: this.#startFailure.message, retryAt: Date.now() + waitMs } };
  }

  /**
   * Takes nothing new, and lets what runs and waits end until the deadline (milliseconds since the epoch); then it ends the rest, which
   * fails with `shutting_down` and the reason. Returns when no process is left.
   */
  async close(deadline: number, reason: string): Promise<void> {
    this.#isClosing = true;
    this.#pump();
    if (!(await settlesWithin(this.#gone.promise, Math.max(0, deadline - Date.now())))) this.#closeAtOnce(reason);
    await this.#gone.promise;
    for (const timer of [this.#sweepAt, this.#scaleAt]) if (timer !== undefined) this.#options.deadlines.cancel(timer);
  }

  #closeAtOnce(reason: string): void {
    const error = new ProxyError('shutting_down', `Connector ${this.#options.connector} ${reason}; the command did not run.`);
    this.#failWaiting(error);
    this.#starts.abort();
    for (const worker of [...this.#open.map((entry) => entry.worker), ...this.#closing.keys()])
      worker.kill(`was ended, because it ${reason}`);
  }

  #refusal({ connector, command, deadline, signal }: Invocation): ProxyError | undefined {
    if (this.#isClosing) return new ProxyError('shutting_down', `Connector ${connector} is being closed and takes nothing new; try again.`);
    if (signal.aborted) return new ProxyError('cancelled', `The caller of ${connector}/${command} went away before it ran.`);
    if (deadline <= Date.now())
      return new ProxyError('deadline_exceeded', `The deadline of ${connector}/${command} was over before it ran.`);
    return this.#open.length === 0 ? this.#backingOff() : undefined;
  }

  /** While a connector that cannot start waits for its next try, invocations fail at once with the reason. */
  #backingOff(): ProxyError | undefined {
    const failure = this.#startFailure;
    const retryAfterMs = Math.ceil(this.#backoff.retryAt - performance.now());
    if (failure === undefined || retryAfterMs <= 0) return undefined;
    const code = failure.code === 'connector_start_failed' || failure.code === 'shutting_down' ? 'connector_unavailable' : failure.code;
    const message = `${failure.message}\nIt is started again in ${(retryAfterMs / 1000).toFixed(1)} s; until then nothing runs.`;
    return new ProxyError(code, message, { cause: failure, retryAfterMs });
  }

  /** The least loaded worker; of equals the oldest, so that those that a peak added fall idle. */
  #pick(): Entry | undefined {
    let best: Entry | undefined;
    for (const entry of this.#open) {
      const { load, capacity } = entry.worker;
      if (entry.isSpent || load >= capacity) continue;
      if (load === 0) return entry;
      if (best === undefined || load < best.worker.load) best = entry;
    }
    return best;
  }

  #run(entry: Entry, invocation: Invocation, waited: Waited): Promise<Outcome> {
    const { worker } = entry;
    entry.isSpent = this.#plan.isSingleUse;
    const outcome = worker.invoke(invocation, waited);
    if (worker.invocations >= this.#plan.invocationsMax) void worker.close();
    if (entry.isSpent) this.#scale();
    return outcome;
  }

  #wait(invocation: Invocation): Promise<Outcome> {
    return new Promise((resolve) => {
      const { deadlines, connector } = this.#options;
      if (this.#queue.length >= this.#queue.lengthMax) {
        const message = `Every worker of ${connector} is busy and ${this.#queue.length} invocations wait already, which is connectors.${connector}.workers.queue; the command did not run.`;
        resolve(failed(new ProxyError('queue_full', message, { retryAfterMs: this.#retryAfterMs() })));
        return;
      }
      const leave = ({ place }: WaitingInvocation) => place && this.#leave(place);
      const waiting = new WaitingInvocation({ invocation, deadlines, resolve, leave });
      waiting.place = this.#queue.push(waiting);
      this.#scale();
    });
  }

  #leave(place: NonNullable<WaitingInvocation['place']>): void {
    this.#queue.remove(place);
    this.#closeIfDone();
  }

  /** As long as the queue, at the pace of late, will take. */
  #retryAfterMs(): number {
    return Math.ceil(Math.min(retryAfter.maxMs, Math.max(retryAfter.minMs, this.#takeIntervalMs * this.#queue.length)));
  }

  /** A place came free, a worker is going, or one came: gives out what waits, and sees to the number of workers. */
  #pump(): void {
    while (this.#queue.length > 0) {
      const entry = this.#pick();
      const waiting = entry && this.#queue.shift();
      if (entry === undefined || waiting === undefined) break;
      this.#give(entry, waiting);
    }
    this.#scale();
    this.#closeIfDone();
  }

  #give(entry: Entry, waiting: WaitingInvocation): void {
    const now = performance.now();
    const queueMs = now - waiting.since;
    const startMs = entry.openedAt >= waiting.since ? Math.min(queueMs, entry.startMs) : 0;
    if (this.#takenAt > 0) this.#takeIntervalMs += (Math.min(now - this.#takenAt, retryAfter.maxMs) - this.#takeIntervalMs) / 8;
    this.#takenAt = now;
    waiting.settle(this.#run(entry, waiting.invocation, { queueMs, startMs }));
  }

  readonly #changed: WorkerChanged = (worker) => {
    const index = this.#open.findIndex((entry) => entry.worker === worker);
    const entry = this.#open[index];
    if (entry === undefined) return;
    if (worker.state === 'closing' || worker.state === 'closed') {
      this.#open.splice(index, 1);
      if (worker.state === 'closing') this.#closing.set(worker, entry);
    } else {
      if (this.#backoff.failures > 0) this.#recovered();
      if (worker.load === 0) entry.idleSince = performance.now();
      if (worker.load === 0 && entry.isSpent) void worker.close();
    }
    this.#pump();
  };

  #scale(): void {
    const now = performance.now();
    if (this.#backoff.retryAt > now) return;
    // After a failure one start at a time is tried.
    const startsMax = this.#backoff.failures > 0 ? 1 : this.#options.startsMax;
    const { demand, ahead } = startsWanted(this.#plan, this.#counts(), startsMax);
    if (demand > 0 && this.#isWorthStarting(now)) for (let index = 0; index < demand; index++) void this.#startOnDemand();
    if (ahead > 0 && !this.#isClosing) void this.#startAhead();
  }

  #counts() {
    const free = this.#plan.isSingleUse ? this.#open.reduce((count, { isSpent }) => (isSpent ? count : count + 1), 0) : 0;
    return { open: this.#open.length, free, starting: this.#starting, closing: this.#closing.size, waiting: this.#queue.length };
  }

  /** With workers at work, a queue is given a moment to empty; single-use workers never take a second invocation. */
  #isWorthStarting(now: number): boolean {
    if (this.#plan.isSingleUse || this.#open.length === 0) return true;
    const waitedMs = now - (this.#queue.first?.since ?? now);
    if (waitedMs >= scaleUpDelayMs) return true;
    this.#scaleAt ??= this.#options.deadlines.add(now + scaleUpDelayMs - waitedMs, { expire: () => this.#scaleLate() });
    return false;
  }

  #scaleLate(): void {
    this.#scaleAt = undefined;
    this.#scale();
  }

  async #startOnDemand(): Promise<void> {
    this.#starting += 1;
    await this.#options.gate.turn();
    await this.#start();
  }

  /** Stands in line once; what is wanted is asked again when it is its turn. */
  async #startAhead(): Promise<void> {
    if (this.#isInLine) return;
    this.#isInLine = true;
    using _slot = await this.#options.gate.slot();
    this.#isInLine = false;
    const isWanted =
      this.#backoff.retryAt <= performance.now() && startsWanted(this.#plan, this.#counts(), this.#options.startsMax).ahead > 0;
    if (!isWanted || this.#isClosing) return;
    this.#starting += 1;
    await this.#options.gate.turn();
    await this.#start();
  }

  /** One start, already counted in `#starting`. */
  async #start(): Promise<void> {
    const startedAt = performance.now();
    try {
      this.#starts.signal.throwIfAborted();
      const worker = await this.#options.start(this.#starts.signal, this.#changed);
      this.#starting -= 1;
      this.#opened(worker, performance.now() - startedAt);
    } catch (error) {
      this.#starting -= 1;
      if (!this.#starts.signal.aborted) this.#startFailed(ProxyError.from(error));
    }
    this.#pump();
  }

  #opened(worker: Worker, startMs: number): void {
    const now = performance.now();
    const { connector, logger, events } = this.#options;
    const entry: Entry = { worker, openedAt: now, startMs, idleSince: now, isSpent: false };
    if (worker.state === 'ready') this.#open.push(entry);
    else this.#closing.set(worker, entry);
    void worker.closed.then((end) => this.#ended(entry, end));
    logger.debug({ connector, worker: worker.label, startMs: Math.round(startMs) }, 'Worker is ready.');
    events.workerStarted?.(connector, startMs);
    this.#scheduleSweep();
  }

  #startFailed(error: ProxyError): void {
    const { connector, logger, events } = this.#options;
    this.#failedToStart(error);
    logger.error({ connector, code: error.code, failures: this.#backoff.failures }, error.message);
    events.startFailed?.(connector, error);
    if (this.#open.length === 0 && this.#starting === 0) this.#failWaiting(error);
  }

  /** Nothing is started until the back-off is over. */
  #failedToStart(error: ProxyError): void {
    this.#startFailure = error;
    this.#backoff.fail(performance.now());
    this.#options.deadlines.add(this.#backoff.retryAt + 1, { expire: () => this.#pump() });
  }

  #failWaiting(error: ProxyError): void {
    for (let waiting = this.#queue.shift(); waiting !== undefined; waiting = this.#queue.shift()) waiting.fail(error);
  }

  #ended(entry: Entry, end: WorkerEnd): void {
    const { worker, openedAt } = entry;
    const { connector, logger, events } = this.#options;
    this.#closing.delete(worker);
    const wasSound = worker.invocations > 0 || performance.now() - openedAt > soundLifeMs;
    if (wasSound) this.#recovered();
    if (end.isUnexpected) {
      this.#restarts += 1;
      logger.warn({ connector, worker: worker.label, invocations: worker.invocations }, end.reason);
      // One that ends by itself, before it was given anything, would be started again and again.
      if (!wasSound) this.#failedToStart(new ProxyError('connector_start_failed', end.reason));
    }
    events.workerEnded?.(connector, end);
    this.#pump();
  }

  #recovered(): void {
    this.#backoff.succeed();
    this.#startFailure = undefined;
  }

  /** Closes what idled too long or is too old. */
  #sweep(): void {
    this.#sweepAt = undefined;
    const now = performance.now();
    const { idleTimeoutMs, ageTimeoutMs, isSingleUse, spare } = this.#plan;
    const aged = this.#open.find(({ openedAt }) => now - openedAt >= ageTimeoutMs);
    // The youngest first: the oldest is the one that is used when there is little to do.
    const idle = this.#open.toReversed().filter(({ worker, idleSince }) => worker.load === 0 && now - idleSince >= idleTimeoutMs);
    const excess = isSingleUse ? idle.length : this.#open.length - spare;
    for (const { worker } of idle.slice(0, Math.max(0, excess))) void worker.close();
    void aged?.worker.close();
    this.#scheduleSweep(aged === undefined ? 0 : now + ageStaggerMs);
  }

  #scheduleSweep(notBefore = 0): void {
    const at = Math.max(notBefore, this.#nextSweepAt());
    const { deadlines } = this.#options;
    if (this.#sweepAt !== undefined && this.#sweepAt.at <= at) return;
    if (this.#sweepAt !== undefined) deadlines.cancel(this.#sweepAt);
    this.#sweepAt = Number.isFinite(at) ? deadlines.add(at, { expire: () => this.#sweep() }) : undefined;
  }

  #nextSweepAt(): number {
    const now = performance.now();
    const { idleTimeoutMs, ageTimeoutMs, isSingleUse, spare } = this.#plan;
    const hasExcess = isSingleUse || this.#open.length > spare;
    let at = Number.POSITIVE_INFINITY;
    for (const { worker, openedAt, idleSince } of this.#open) {
      const idleAt = (worker.load === 0 ? idleSince : now) + idleTimeoutMs;
      at = Math.min(at, openedAt + ageTimeoutMs, hasExcess ? idleAt : at);
    }
    // A worker that idles past its time because it is one of those kept must not be looked at without end.
    return Math.max(at, now + sweepIntervalMinMs);
  }

  #closeIfDone(): void {
    if (!this.#isClosing || this.#queue.length > 0) return;
    this.#starts.abort();
    for (const { worker } of [...this.#open]) void worker.close();
    if (this.#open.length + this.#closing.size + this.#starting === 0) this.#gone.resolve();
  }
}

const sweepIntervalMinMs = 50;
