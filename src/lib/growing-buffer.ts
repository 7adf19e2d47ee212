const smallestBytes = 4096;
/** How much more room is made than is needed. Pages that nothing was written to cost no memory, so that plenty costs only addresses. */
const growth = 4;

/**
 * Bytes that come in chunks, as one buffer at any time. Each byte is copied once, and a third of once more while the buffer grows;
 * a single chunk is not copied at all.
 */
export class GrowingBuffer {
  readonly #bytesMax: number;
  readonly #expectedBytes: number;
  #buffer: Buffer | undefined;
  #length = 0;
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

  append(chunk: Buffer): void {
    const isFirst = this.#length === 0;
    const length = this.#length + chunk.length;
    if (isFirst) this.#buffer = chunk;
    else this.#roomFor(length).set(chunk, this.#length);
    this.#isBorrowed = isFirst;
    this.#length = length;
  }

  /** All that came, valid until the next chunk. */
  whole(): Buffer {
    return this.#buffer?.subarray(0, this.#length) ?? Buffer.of();
  }

  clear(): void {
    this.#buffer = undefined;
    this.#length = 0;
  }

  #roomFor(length: number): Buffer {
    if (this.#buffer !== undefined && !this.#isBorrowed && length <= this.#buffer.length) return this.#buffer;
    const roomy = Math.min(this.#bytesMax, growth * length);
    const grown = Buffer.allocUnsafe(Math.max(smallestBytes, length, this.#expectedBytes >= length ? this.#expectedBytes : roomy));
    grown.set(this.whole());
    this.#buffer = grown;
    return grown;
  }
}
