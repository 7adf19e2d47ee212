import { nextTick } from 'node:process';

/**
 * Collects items and hands them over together, in their order, as soon as the promises that are settled so far have run: those of one turn
 * of the event loop, none of which waits for the next one. `handle` must not throw.
 */
export function together<Item>(handle: (items: readonly Item[]) => void): (item: Item) => void {
  let items: Item[] = [];
  const handOver = (): void => {
    const all = items;
    items = [];
    handle(all);
  };
  return (item) => {
    if (items.push(item) === 1) nextTick(handOver);
  };
}
