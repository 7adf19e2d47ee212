/** What happens when the time is over. */
export interface Expirable {
  expire(): void;
}

/** One entry of Deadlines. */
export interface Deadline {
  /** Milliseconds of performance.now(): a change of the wall clock moves no deadline. */
  readonly at: number;
  readonly target: Expirable;
  /** Place in the heap, kept by Deadlines; -1 when it is not in it. */
  index: number;
}

/** The longest delay that setTimeout takes. */
const timerDelayMaxMs = 2 ** 31 - 1;

/**
 * Any number of deadlines on one timer: a binary heap, so that adding the latest deadline, which is what an invocation does, and
 * cancelling one cost a few steps and no timer of its own. The timer is armed only for a deadline earlier than the one it waits for, and
 * keeps no process alive.
 */
export class Deadlines implements Disposable {
  readonly #heap: Deadline[] = [];
  #timer: NodeJS.Timeout | undefined;
  #armedFor = Number.POSITIVE_INFINITY;

  get size(): number {
    return this.#heap.length;
  }

  add(at: number, target: Expirable): Deadline {
    const entry: Deadline = { at, target, index: this.#heap.length };
    this.#heap.push(entry);
    this.#rise(entry);
    if (entry.index === 0) this.#arm();
    return entry;
  }

  cancel(entry: Deadline): void {
    const { index } = entry;
    if (index < 0) return;
    entry.index = -1;
    const last = this.#heap.pop();
    if (last === undefined || last === entry) return;
    this.#place(last, index);
    this.#rise(last);
    this.#sink(last);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#heap.length = 0;
  }

  #arm(): void {
    const first = this.#heap[0];
    if (first === undefined || first.at >= this.#armedFor) return;
    clearTimeout(this.#timer);
    this.#armedFor = first.at;
    const delayMs = Math.min(Math.max(Math.ceil(first.at - performance.now()), 1), timerDelayMaxMs);
    this.#timer = setTimeout(() => this.#ring(), delayMs).unref();
  }

  #ring(): void {
    this.#armedFor = Number.POSITIVE_INFINITY;
    const now = performance.now();
    for (let first = this.#heap[0]; first !== undefined && first.at <= now; first = this.#heap[0]) {
      this.cancel(first);
      first.target.expire();
    }
    this.#arm();
  }

  #rise(entry: Deadline): void {
    while (entry.index > 0) {
      const parentIndex = (entry.index - 1) >> 1;
      const parent = this.#heap[parentIndex];
      if (parent === undefined || parent.at <= entry.at) return;
      this.#place(parent, entry.index);
      this.#place(entry, parentIndex);
    }
  }

  #sink(entry: Deadline): void {
    for (;;) {
      const left = this.#heap[2 * entry.index + 1];
      const right = this.#heap[2 * entry.index + 2];
      const child = right !== undefined && left !== undefined && right.at < left.at ? right : left;
      if (child === undefined || child.at >= entry.at) return;
      const { index } = child;
      this.#place(child, entry.index);
      this.#place(entry, index);
    }
  }

  #place(entry: Deadline, index: number): void {
    this.#heap[index] = entry;
    entry.index = index;
  }
}
