import type { WorkersConfig } from '../config/config.ts';
import type { DialectName } from '../manifest/manifest.ts';

/** How a pool sizes itself, the same words for every mode. */
export interface PoolPlan {
  /** Whether a worker takes one invocation in its life. */
  readonly isSingleUse: boolean;
  /** Pooled: workers kept even when idle. Single-use: unused workers kept ready. */
  readonly spare: number;
  /** Workers that start, wait or run. Those that are closing come on top, up to as many again. */
  readonly max: number;
  readonly concurrency: number;
  readonly queueMax: number;
  readonly idleTimeoutMs: number;
  readonly ageTimeoutMs: number;
  readonly invocationsMax: number;
}

/**
 * Share of `invocationsMax` from which on a worker’s replacement is started, while it goes on: were it started only when the worker is
 * at its end, all that comes meanwhile would wait for the start. The rest is 2500 invocations by default: at 10000 a second, 250 ms, in
 * which even a Node program starts.
 */
export const renewalShare = 0.75;

/** Whether a worker that served so many wants a replacement. Never the last one that it may serve, which ends it anyway. */
export function wantsRenewal({ invocationsMax }: PoolPlan, invocations: number): boolean {
  return invocations >= invocationsMax * renewalShare && invocations < invocationsMax;
}

export function poolPlan(workers: WorkersConfig, dialect: DialectName): PoolPlan {
  const { max, queueMax, idleTimeoutMs } = workers;
  const unlimited = { ageTimeoutMs: Number.POSITIVE_INFINITY, invocationsMax: Number.POSITIVE_INFINITY };
  const common = { max, queueMax, idleTimeoutMs, ...unlimited };
  // One process an invocation anyway: there is nothing to keep, to age, or to start ahead.
  if (dialect === 'oneshot') return { ...common, isSingleUse: false, spare: 0, concurrency: 1 };
  if (workers.mode === 'single-use') return { ...common, isSingleUse: true, spare: Math.min(workers.prewarm, max), concurrency: 1 };
  const { min, concurrency, ageTimeoutMs, invocationsMax } = workers;
  return { ...common, isSingleUse: false, spare: Math.min(min, max), concurrency, ageTimeoutMs, invocationsMax };
}

/** What a pool has at one moment. */
export interface PoolCounts {
  /** Workers that take or run invocations. */
  readonly open: number;
  /** Workers that serve until their replacement is there; counted as closing, not as open. */
  readonly worn: number;
  /** Open workers with nothing to do, that can still be given an invocation. */
  readonly free: number;
  readonly starting: number;
  readonly closing: number;
  /** Invocations in the queue. */
  readonly waiting: number;
}

export interface StartsWanted {
  /** Starts that invocations wait for. */
  readonly demand: number;
  /** Starts ahead of time. */
  readonly ahead: number;
}

/** How many workers to start now. Pure, so that every rule of it can be tested in a table. */
export function startsWanted(plan: PoolPlan, counts: PoolCounts, startsMax: number): StartsWanted {
  const { open, worn, free, starting, closing, waiting } = counts;
  const roomOfMax = plan.max - open - starting;
  const roomOfAll = 2 * plan.max - open - starting - closing;
  const room = Math.max(0, Math.min(roomOfMax, roomOfAll, startsMax - starting));
  const demand = Math.min(room, Math.max(0, Math.ceil(waiting / plan.concurrency) - starting));
  const kept = plan.isSingleUse ? free - waiting : open;
  const ahead = Math.min(room - demand, Math.max(0, worn - starting - demand, plan.spare - kept - starting - demand));
  return { demand, ahead };
}
