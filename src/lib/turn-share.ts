// The global one is an accessor, which costs each call (docs/performance.md).
import { performance } from 'node:perf_hooks';

/**
 * How many bytes of one stream are taken before the others get their turn. Node reads a socket up to 32 times in a row, 64 KiB each
 * (libuv’s uv__read): 2 MiB, and with all that is done with them milliseconds in which everyone else waits. Since pipes hold a mebibyte for
 * one turn, half of one was too much: small calls beside took three times as long at the median.
 */
export const turnBytesMax = 128 * 1024;

/**
 * The same while small calls come, which wait for what others take in a turn, and that twice. Then only one of those that rest goes on in
 * each turn, too. Sixteen callers have more than twice the answers beside bodies of 10 MB by that; the bodies take half as long again.
 */
export const turnBytesMin = 32 * 1024;

/** What is written of a large text before others get their turn: the kernel takes megabytes at once, and milliseconds for them. */
export const partBytesMax = 256 * 1024;

/** In milliseconds; for so long after two invocations were under way at once streams rest: who came just now may come again. */
export const companyMs = 1000;

/**
 * Who shares the event loop. To rest takes 50 µs, with bodies of 10 MB a fifth of the proxy’s time, which an invocation that is alone need
 * not spend, and those that are all large spend less of. One of these a process, as there is one event loop.
 */
export class Company {
  #invocations = 0;
  #metAt = Number.NEGATIVE_INFINITY;
  #smallAt = Number.NEGATIVE_INFINITY;
  readonly #resting: (() => void)[] = [];

  /** `now`: of performance.now(), here and below. */
  comes(now: number): void {
    this.#invocations += 1;
    if (this.#invocations > 1) this.#metAt = now;
  }

  goes(): void {
    this.#invocations -= 1;
  }

  /** `bytes`: of its request and its answer. */
  ended(now: number, bytes: number): void {
    if (bytes < turnBytesMin) this.#smallAt = now;
  }

  /** How many bytes of one stream are taken in a turn. */
  turnBytes(now: number): number {
    if (this.#invocations <= 1 && now - this.#metAt >= companyMs) return Number.POSITIVE_INFINITY;
    return this.hasSmall(now) ? turnBytesMin : turnBytesMax;
  }

  /** Calls `goOn` in the next turn; while small calls come, after those that rest already, one in each turn. */
  rest(now: number, goOn: () => void): void {
    if (!this.hasSmall(now)) setImmediate(goOn);
    else if (this.#resting.push(goOn) === 1) setImmediate(this.#next);
  }

  readonly #next = (): void => {
    this.#resting.shift()?.();
    if (this.#resting.length > 0) setImmediate(this.#next);
  };

  /** Whether small calls come, which are not to wait for long. */
  hasSmall(now: number): boolean {
    return now - this.#smallAt < companyMs;
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
    if (this.#bytes < turnBytesMin || this.#isResting) return;
    const now = performance.now();
    const turnBytes = this.#company.turnBytes(now);
    if (this.#bytes < (this.#isAwaited() ? turnBytes : Math.min(turnBytes, turnBytesMax))) return;
    this.#isResting = true;
    this.#stream.pause();
    this.#company.rest(now, this.#goOn);
  }

  readonly #goOn = (): void => {
    this.#isResting = false;
    this.#bytes = 0;
    if (this.#mayGoOn()) this.#stream.resume();
  };
}
