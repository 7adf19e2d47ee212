/** What is told when its signal aborts; an object instead of a function saves a closure for each. */
export interface AbortListener {
  handleEvent(): void;
}

/** The part of an AbortSignal that an invocation needs. */
export interface LeaveSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: AbortListener): void;
  removeEventListener(type: 'abort', listener: AbortListener): void;
}

/** A signal that an invocation can join and leave for a twentieth of what an AbortSignal’s event machinery takes (2 µs a pair). */
export class LeaveController implements LeaveSignal {
  readonly #listeners = new Set<AbortListener>();
  #aborted = false;

  get aborted(): boolean {
    return this.#aborted;
  }

  addEventListener(_type: 'abort', listener: AbortListener): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: 'abort', listener: AbortListener): void {
    this.#listeners.delete(listener);
  }

  /** Tells every listener once, in the order in which they came. Idempotent. */
  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener.handleEvent();
  }
}
