import type { Writable } from 'node:stream';

/** Above this many bytes a batch is written with writev; below, copying it together is cheaper. */
const concatBytesMax = 32 * 1024;

/**
 * Writes messages to a connector’s stdin. Alone, a message is written at once; messages that come while others are on their way are
 * collected until the end of the event loop’s turn and written together, which saves a system call, and a wake-up of the connector, each.
 */
export class BatchedWriter {
  readonly #stream: Writable;
  readonly #queueBytesMax: number;
  #batch: Uint8Array[] = [];
  #batchBytes = 0;

  constructor(stream: Writable, queueBytesMax: number) {
    this.#stream = stream;
    this.#queueBytesMax = queueBytesMax;
  }

  /** Bytes that the connector has not taken yet. */
  get queuedBytes(): number {
    return this.#stream.writableLength + this.#batchBytes;
  }

  /** False when the connector reads too slowly for so many bytes more. */
  hasRoomFor(bytes: number): boolean {
    return this.queuedBytes + bytes <= this.#queueBytesMax;
  }

  write(parts: readonly Uint8Array[], when: 'now' | 'batched'): void {
    this.#batch.push(...parts);
    this.#batchBytes += byteLengthOf(parts);
    if (when === 'now') this.#flush();
    else if (this.#batch.length === parts.length) setImmediate(() => this.#flush());
  }

  end(): void {
    this.#flush();
    this.#stream.end();
  }

  #flush(): void {
    const batch = this.#batch;
    const bytes = this.#batchBytes;
    if (batch.length === 0) return;
    this.#batch = [];
    this.#batchBytes = 0;
    if (!this.#stream.writable) return;
    if (batch.length === 1 && batch[0] !== undefined) this.#stream.write(batch[0]);
    else if (bytes <= concatBytesMax) this.#stream.write(Buffer.concat(batch, bytes));
    else this.#writeTogether(batch);
  }

  #writeTogether(batch: readonly Uint8Array[]): void {
    this.#stream.cork();
    for (const part of batch) this.#stream.write(part);
    this.#stream.uncork();
  }
}

export function byteLengthOf(parts: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const part of parts) bytes += part.byteLength;
  return bytes;
}
