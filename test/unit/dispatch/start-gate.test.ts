import { expect, test } from 'vitest';
import { StartGate } from '../../../src/dispatch/start-gate.ts';

test('starts take turns, one each round of the event loop, first come first served', async () => {
  const gate = new StartGate(1);
  const order: string[] = [];
  let round = 0;
  const count = () => {
    round += 1;
    if (round < 10) setImmediate(count);
  };
  setImmediate(count);
  await Promise.all(['a', 'b', 'c'].map((name) => gate.turn().then(() => order.push(`${name}${round}`))));
  expect(order.map((entry) => entry[0])).toEqual(['a', 'b', 'c']);
  expect(new Set(order.map((entry) => entry.slice(1))).size).toBe(3);
});

test('slots are given in order, and again when they are given back, once each', async () => {
  const gate = new StartGate(2);
  const got: number[] = [];
  const slots = [0, 1, 2, 3].map((index) =>
    gate.slot().then((slot) => {
      got.push(index);
      return slot;
    }),
  );
  const first = await slots[0]!;
  await slots[1];
  expect(got).toEqual([0, 1]);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  (await slots[2]!)[Symbol.dispose]();
  await slots[3];
  expect(got).toEqual([0, 1, 2, 3]);
});
