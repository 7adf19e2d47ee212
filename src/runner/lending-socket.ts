import { Socket } from 'node:net';
// The global one is an accessor, which costs each call (docs/performance.md).
import { performance } from 'node:perf_hooks';
import { company, turnBytesMax, turnBytesMin } from '../lib/turn-share.ts';

/** An end of a pipe that has been opened, by its descriptor or by a handle that came over Node’s channel. */
export type PipeEnd = { readonly fd: number } | { readonly handle: unknown };

/** What can be read without memory of its own for each part. */
export interface Lender {
  /**
   * From here on `take` is called with what comes, and listeners to `data` get only what was waiting before. The bytes are its until it
   * returns. Pause and resume hold for both.
   */
  lendTo(take: (bytes: Buffer) => void): void;
}

/**
 * All sockets read into this, one after the other, twice as much at once as Node does by itself: with large answers a fifth of the proxy’s
 * time. One byte of it is never read into, so that whoever takes a part for memory of its own cannot empty it for all (lib/growing-buffer.ts).
 */
const memory = Buffer.allocUnsafeSlow(turnBytesMax + 1).subarray(0, turnBytesMax);
const littleMemory = memory.subarray(0, turnBytesMin);

/** A socket that lends what it reads. Until somebody takes it so, and to whom reads it otherwise, it is as any other. */
export function lendingSocket(end: PipeEnd): Socket & Lender {
  let taker: ((bytes: Buffer) => void) | undefined;
  const callback = (length: number): boolean => {
    const bytes = memory.subarray(0, length);
    // What waits came first.
    if (taker === undefined || socket.readableLength > 0) return socket.push(copyOf(bytes));
    taker(bytes);
    return true;
  };
  // Asked before each read; undefined leaves it as it is.
  let given: Buffer | undefined;
  const buffer = (): Buffer | undefined => {
    const wanted = company.turnBytes(performance.now()) < turnBytesMax ? littleMemory : memory;
    if (wanted === given) return undefined;
    given = wanted;
    return wanted;
  };
  const socket = new Socket({ ...end, readable: true, writable: false, onread: { buffer, callback } } as object);
  return Object.assign(socket, {
    lendTo(take: (bytes: Buffer) => void) {
      taker = take;
    },
  });
}

/** Not of Node’s pool, as Node’s own reads: a byte that is kept would keep eight kilobytes, and who writes byte by byte decides how many. */
function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}
