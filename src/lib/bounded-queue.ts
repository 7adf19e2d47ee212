/** A place in a BoundedQueue, for leaving it early. */
export interface QueuePlace<T> {
  readonly value: T;
  previous: QueuePlace<T> | undefined;
  next: QueuePlace<T> | undefined;
  isQueued: boolean;
}

/** First in, first out, with a cap; leaving from the middle costs the same as from the front. */
export class BoundedQueue<T> {
  readonly lengthMax: number;
  #first: QueuePlace<T> | undefined;
  #last: QueuePlace<T> | undefined;
  #length = 0;

  constructor(lengthMax: number) {
    this.lengthMax = lengthMax;
  }

  get length(): number {
    return this.#length;
  }

  get first(): T | undefined {
    return this.#first?.value;
  }

  /** Undefined when the queue is full. */
  push(value: T): QueuePlace<T> | undefined {
    if (this.#length >= this.lengthMax) return undefined;
    const place: QueuePlace<T> = { value, previous: this.#last, next: undefined, isQueued: true };
    if (this.#last === undefined) this.#first = place;
    else this.#last.next = place;
    this.#last = place;
    this.#length += 1;
    return place;
  }

  shift(): T | undefined {
    const place = this.#first;
    if (place === undefined) return undefined;
    this.remove(place);
    return place.value;
  }

  /** Does nothing when the place was left already. */
  remove(place: QueuePlace<T>): void {
    if (!place.isQueued) return;
    place.isQueued = false;
    if (place.previous === undefined) this.#first = place.next;
    else place.previous.next = place.next;
    if (place.next === undefined) this.#last = place.previous;
    else place.next.previous = place.previous;
    // A chain of those that have left would follow the first of them into the old generation (see Slots).
    place.previous = undefined;
    place.next = undefined;
    this.#length -= 1;
  }
}
