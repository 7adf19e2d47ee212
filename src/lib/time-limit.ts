/** A signal that aborts when the time is over or the outer signal aborts, whichever is first. Dispose it when the work is done. */
export class TimeLimit implements Disposable {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  readonly #onAbort = () => this.#controller.abort(this.#outer.reason);
  #isOver = false;

  constructor(ms: number, outer: AbortSignal) {
    this.#outer = outer;
    this.#timer = setTimeout(() => this.#expire(), ms);
    if (outer.aborted) this.#onAbort();
    else outer.addEventListener('abort', this.#onAbort);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether it was the time that ended it. */
  get isOver(): boolean {
    return this.#isOver;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#outer.removeEventListener('abort', this.#onAbort);
  }

  #expire(): void {
    if (this.signal.aborted) return;
    this.#isOver = true;
    this.#controller.abort(new DOMException('The time is over.', 'TimeoutError'));
  }
}

/** The promise’s result, or the signal’s reason as a rejection if it aborts first. A result that comes after it goes to `late`. */
export async function withAbort<T>(promise: Promise<T>, signal: AbortSignal, late: (result: T) => void = () => {}): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort);
  const cleanUp = () => signal.removeEventListener('abort', onAbort);
  try {
    return await Promise.race([promise, aborted]);
  } catch (error) {
    // Whichever failed: if the promise still comes up with something, somebody must take care of it.
    promise.then(late, () => {});
    throw error;
  } finally {
    cleanUp();
  }
}
