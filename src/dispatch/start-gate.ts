/** A place among the background starts; dispose it when the start is over. */
export type StartSlot = Disposable;

/**
 * Spreads the starts of all pools, so that they do not starve what runs. Starts that an invocation waits for never wait for another pool:
 * they only take turns, one each round of the event loop, because starting a process blocks it for milliseconds. Starts ahead of time
 * (`min`, `prewarm`) wait in line for one of a few slots; a pool stands in that line at most once, so a connector that is slow to start,
 * or starts in vain again and again, holds up no other by more than one start.
 */
export class StartGate {
  readonly #slotsMax: number;
  readonly #line: Array<(slot: StartSlot) => void> = [];
  readonly #turns: Array<() => void> = [];
  #slotsTaken = 0;

  constructor(backgroundStartsMax: number) {
    this.#slotsMax = backgroundStartsMax;
  }

  /** Resolves in a round of the event loop of its own. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#turns.push(resolve);
      if (this.#turns.length === 1) setImmediate(() => this.#nextTurn());
    });
  }

  slot(): Promise<StartSlot> {
    return new Promise((resolve) => {
      this.#line.push(resolve);
      this.#admit();
    });
  }

  #nextTurn(): void {
    this.#turns.shift()?.();
    if (this.#turns.length > 0) setImmediate(() => this.#nextTurn());
  }

  #admit(): void {
    if (this.#slotsTaken >= this.#slotsMax) return;
    const next = this.#line.shift();
    if (next === undefined) return;
    this.#slotsTaken += 1;
    let isFree = false;
    next({
      [Symbol.dispose]: () => {
        if (isFree) return;
        isFree = true;
        this.#slotsTaken -= 1;
        this.#admit();
      },
    });
  }
}
