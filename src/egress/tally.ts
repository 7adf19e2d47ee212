/** Counts what is open, by owner and in all, and refuses what would be too much. */
export interface Tally {
  /** A release, to be called once or more often; undefined: the limit is reached. */
  take(owner: string): (() => void) | undefined;
}

export function createTally({ ownerMax, totalMax }: { ownerMax: number; totalMax: number }): Tally {
  const counts = new Map<string, number>();
  let total = 0;
  const add = (owner: string, change: 1 | -1): void => {
    total += change;
    const count = (counts.get(owner) ?? 0) + change;
    if (count === 0) counts.delete(owner);
    else counts.set(owner, count);
  };
  return {
    take(owner) {
      if (total >= totalMax || (counts.get(owner) ?? 0) >= ownerMax) return undefined;
      add(owner, 1);
      let isHeld = true;
      return () => {
        if (isHeld) add(owner, -1);
        isHeld = false;
      };
    },
  };
}
