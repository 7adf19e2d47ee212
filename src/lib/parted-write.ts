// The global one is an accessor, which costs each call (docs/performance.md).
import { performance } from 'node:perf_hooks';
import type { Writable } from 'node:stream';
import { byteLengthOf } from './pieces.ts';
import { company, partBytesMax } from './turn-share.ts';

export interface PartedWriteOptions {
  readonly stream: Writable;
  /** At least one. */
  readonly pieces: readonly Buffer[];
  /** The stream has been handed all of them: what it gets now comes behind them. Not called for a stream that fails before. */
  readonly handedOver: () => void;
  /** The stream is done with all of them, or never takes them: their memory is free. */
  readonly release: () => void;
}

/**
 * Pieces of a large text on their way to a stream: all at once or, while small calls come, one part in a turn. The kernel, or a reader that
 * takes them meanwhile, would else have the proxy write for milliseconds.
 */
export class PartedWrite {
  readonly #options: PartedWriteOptions;
  #left: readonly Buffer[];

  constructor(options: PartedWriteOptions) {
    this.#options = options;
    this.#left = options.pieces;
  }

  /** Bytes that the stream has not been handed yet. */
  get leftBytes(): number {
    return byteLengthOf(this.#left);
  }

  /** Hands over the first part now, and sees to the others. To be called once. */
  start(): void {
    this.#handOver();
  }

  #handOver(): void {
    const { stream, handedOver } = this.#options;
    if (stream.destroyed || !stream.writable) {
      this.#drop();
      return;
    }
    const [part, rest] = company.hasSmall(performance.now()) ? cut(this.#left, partBytesMax) : [this.#left, []];
    this.#left = rest;
    stream.cork();
    for (const [index, bytes] of part.entries()) {
      if (index < part.length - 1) stream.write(bytes);
      else stream.write(bytes, (error) => this.#taken(rest.length === 0, error));
    }
    if (rest.length === 0) handedOver();
    stream.uncork();
  }

  /** Also told of after an error, once libuv is done with the bytes: a socket’s are copied by the call that writes them. */
  #taken(isLast: boolean, error: Error | null | undefined): void {
    if (isLast || error) this.#drop();
    else company.rest(performance.now(), () => this.#handOver());
  }

  #drop(): void {
    this.#left = [];
    this.#options.release();
  }
}

/** The first so many bytes, and the others. */
function cut(pieces: readonly Buffer[], bytes: number): readonly [first: readonly Buffer[], rest: readonly Buffer[]] {
  let left = bytes;
  const index = pieces.findIndex(({ length }) => {
    left -= length;
    return left < 0;
  });
  const split = pieces[index];
  if (split === undefined) return [pieces, []];
  const at = split.length + left;
  return [
    [...pieces.slice(0, index), split.subarray(0, at)],
    [split.subarray(at), ...pieces.slice(index + 1)],
  ];
}
