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

/**
 * A signal that invocations join and leave by the thousand a second. An AbortSignal would keep many of those that have left, with all that
 * belongs to them, until the next major collection: the list of a signal that nobody listens to is dropped and made anew (see Slots).
 */
export class LeaveController implements LeaveSignal {
  /** Few: a client asks one or a few things at a time. */
  readonly #listeners: AbortListener[] = [];
  #aborted = false;

  get aborted(): boolean {
    return this.#aborted;
  }

  addEventListener(_type: 'abort', listener: AbortListener): void {
    this.#listeners.push(listener);
  }

  /** Does nothing for one that has not joined. */
  removeEventListener(_type: 'abort', listener: AbortListener): void {
    if (this.#listeners[this.#listeners.length - 1] === listener) {
      this.#listeners.pop();
      return;
    }
    const at = this.#listeners.indexOf(listener);
    if (at !== -1) this.#listeners.splice(at, 1);
  }

  /** Tells every listener once, in the order in which they came. Idempotent. */
  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    for (const listener of this.#listeners.splice(0)) listener.handleEvent();
  }
}
