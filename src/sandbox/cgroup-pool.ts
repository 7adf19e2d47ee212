import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cgroup, createCgroup, type ReusableCgroup } from './cgroup.ts';
import type { CgroupTree } from './cgroup-tree.ts';

/** How many wait for the next sandbox, at most: an empty one costs the kernel some 60 KB (version 1, three folders). */
export const keptCgroupsMax = 16;
/** Milliseconds without a sandbox that ends, after which those that wait are removed. */
export const keptCgroupsMs = 30_000;

/** Between looks at whether what is inside has ended. */
const waitsMs = [1, 2, 4];

export interface CgroupPool {
  /** One for one sandbox, which limits it. Throws what mkdir throws. */
  take(): Cgroup;
  /** Removes those that wait. */
  close(): Promise<void>;
}

/**
 * Cgroups of one runner. To make and to remove one is a twentieth of what a process for one call costs the machine, so one serves again in
 * which nothing happened that its next sandbox could notice, or that could be taken for that one’s doing.
 */
export function createCgroupPool(tree: CgroupTree): CgroupPool {
  /** Oldest first: what has ended in one may be counted until somebody has waited for it. */
  const kept: ReusableCgroup[] = [];
  let timer: NodeJS.Timeout | undefined;

  const drop = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    await Promise.all(kept.splice(0).map((cgroup) => cgroup.remove()));
  };

  const takeBack = async (cgroup: ReusableCgroup): Promise<void> => {
    if (!(await becomesEmpty(cgroup)) || kept.length >= keptCgroupsMax) {
      await cgroup.remove();
      return;
    }
    kept.push(cgroup);
    timer ??= setTimeout(drop, keptCgroupsMs).unref();
    timer.refresh();
  };

  const take = (): ReusableCgroup => {
    for (let oldest = kept.shift(); oldest !== undefined; oldest = kept.shift()) {
      if (oldest.isAsNew()) return oldest;
      void oldest.remove();
    }
    return createCgroup(tree, randomUUID());
  };

  return { take: () => lend(take(), takeBack), close: drop };
}

/** bwrap ends a moment before what is inside, whose end then takes the kernel a millisecond or two. */
async function becomesEmpty(cgroup: ReusableCgroup): Promise<boolean> {
  for (const pauseMs of waitsMs) {
    if (cgroup.isEmpty()) return true;
    cgroup.kill();
    await sleep(pauseMs);
  }
  return cgroup.isEmpty();
}

/** Once it is removed, whoever still holds it neither sees nor kills what is in it then. */
function lend(cgroup: ReusableCgroup, takeBack: (cgroup: ReusableCgroup) => Promise<void>): Cgroup {
  let removal: Promise<void> | undefined;
  return {
    limit: (limits) => cgroup.limit(limits),
    add: (pid) => cgroup.add(pid),
    events: () => (removal === undefined ? cgroup.events() : { oomKills: 0, memoryPeakBytes: 0, forksRefused: 0 }),
    kill: () => {
      if (removal === undefined) cgroup.kill();
    },
    remove: () => {
      removal ??= takeBack(cgroup);
      return removal;
    },
  };
}
