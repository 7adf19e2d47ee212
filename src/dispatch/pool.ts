// The global one is an accessor, which costs each call (docs/performance.md).
import { performance } from 'node:perf_hooks';
import { ProxyError } from '../errors.ts';
import { BoundedQueue } from '../lib/bounded-queue.ts';
import type { Deadline, Deadlines } from '../lib/deadlines.ts';
import { settlesWithin } from '../lib/pause.ts';
import type { Logger } from '../log.ts';
import type { ConnectorName } from '../manifest/names.ts';
import type { Invocation, Outcome } from '../worker/invocation.ts';
import type { Waited, Worker, WorkerChanged, WorkerEnd } from '../worker/worker.ts';
import type { PoolStatus } from './dispatcher.ts';
import { failed } from './failed.ts';
import { type PoolPlan, wantsRenewal } from './pool-plan.ts';
import { retirement } from './retirement.ts';
import { WaitingInvocation, type WaitingPool } from './waiting-invocation.ts';
import { type StartingPool, WorkerStarts, type WorkerStartsOptions } from './worker-starts.ts';

/** What a pool tells whoever counts. */
export interface PoolEvents {
  workerStarted?(connector: ConnectorName, startMs: number): void;
  workerEnded?(connector: ConnectorName, end: WorkerEnd): void;
  startFailed?(connector: ConnectorName, error: ProxyError): void;
}

export interface PoolOptions extends Omit<WorkerStartsOptions, 'pool'> {
  readonly connector: ConnectorName;
  readonly logger: Logger;
  readonly events: PoolEvents;
}

/** A worker that lived so long did start well, whatever ended it. */
const soundLifeMs = 10_000;
const retryAfter = { minMs: 1000, maxMs: 30_000 } as const;
/** Of what did not run because its pool closes: another pool, or another proxy, takes it. */
const retryAfterClose = { retryAfterMs: retryAfter.minMs } as const;

interface Entry {
  readonly worker: Worker;
  readonly openedAt: number;
  /** How long its start took. */
  readonly startMs: number;
  idleSince: number | undefined;
  /** Single-use, and used. */
  isSpent: boolean;
  /** Pooled, and near its last invocation or too old: it serves until its replacement is there. */
  isWorn: boolean;
}

const noWait: Waited = { queueMs: 0, startMs: 0 };

/** The bounded set of workers of one connector, and the invocations that wait for one. */
export class Pool implements StartingPool, WaitingPool {
  readonly #connector: ConnectorName;
  readonly #plan: PoolPlan;
  readonly #deadlines: Deadlines;
  readonly #logger: Logger;
  readonly #events: PoolEvents;
  readonly #starts: WorkerStarts;
  readonly #queue: BoundedQueue<WaitingInvocation>;
  /** Workers that may be given invocations, the oldest first; and those that are going. */
  readonly #open: Entry[] = [];
  readonly #closing = new Map<Worker, Entry>();
  readonly #gone = Promise.withResolvers<void>();
  #restarts = 0;
  #isClosing = false;
  #isPumping = false;
  #sweepAt: Deadline | undefined;
  /** When the last invocation left the queue for a worker, and the mean time between two, while others waited. */
  #takenAt = 0;
  #takeIntervalMs = 0;

  constructor(options: PoolOptions) {
    this.#connector = options.connector;
    this.#plan = options.plan;
    this.#deadlines = options.deadlines;
    this.#logger = options.logger;
    this.#events = options.events;
    const { queueMax, max, concurrency } = options.plan;
    this.#queue = new BoundedQueue(queueMax + max * concurrency);
    this.#starts = new WorkerStarts({ ...options, pool: this });
    this.#starts.scale();
  }

  invoke(invocation: Invocation): Promise<Outcome> {
    const refusal = this.#refusal(invocation);
    if (refusal !== undefined) return Promise.resolve(failed(refusal));
    const entry = this.#queue.length === 0 ? this.#pick() : undefined;
    return entry === undefined ? this.#wait(invocation) : this.#run(entry, invocation, noWait);
  }

  status(): PoolStatus {
    const workers = { starting: this.#starts.starting, ready: 0, busy: 0, closing: this.#closing.size };
    let running = 0;
    for (const { worker } of this.#open) {
      workers[worker.load === 0 ? 'ready' : 'busy'] += 1;
      running += worker.load;
    }
    for (const worker of this.#closing.keys()) running += worker.load;
    const status = { workers, queueLength: this.#queue.length, running, restarts: this.#restarts };
    const backingOff = this.#starts.backingOff();
    if (backingOff === undefined) return status;
    return { ...status, startFailure: { message: backingOff.failure.message, retryAt: Date.now() + backingOff.waitMs } };
  }

  /**
   * Takes nothing new, and lets what runs and waits end until the deadline (milliseconds since the epoch); then it ends the rest, which
   * fails with `shutting_down` and the reason. Returns when no process is left. May be called again with an earlier deadline.
   */
  async close(deadline: number, reason: string): Promise<void> {
    this.#isClosing = true;
    this.#starts.startNoneAhead();
    this.pump();
    if (!(await settlesWithin(this.#gone.promise, Math.max(0, deadline - Date.now())))) this.#closeAtOnce(reason);
    await this.#gone.promise;
    if (this.#sweepAt !== undefined) this.#deadlines.cancel(this.#sweepAt);
  }

  #closeAtOnce(reason: string): void {
    const message = `Connector ${this.#connector} ${reason}; the command did not run.`;
    this.#failWaiting(new ProxyError('shutting_down', message, retryAfterClose));
    this.#starts.abort();
    const workers = [...this.#open.map(({ worker }) => worker), ...this.#closing.keys()];
    for (const worker of workers) worker.kill(`was ended, because it ${reason}`);
  }

  #refusal({ connector, command, expiresAt, signal }: Invocation): ProxyError | undefined {
    if (this.#isClosing) {
      const message = `Connector ${connector} is being closed and takes nothing new; the command did not run.`;
      return new ProxyError('shutting_down', message, retryAfterClose);
    }
    if (signal.aborted) return new ProxyError('cancelled', `The caller of ${connector}/${command} went away before it ran.`);
    if (expiresAt <= performance.now())
      return new ProxyError('deadline_exceeded', `The deadline of ${connector}/${command} was over before it ran.`);
    return this.#starts.failures > 0 && !this.#isServed() ? this.#backingOff() : undefined;
  }

  /** While a connector that cannot start waits for its next try, invocations fail at once with the reason. */
  #backingOff(): ProxyError | undefined {
    const backingOff = this.#starts.backingOff();
    if (backingOff === undefined) return undefined;
    const { failure, waitMs } = backingOff;
    const code = failure.code === 'connector_start_failed' ? 'connector_unavailable' : failure.code;
    const message = `${failure.message}\nIt is started again in ${(waitMs / 1000).toFixed(1)} s; until then nothing runs.`;
    return new ProxyError(code, message, { cause: failure, retryAfterMs: Math.ceil(waitMs) });
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

  /** Whether there is a worker that will take what waits, sooner or later. */
  #isServed(): boolean {
    return this.#open.some(({ isSpent }) => !isSpent);
  }

  #run(entry: Entry, invocation: Invocation, waited: Waited): Promise<Outcome> {
    const { worker } = entry;
    entry.isSpent = this.#plan.isSingleUse;
    entry.idleSince = undefined;
    const outcome = worker.invoke(invocation, waited);
    if (worker.invocations >= this.#plan.invocationsMax) void worker.close();
    // Asked once: a replacement that cannot start is tried again when its back-off is over, not at each call.
    const isNewlyWorn = !entry.isWorn && wantsRenewal(this.#plan, worker.invocations);
    entry.isWorn ||= isNewlyWorn;
    if (entry.isSpent || isNewlyWorn) this.#starts.scale();
    return outcome;
  }

  #wait(invocation: Invocation): Promise<Outcome> {
    return new Promise((resolve) => {
      if (this.#isQueueFull()) {
        resolve(failed(this.#queueFull()));
        return;
      }
      const keptReadyBy = this.#plan.isSingleUse ? 'prewarm' : 'min';
      const waiting = new WaitingInvocation({ invocation, deadlines: this.#deadlines, resolve, pool: this, keptReadyBy });
      waiting.place = this.#queue.push(waiting);
      this.#starts.scale();
    });
  }

  /** Beyond its own places the queue has those of workers to come: without one, only what waits causes a start. */
  #isQueueFull(): boolean {
    const { length } = this.#queue;
    return length >= this.#plan.queueMax && length >= this.#plan.queueMax + this.#placesToCome();
  }

  /** What workers that are starting, or may be started now, will take. */
  #placesToCome(): number {
    const { max, concurrency } = this.#plan;
    const workers = this.#starts.backingOff() === undefined ? max - this.counts().open : this.#starts.starting;
    return Math.max(0, workers) * concurrency;
  }

  #queueFull(): ProxyError {
    const [name, toCome] = [this.#connector, this.#placesToCome()];
    const places = `connectors.${name}.workers.queue lets ${this.#plan.queueMax} wait${toCome > 0 ? `, and workers to come will take ${toCome}` : ''}`;
    const message = `No worker of ${name} has a place free, and ${this.#queue.length} invocations wait already: ${places}; the command did not run.`;
    // As long as the queue, at the pace of late, will take.
    const retryAfterMs = Math.ceil(Math.min(retryAfter.maxMs, Math.max(retryAfter.minMs, this.#takeIntervalMs * this.#queue.length)));
    return new ProxyError('queue_full', message, { retryAfterMs });
  }

  left({ place }: WaitingInvocation): void {
    if (place !== undefined) this.#queue.remove(place);
    this.#closeIfDone();
  }

  awaitsStart(): boolean {
    return this.#open.length === 0 || (this.#starts.starting > 0 && !this.#isServed());
  }

  /** A place came free, a worker is going, or one came: gives out what waits, and sees to the number of workers. */
  pump(): void {
    // What is given out and cannot be sent leaves its place at once, for the next one: in turn, not one within the other.
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      this.#giveAll();
    } finally {
      this.#isPumping = false;
    }
    this.#starts.scale();
    this.#closeIfDone();
  }

  #giveAll(): void {
    while (this.#queue.length > 0) {
      const entry = this.#pick();
      const waiting = entry && this.#queue.shift();
      if (entry === undefined || waiting === undefined) return;
      this.#give(entry, waiting);
    }
  }

  #give(entry: Entry, waiting: WaitingInvocation): void {
    const now = performance.now();
    const queueMs = now - waiting.since;
    const startMs = entry.openedAt >= waiting.since ? Math.min(queueMs, entry.startMs) : 0;
    // Only while there was something to take all along: a quiet time before tells nothing of the pace.
    if (this.#takenAt > waiting.since) this.#takeIntervalMs += (Math.min(now - this.#takenAt, retryAfter.maxMs) - this.#takeIntervalMs) / 8;
    this.#takenAt = now;
    waiting.settle(this.#run(entry, waiting.invocation, { queueMs, startMs }));
  }

  #failWaiting(error: ProxyError): void {
    for (let waiting = this.#queue.shift(); waiting !== undefined; waiting = this.#queue.shift()) waiting.fail(error);
  }

  // ---- workers ------------------------------------------------------------------------------------------------------------------

  counts() {
    const free = this.#plan.isSingleUse ? this.#open.reduce((count, { isSpent }) => (isSpent ? count : count + 1), 0) : 0;
    const worn = this.#open.reduce((count, entry) => (entry.isWorn ? count + 1 : count), 0);
    return { open: this.#open.length - worn, worn, free, closing: this.#closing.size + worn, waiting: this.#queue.length };
  }

  waitingSince(): number | undefined {
    return this.#queue.first?.since;
  }

  opened(worker: Worker, startMs: number): void {
    const now = performance.now();
    const entry: Entry = { worker, openedAt: now, startMs, idleSince: now, isSpent: false, isWorn: false };
    if (worker.state === 'ready') this.#add(entry);
    else this.#closing.set(worker, entry);
    void worker.closed.then((end) => this.#ended(entry, end));
    this.#logger.debug({ connector: this.#connector, worker: worker.label, startMs: Math.round(startMs) }, 'Worker is ready.');
    this.#events.workerStarted?.(this.#connector, startMs);
    this.#scheduleSweep(retirement(this.#plan, this.#open, now).nextAt);
  }

  /** In the place of a worn one, if there is any. */
  #add(entry: Entry): void {
    const worn = this.#open.find(({ isWorn }) => isWorn);
    this.#open.push(entry);
    if (worn !== undefined) void worn.worker.close();
  }

  failed(error: ProxyError): void {
    this.#logger.error({ connector: this.#connector, code: error.code, failures: this.#starts.failures }, error.message);
    this.#events.startFailed?.(this.#connector, error);
    if (this.#starts.starting === 0 && !this.#isServed()) this.#failWaiting(error);
  }

  readonly changed: WorkerChanged = (worker) => {
    const entry = this.#open.find((candidate) => candidate.worker === worker);
    if (entry === undefined) return;
    if (worker.state === 'ready' || worker.state === 'busy') this.#settled(entry);
    else this.#leaves(entry);
  };

  /** A place of an open worker came free: what most invocations end with, so nothing more is done than needed. */
  #settled(entry: Entry): void {
    if (this.#starts.failures > 0) this.#starts.succeed(entry.openedAt);
    if (entry.worker.load === 0) {
      entry.idleSince = performance.now();
      if (entry.isSpent) void entry.worker.close();
    }
    if (this.#queue.length > 0 || this.#isClosing) this.pump();
  }

  #leaves(entry: Entry): void {
    this.#open.splice(this.#open.indexOf(entry), 1);
    if (entry.worker.state === 'closing') this.#closing.set(entry.worker, entry);
    // Whether one that did nothing yet has failed, so that the next start must wait, only its end tells: its stdout may end before that.
    if (isSound(entry)) this.pump();
  }

  #ended(entry: Entry, end: WorkerEnd): void {
    const { worker } = entry;
    this.#closing.delete(worker);
    const wasSound = isSound(entry);
    // However old it was: what it leaves waiting does not sit out a back-off without a worker.
    if (wasSound) this.#starts.succeed(performance.now());
    if (end.isUnexpected) {
      this.#restarts += 1;
      this.#logger.warn({ connector: this.#connector, worker: worker.label, invocations: worker.invocations }, end.reason);
      if (!wasSound) this.#starts.fail(new ProxyError('connector_start_failed', end.reason));
    }
    this.#events.workerEnded?.(this.#connector, end);
    this.pump();
  }

  #sweep(): void {
    this.#sweepAt = undefined;
    const { retired, worn, nextAt } = retirement(this.#plan, this.#open, performance.now());
    if (worn !== undefined) {
      worn.isWorn = true;
      this.#starts.scale();
    }
    for (const { worker } of retired) void worker.close();
    this.#scheduleSweep(nextAt);
  }

  #scheduleSweep(at: number): void {
    if (this.#sweepAt !== undefined && this.#sweepAt.at <= at) return;
    if (this.#sweepAt !== undefined) this.#deadlines.cancel(this.#sweepAt);
    this.#sweepAt = Number.isFinite(at) ? this.#deadlines.add(at, { expire: () => this.#sweep() }) : undefined;
  }

  #closeIfDone(): void {
    if (!this.#isClosing || this.#queue.length > 0) return;
    this.#starts.abort();
    for (const { worker } of [...this.#open]) void worker.close();
    if (this.#open.length + this.#closing.size + this.#starts.starting === 0) this.#gone.resolve();
  }
}

function isSound({ worker, openedAt }: Entry): boolean {
  return worker.invocations > 0 || performance.now() - openedAt > soundLifeMs;
}
