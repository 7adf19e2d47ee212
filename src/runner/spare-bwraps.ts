import { type BwrapHost, type BwrapShape, closeFiles, discardBwrap, spawnBwrap, type WaitingBwrap } from './bwrap-process.ts';
import { hasEnded } from './outer-process.ts';

/** Each kind of sandbox and of limits has a spare of its own. With more kinds than that, those that waited longest end. */
export const sparesMax = 8;
/** How long no sandbox must have been starting before a spare is made: its spawn would hold up those that are wanted now. */
export const spareDelayMs = 10;

/**
 * Bwraps that wait for their arguments, at most one of each shape, so that a start has to wait neither for a spawn nor for the kernel
 * to move it into its cgroup (some 10 ms).
 */
export interface SpareBwraps {
  /**
   * One that waits, or else a new one. The caller says `started` once its start is over, whatever became of it.
   * A spare may have ended just now, without our knowing yet. Rejects when none can be had; then there is no `started` to say.
   */
  take(shape: BwrapShape): Promise<{ readonly bwrap: WaitingBwrap; readonly isSpare: boolean }>;
  /** The start of this shape is over; the next one shall find a spare. */
  started(shape: BwrapShape): void;
  /** Ends all that still wait. */
  close(): Promise<void>;
}

/** `isKeeping` false: none is made ahead, for whoever starts few sandboxes. */
export function createSpareBwraps(host: BwrapHost, { isKeeping }: { readonly isKeeping: boolean }): SpareBwraps {
  const spares = new Map<string, WaitingBwrap>();
  const wanted = new Map<string, BwrapShape>();
  let starting = 0;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let making = Promise.resolve();

  const drop = async (key: string, spare: WaitingBwrap): Promise<void> => {
    if (spares.get(key) !== spare) return;
    spares.delete(key);
    closeFiles(spare);
    await discardBwrap(spare);
  };

  const make = async (): Promise<void> => {
    const shapes = [...wanted].filter(([key]) => !spares.has(key));
    wanted.clear();
    for (const [key, shape] of shapes) {
      // What goes wrong now will go wrong at the next start too, where somebody can be told.
      const spare = isClosed ? undefined : await trySpawn(host, shape);
      if (spare !== undefined) keep(key, spare);
    }
    for (const [key, oldest] of spares) if (spares.size > sparesMax) await drop(key, oldest);
  };

  const keep = (key: string, spare: WaitingBwrap): void => {
    spares.set(key, spare);
    spare.child.unref();
    spare.child.channel?.unref();
    spare.child.once('exit', () => void drop(key, spare));
    spare.joined.catch(() => drop(key, spare));
    if (hasEnded(spare.child)) void drop(key, spare);
  };

  return {
    async take(shape) {
      const key = keyOf(shape);
      const spare = spares.get(key);
      clearTimeout(timer);
      starting++;
      if (spare !== undefined) {
        spares.delete(key);
        spare.child.ref();
        spare.child.channel?.ref();
        return { bwrap: spare, isSpare: true };
      }
      try {
        return { bwrap: await spawnBwrap(host, shape), isSpare: false };
      } catch (error) {
        starting--;
        throw error;
      }
    },
    started(shape) {
      starting--;
      // Carried paths are one connector’s.
      if (shape.carried.length === 0) wanted.set(keyOf(shape), shape);
      if (starting > 0 || isClosed || !isKeeping) return;
      clearTimeout(timer);
      timer = setTimeout(() => {
        making = making.then(make);
      }, spareDelayMs).unref();
    },
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await making;
      await Promise.all([...spares].map(([key, spare]) => drop(key, spare)));
    },
  };
}

function keyOf({ kind, firstProgram, files, usesIpc, limits, carried }: BwrapShape): string {
  const { isHostShared, capabilities, tmpBytesMax } = kind;
  return JSON.stringify([isHostShared, capabilities, tmpBytesMax, firstProgram, files, usesIpc, limits, carried.length]);
}

/** Undefined: not possible now. */
async function trySpawn(host: BwrapHost, shape: BwrapShape): Promise<WaitingBwrap | undefined> {
  let spare: WaitingBwrap | undefined;
  try {
    spare = await spawnBwrap(host, shape);
  } catch {
    return undefined;
  }
  if (spare.child.pid !== undefined) return spare;
  closeFiles(spare);
  void discardBwrap(spare);
  return undefined;
}
