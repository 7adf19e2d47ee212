import type { Writable } from 'node:stream';
import { giveBack } from '../lib/owned-memory.ts';
import { PartedWrite } from '../lib/parted-write.ts';
import { byteLengthOf, bytesOf, JoinedPieces, type Piece } from '../lib/pieces.ts';

/** Above this many bytes a batch of texts and buffers is written with writev; below, copying it together is cheaper. */
const concatBytesMax = 32 * 1024;

/**
 * Writes messages to a connector’s stdin. Alone, a message is written at once; messages that come while others are on their way are
 * collected until the end of the event loop’s turn and written together, which saves a system call, and a wake-up of the connector, each.
 * Where a turn brought several, the next is taken to do so too, and its first message waits for the others as well.
 */
export class BatchedWriter {
  readonly #stream: Writable;
  readonly #queueBytesMax: number;
  #batch = new JoinedPieces();
  #batchBytes = 0;
  #batchMessages = 0;
  #isBusy = false;
  /** The last large batch. What comes while some of it is left waits. */
  #large: PartedWrite | undefined;
  #isEnding = false;

  constructor(stream: Writable, queueBytesMax: number) {
    this.#stream = stream;
    this.#queueBytesMax = queueBytesMax;
  }

  /** Bytes that the connector has not taken yet. */
  get queuedBytes(): number {
    return this.#stream.writableLength + this.#leftBytes + this.#batchBytes;
  }

  get #leftBytes(): number {
    return this.#large?.leftBytes ?? 0;
  }

  /** False when the connector reads too slowly for so many bytes more. */
  hasRoomFor(bytes: number): boolean {
    return this.queuedBytes + bytes <= this.#queueBytesMax;
  }

  /** One message, whose pieces become the writer’s own. `alone`: no other is on its way. */
  write(pieces: readonly Piece[], company: 'alone' | 'among others'): void {
    for (const piece of pieces) this.#batch.add(piece);
    this.#batchBytes += byteLengthOf(pieces);
    this.#batchMessages += 1;
    if (company === 'alone' && !this.#isBusy) this.#flush();
    else if (this.#batchMessages === 1) setImmediate(() => this.#endTurn());
  }

  end(): void {
    this.#isEnding = true;
    this.#flush();
  }

  #endTurn(): void {
    // What was not busy and had to collect even one message has sent another before it.
    this.#isBusy = this.#batchMessages > 1 || !this.#isBusy;
    this.#flush();
  }

  #flush(): void {
    if (this.#leftBytes > 0) return;
    if (this.#batchMessages > 0) this.#writeBatch();
    if (this.#isEnding && this.#leftBytes === 0) this.#stream.end();
  }

  #writeBatch(): void {
    const pieces = this.#batch.all();
    const bytes = this.#batchBytes;
    this.#batch = new JoinedPieces();
    this.#batchBytes = 0;
    this.#batchMessages = 0;
    if (!this.#stream.writable) return;
    const [only = ''] = pieces;
    if (pieces.length === 1 && typeof only === 'string') this.#stream.write(only, 'latin1');
    else if (bytes <= concatBytesMax) this.#stream.write(Buffer.concat(pieces.map(bytesOf), bytes));
    else this.#writeTogether(pieces);
  }

  #writeTogether(batch: readonly Piece[]): void {
    this.#large = new PartedWrite({
      stream: this.#stream,
      pieces: batch.map(bytesOf),
      handedOver: () => this.#flush(),
      release() {
        for (const piece of batch) giveBack(piece);
      },
    });
    this.#large.start();
  }
}
