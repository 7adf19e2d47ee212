/** Chunks smaller than this are copied together, so that a line that drips in byte by byte does not cost an object a byte. */
const smallChunkBytes = 4096;
const collectorBytes = 65_536;

/** The part of a line that has come so far. Each byte is copied at most twice, however the line is split. */
export class LineBuffer {
  #parts: Buffer[] = [];
  /** Collects small chunks; its first `#collected` bytes are not in `#parts` yet. */
  #collector: Buffer | undefined;
  #collected = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(chunk: Buffer): void {
    this.#length += chunk.length;
    if (chunk.length >= smallChunkBytes) {
      this.#endCollecting();
      this.#parts.push(chunk);
      return;
    }
    if (this.#collector !== undefined && this.#collected + chunk.length > this.#collector.length) this.#endCollecting();
    this.#collector ??= Buffer.allocUnsafe(this.#parts.length === 0 ? smallChunkBytes : collectorBytes);
    this.#collector.set(chunk, this.#collected);
    this.#collected += chunk.length;
  }

  /** The whole line with its last chunk, and empty again. A line that came in one chunk is a view of it. */
  take(last: Buffer): Buffer {
    if (this.#length === 0) return last;
    this.#endCollecting();
    const line = Buffer.concat([...this.#parts, last], this.#length + last.length);
    this.clear();
    return line;
  }

  /** A copy of the first bytes. */
  peek(bytes: number): Buffer {
    const length = Math.min(bytes, this.#length);
    return Buffer.concat([...this.#parts, this.#collector?.subarray(0, this.#collected) ?? Buffer.of()], length);
  }

  clear(): void {
    this.#parts = [];
    this.#collector = undefined;
    this.#collected = 0;
    this.#length = 0;
  }

  #endCollecting(): void {
    if (this.#collector === undefined) return;
    this.#parts.push(this.#collector.subarray(0, this.#collected));
    this.#collector = undefined;
    this.#collected = 0;
  }
}
