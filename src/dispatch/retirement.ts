import type { PoolPlan } from './pool-plan.ts';

/** What retirement looks at; times on the clock of performance.now(). */
export interface Age {
  readonly openedAt: number;
  /** Undefined while it is busy. */
  readonly idleSince: number | undefined;
  /** It serves until its replacement is there. */
  readonly isWorn: boolean;
}

export interface Retirement<T> {
  /** To be closed now. */
  readonly retired: readonly T[];
  /** Too old, but needed: it is worn from here on. */
  readonly worn: T | undefined;
  /** When to look again, at the earliest; infinite when there is nothing to wait for. */
  readonly nextAt: number;
}

/** Between two workers that are replaced for their age, so that not all replacements start at once. */
export const ageStaggerMs = 1000;
/**
 * A worker that waits for its replacement for so long past its age is closed without: `age` is a bound, be it of what the worker leaks or
 * of a secret that it still has. It is time for twenty tries of a start that fails.
 */
export const replacementTimeoutMs = 600_000;
/** A worker may idle past its time because it is one of those kept: it is not looked at without end. */
const intervalMinMs = 50;

/** Which workers idled too long or are too old. Give the oldest first. Pure, so that its rules can be tested in a table. */
export function retirement<T extends Age>(plan: PoolPlan, workers: readonly T[], now: number): Retirement<T> {
  const { idleTimeoutMs, ageTimeoutMs, isSingleUse, spare } = plan;
  const idledOut = thoseIdledOut(plan, workers, now);
  const others = workers.filter((worker) => !idledOut.includes(worker));
  const isOverdue = ({ openedAt }: T) => now - openedAt >= ageTimeoutMs + replacementTimeoutMs;
  const aged = others.find((worker) => !worker.isWorn && now - worker.openedAt >= ageTimeoutMs && !isOverdue(worker));
  const worn = aged !== undefined && (aged.idleSince === undefined || others.length <= spare) ? aged : undefined;
  const kept = others.filter((worker) => !isOverdue(worker) && (worker !== aged || worker === worn));
  const hasExcess = isSingleUse || kept.length > spare;
  const times = kept.map((worker) => {
    const oldAt = worker.openedAt + ageTimeoutMs + (worker.isWorn || worker === worn ? replacementTimeoutMs : 0);
    return Math.min(oldAt, hasExcess ? (worker.idleSince ?? now) + idleTimeoutMs : Number.POSITIVE_INFINITY);
  });
  const nextAt = Math.max(now + (aged === undefined ? intervalMinMs : ageStaggerMs), Math.min(...times));
  return { retired: workers.filter((worker) => !kept.includes(worker)), worn, nextAt };
}

function thoseIdledOut<T extends Age>({ idleTimeoutMs, isSingleUse, spare }: PoolPlan, workers: readonly T[], now: number): readonly T[] {
  const expired = workers.filter(({ idleSince = now }) => now - idleSince >= idleTimeoutMs);
  if (isSingleUse) return expired;
  // As many as are too many, but the youngest of those that idle: the oldest is the one that is used when there is little to do.
  const idle = workers.filter(({ idleSince }) => idleSince !== undefined).toReversed();
  return idle.slice(0, Math.min(expired.length, Math.max(0, workers.length - spare)));
}
