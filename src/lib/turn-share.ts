/**
 * How many bytes of one stream are taken before the others get their turn. Node reads a socket up to 32 times in a row, 64 KiB each
 * (libuv’s uv__read): 2 MiB, and with all that is done with them milliseconds in which everyone else waits. Since pipes hold a mebibyte for
 * one turn, half of one was too much: small calls beside took three times as long at the median.
 */
export const turnBytesMax = 128 * 1024;

/** In milliseconds; for so long after two invocations were under way at once streams rest: who came just now may come again. */
export const companyMs = 1000;

/**
 * Whether one invocation has the event loop to itself. To rest takes 50 µs, with bodies of 10 MB a fifth of the proxy’s time, which one that
 * is alone need not spend. One of these a process, as there is one event loop.
 */
export class Company {
  #invocations = 0;
  #metAt = Number.NEGATIVE_INFINITY;

  /** `now`: of performance.now(). */
  comes(now: number): void {
    this.#invocations += 1;
    if (this.#invocations > 1) this.#metAt = now;
  }

  goes(): void {
    this.#invocations -= 1;
  }

  isThere(now: number): boolean {
    return this.#invocations > 1 || now - this.#metAt < companyMs;
  }
}

export const company = new Company();

interface Restable {
  pause(): unknown;
  resume(): unknown;
}

export interface TurnShareOptions {
  /** Asked after a rest, whether the stream is paused for another reason too. */
  readonly mayGoOn: () => boolean;
  /** Whether an invocation waits for what comes; what nobody asked for always rests. Default: yes. */
  readonly isAwaited?: () => boolean;
  readonly company?: Company;
}

/** Has a stream rest until the next turn of the event loop whenever it gave so much, unless nobody else is there. */
export class TurnShare {
  readonly #stream: Restable;
  readonly #mayGoOn: () => boolean;
  readonly #isAwaited: () => boolean;
  readonly #company: Company;
  #bytes = 0;
  #isResting = false;

  constructor(stream: Restable, { mayGoOn, isAwaited = () => true, company: others = company }: TurnShareOptions) {
    this.#stream = stream;
    this.#mayGoOn = mayGoOn;
    this.#isAwaited = isAwaited;
    this.#company = others;
  }

  took(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < turnBytesMax || this.#isResting) return;
    if (this.#isAwaited() && !this.#company.isThere(performance.now())) {
      this.#bytes = 0;
      return;
    }
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
