export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** 0 inclusive to 1 exclusive; Math.random unless a test says otherwise. */
  readonly random?: () => number;
}

/** How long to wait after failures in a row: doubling up to a cap, each wait shortened by up to a half so that many do not come at once. */
export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;
  #retryAt = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  get failures(): number {
    return this.#failures;
  }

  /** On the clock of the `now` that `fail` was given; 0 when nothing failed since the last success. */
  get retryAt(): number {
    return this.#retryAt;
  }

  fail(now: number): void {
    const { firstMs, maxMs, random = Math.random } = this.#options;
    const fullMs = Math.min(maxMs, firstMs * 2 ** this.#failures);
    this.#failures += 1;
    this.#retryAt = now + fullMs * (1 - random() / 2);
  }

  succeed(): void {
    this.#failures = 0;
    this.#retryAt = 0;
  }
}
