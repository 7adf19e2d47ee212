import { expect, test } from 'vitest';
import { createIdSource, isIdInSlot, slotOf } from '../../../src/worker/ids.ts';

test('ids are 16 characters of 96 random bits and a slot, none twice', () => {
  const nextId = createIdSource();
  const ids = Array.from({ length: 10_000 }, (_, slot) => nextId(slot).text);
  expect(new Set(ids.map((id) => id.slice(0, 16))).size).toBe(10_000);
  for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{16}\d+$/);
  expect(ids.map(slotOf)).toEqual(ids.map((_, slot) => slot));
});

test('only an id’s own text is it', () => {
  const nextId = createIdSource();
  const id = nextId(7);
  const copy = [...id.text].join('');
  expect(isIdInSlot(copy, id)).toBe(true);
  const others = [`${id.random}07`, `${id.random}7 `, `${id.random} 7`, id.random, `${nextId(7).random}7`, id.text.toLowerCase(), ''];
  for (const other of others) expect(slotOf(other) === 7 && isIdInSlot(other, id)).toBe(false);
});
