/**
 * How many bytes of one stream are taken before the others get their turn. Node reads a socket up to 32 times in a row, 64 KiB each
 * (libuv’s uv__read): 2 MiB, and with all that is done with them milliseconds in which everyone else waits. Since pipes hold a mebibyte for
 * one turn, half of one was too much: small calls beside took three times as long at the median.
 */
export const turnBytesMax = 128 * 1024;

interface Restable {
  pause(): unknown;
  resume(): unknown;
}

/** Has a stream rest until the next turn of the event loop whenever it gave so much. */
export class TurnShare {
  readonly #stream: Restable;
  readonly #mayGoOn: () => boolean;
  #bytes = 0;
  #isResting = false;

  /** `mayGoOn`: asked after a rest, whether the stream is paused for another reason too. */
  constructor(stream: Restable, mayGoOn: () => boolean) {
    this.#stream = stream;
    this.#mayGoOn = mayGoOn;
  }

  took(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < turnBytesMax || this.#isResting) return;
    this.#isResting = true;
    this.#stream.pause();
    setImmediate(() => this.#goOn());
  }

  #goOn(): void {
    this.#isResting = false;
    this.#bytes = 0;
    if (this.#mayGoOn()) this.#stream.resume();
  }
}
