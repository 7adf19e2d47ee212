import type { PoolPlan } from './pool-plan.ts';

/** What retirement looks at; times on the clock of performance.now(). */
export interface Age {
  readonly openedAt: number;
  /** Undefined while it is busy. */
  readonly idleSince: number | undefined;
}

export interface Retirement<T> {
  readonly retired: readonly T[];
  /** When to look again, at the earliest; infinite when there is nothing to wait for. */
  readonly nextAt: number;
}

/** Between two workers that are replaced for their age, so that a pool is not without any. */
export const ageStaggerMs = 1000;
/** A worker may idle past its time because it is one of those kept: it is not looked at without end. */
const intervalMinMs = 50;

/** Which workers idled too long or are too old. Give the oldest first. Pure, so that its rules can be tested in a table. */
export function retirement<T extends Age>(plan: PoolPlan, workers: readonly T[], now: number): Retirement<T> {
  const { idleTimeoutMs, ageTimeoutMs, isSingleUse, spare } = plan;
  const aged = workers.filter(({ openedAt }) => now - openedAt >= ageTimeoutMs);
  const isExpired = ({ idleSince = now }: T) => now - idleSince >= idleTimeoutMs;
  const expired = workers.filter(isExpired);
  // As many as are too many, but the youngest of those that idle: the oldest is the one that is used when there is little to do.
  const idle = workers.filter(({ idleSince }) => idleSince !== undefined).toReversed();
  const surplus = idle.slice(0, Math.min(expired.length, Math.max(0, workers.length - spare)));
  const retired = [...new Set([...aged.slice(0, 1), ...(isSingleUse ? expired : surplus)])];
  const kept = workers.filter((worker) => !retired.includes(worker));
  const hasExcess = isSingleUse || kept.length > spare;
  const times = kept.map(({ openedAt, idleSince = now }) =>
    Math.min(openedAt + ageTimeoutMs, hasExcess ? idleSince + idleTimeoutMs : Number.POSITIVE_INFINITY),
  );
  return { retired, nextAt: Math.max(now + (aged.length > 0 ? ageStaggerMs : intervalMinMs), Math.min(...times)) };
}
