export interface ByteBudgetOptions {
  /** Bytes per second in the long run. */
  readonly bytesPerSecond: number;
  /** Bytes that may come at once after a quiet time. */
  readonly burstBytes: number;
}

/** A token bucket over bytes. Times are milliseconds of any one clock. */
export class ByteBudget {
  readonly #options: ByteBudgetOptions;
  #bytes: number;
  #at: number;

  constructor(options: ByteBudgetOptions, now: number) {
    this.#options = options;
    this.#bytes = options.burstBytes;
    this.#at = now;
  }

  /** Takes the bytes if there are as many. */
  take(bytes: number, now: number): boolean {
    this.#refill(now);
    if (bytes > this.#bytes) return false;
    this.#bytes -= bytes;
    return true;
  }

  /** Takes the bytes whether there are as many or not; returns how many milliseconds to wait until the debt is paid, 0 for none. */
  spend(bytes: number, now: number): number {
    this.#refill(now);
    this.#bytes -= bytes;
    return this.#bytes >= 0 ? 0 : (-this.#bytes / this.#options.bytesPerSecond) * 1000;
  }

  /** Gives back what turned out not to count. */
  refund(bytes: number): void {
    this.#bytes = Math.min(this.#options.burstBytes, this.#bytes + bytes);
  }

  #refill(now: number): void {
    const { bytesPerSecond, burstBytes } = this.#options;
    this.#bytes = Math.min(burstBytes, this.#bytes + ((now - this.#at) * bytesPerSecond) / 1000);
    this.#at = now;
  }
}
