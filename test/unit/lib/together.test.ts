import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { together } from '../../../src/lib/together.ts';

test('what comes while settled promises run is handed over together, in its order, before the next turn', async () => {
  const handed: (readonly string[])[] = [];
  const add = together<string>((items) => handed.push(items));
  const { promise, resolve } = Promise.withResolvers<void>();
  const late = async (item: string): Promise<void> => {
    await promise;
    await undefined;
    add(item);
  };
  const all = Promise.all([late('a'), late('b'), late('c')]);
  setImmediate(resolve);
  await all;
  expect(handed).toEqual([]);
  setImmediate(() => handed.push(['next turn']));
  await nextTurn();
  expect(handed).toEqual([['a', 'b', 'c'], ['next turn']]);
});

test('what comes while a batch is handed over is the next one', async () => {
  const handed: (readonly number[])[] = [];
  const add = together<number>((items) => {
    handed.push(items);
    if (handed.length < 3) add(handed.length);
  });
  add(0);
  await nextTurn();
  expect(handed).toEqual([[0], [1], [2]]);
});
