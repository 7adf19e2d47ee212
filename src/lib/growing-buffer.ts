import { allocateOwned, giveBack } from './owned-memory.ts';

const smallestBytes = 4096;
/** How much more room is made than is needed. Pages that nothing was written to cost no memory, so that plenty costs only addresses. */
const growth = 4;
/** How much longer than the one before a text may be to fit in at once. */
const likenessMax = 1.125;

/** Whether bytes are for good whose they are given to, or lent until the call returns. */
export type Keeping = 'own' | 'lent';

/**
 * Bytes that come in chunks, as one buffer at any time. Each byte is copied once, and a third of once more while the buffer grows;
 * a single chunk that is its own is not copied at all. Of its own chunks, those that are large and have memory to themselves are emptied once
 * they are copied, since to leave them to the collector takes twice the memory and, with large bodies, a third of the time.
 */
export class GrowingBuffer {
  readonly #bytesMax: number;
  readonly #expectedBytes: number;
  #buffer: Buffer | undefined;
  #length = 0;
  /** Of the text before: the next one is likely to be as long, and a buffer that need not grow is half as much work for the collector. */
  #lastLength = 0;
  /** Whether the buffer is the first chunk itself, which is not ours to write to. */
  #isBorrowed = false;

  /** `bytesMax`: more will not come, and is not made room for. `expectedBytes`: where known, makes room once. */
  constructor(bytesMax: number, expectedBytes = 0) {
    this.#bytesMax = bytesMax;
    this.#expectedBytes = expectedBytes;
  }

  get length(): number {
    return this.#length;
  }

  append(chunk: Buffer, keeping: Keeping = 'own'): void {
    const isBorrowed = this.#length === 0 && keeping === 'own';
    const length = this.#length + chunk.length;
    if (isBorrowed) this.#buffer = chunk;
    else {
      this.#roomFor(length).set(chunk, this.#length);
      if (keeping === 'own') release(chunk);
    }
    this.#isBorrowed = isBorrowed;
    this.#length = length;
  }

  /** All that came, valid until the next chunk. What came in several chunks has memory of its own, see owned-memory.ts. */
  whole(): Buffer {
    return this.#buffer?.subarray(0, this.#length) ?? Buffer.of();
  }

  /** Makes way for the next text. What `whole` gave stays as it is. */
  clear(): void {
    this.#lastLength = this.#length;
    this.#buffer = undefined;
    this.#length = 0;
  }

  #roomFor(length: number): Buffer {
    if (this.#buffer !== undefined && !this.#isBorrowed && length <= this.#buffer.length) return this.#buffer;
    const grown = allocateOwned(Math.max(smallestBytes, length, Math.min(this.#bytesMax, this.#guessFor(length))));
    grown.set(this.whole());
    if (this.#buffer !== undefined) {
      if (this.#isBorrowed) release(this.#buffer);
      else giveBack(this.#buffer);
    }
    this.#buffer = grown;
    return grown;
  }

  #guessFor(length: number): number {
    if (this.#expectedBytes >= length) return this.#expectedBytes;
    const likeLast = Math.ceil(this.#lastLength * likenessMax);
    return likeLast >= length ? likeLast : growth * length;
  }
}

/** Empties a chunk that was copied, if it is all that there is in its memory. */
function release({ buffer, length }: Buffer): void {
  if (length >= smallestBytes && length === buffer.byteLength && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
