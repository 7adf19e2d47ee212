export interface FairQueueOptions {
  /** Pieces of work that run at once. */
  readonly slots: number;
  /** Of those, the slots that one owner may hold; fewer than `slots`, so that no owner holds all. */
  readonly share: number;
  /** Pieces of one owner that may wait. */
  readonly waitingMax: number;
}

export interface Queued<T> {
  /** Never settles once dropped. */
  readonly result: Promise<T>;
  /** Takes it out of the queue: true. False: it runs already, or has ended. */
  drop(): boolean;
}

export interface FairQueue {
  /** Undefined: as many of this owner wait as may. */
  add<T>(owner: string, work: () => Promise<T>): Queued<T> | undefined;
}

interface Owner {
  running: number;
  /** Oldest first. */
  readonly waiting: Set<() => void>;
}

/**
 * Work that cannot be called off, of owners that do not trust one another. A free slot goes to the owner that has the fewest, among equals to
 * the one whose last turn is the longest ago; one that holds its share waits, whatever is free.
 */
export function createFairQueue({ slots, share, waitingMax }: FairQueueOptions): FairQueue {
  /** Those with work, whose turn was the longest ago first. */
  const owners = new Map<string, Owner>();
  let running = 0;
  const startNext = (): void => {
    while (running < slots) {
      const name = nextOwner(owners, share);
      if (name === undefined) return;
      takeTurn(name);
    }
  };
  const takeTurn = (name: string): void => {
    const owner = owners.get(name);
    const [start] = owner?.waiting ?? [];
    if (owner === undefined || start === undefined) return;
    owners.delete(name);
    owners.set(name, owner);
    owner.waiting.delete(start);
    owner.running += 1;
    running += 1;
    start();
  };
  const forgetIdle = (name: string, owner: Owner): void => {
    if (owner.running === 0 && owner.waiting.size === 0) owners.delete(name);
  };
  return {
    add<T>(name: string, work: () => Promise<T>) {
      const owner = owners.get(name) ?? { running: 0, waiting: new Set() };
      if (owner.waiting.size >= waitingMax) return undefined;
      owners.set(name, owner);
      const { promise, resolve } = Promise.withResolvers<T>();
      const run = async (): Promise<T> => {
        try {
          return await work();
        } finally {
          owner.running -= 1;
          running -= 1;
          forgetIdle(name, owner);
          startNext();
        }
      };
      const start = (): void => resolve(run());
      owner.waiting.add(start);
      startNext();
      const drop = (): boolean => {
        const wasWaiting = owner.waiting.delete(start);
        if (wasWaiting) forgetIdle(name, owner);
        return wasWaiting;
      };
      return { result: promise, drop };
    },
  };
}

function nextOwner(owners: ReadonlyMap<string, Owner>, share: number): string | undefined {
  let next: string | undefined;
  let fewest = share;
  for (const [name, { running, waiting }] of owners) {
    if (waiting.size === 0 || running >= fewest) continue;
    next = name;
    fewest = running;
  }
  return next;
}
