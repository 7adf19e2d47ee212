/**
 * Things that come and go by the thousand a second, each in a numbered place that is used again. Instead of a Map: one that always grows
 * and shrinks is built anew every few entries, and V8 lets the old table refer to the new one. Once a minor collection has moved one such
 * table to the old generation, all later ones, with all that stood in them, follow it there: with 64 calls at a time that made each
 * minor collection take ten times as long and half of all calls’ objects live until the next major one.
 */
export class Slots<T extends object> {
  readonly #values: (T | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#values.length - this.#free.length;
  }

  add(value: T): number {
    const slot = this.#free.pop() ?? this.#values.length;
    this.#values[slot] = value;
    return slot;
  }

  /** Undefined also for what is no slot at all. */
  get(slot: number): T | undefined {
    return this.#values[slot];
  }

  /** The slot must be taken. */
  remove(slot: number): void {
    this.#values[slot] = undefined;
    this.#free.push(slot);
  }

  find(matches: (value: T) => boolean): T | undefined {
    return this.#values.find((value) => value !== undefined && matches(value));
  }

  /** A copy, so that slots may change meanwhile. */
  values(): T[] {
    return this.#values.filter((value) => value !== undefined);
  }
}
