import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Slots } from '../../../src/lib/slots.ts';

test('holds what was added and not removed, each in a slot of its own', () => {
  const steps = fc.array(fc.nat(), { maxLength: 100 });
  void fc.assert(
    fc.property(steps, (picks) => {
      const slots = new Slots<{ readonly name: number }>();
      const expected = new Map<number, { readonly name: number }>();
      for (const [name, pick] of picks.entries()) {
        const taken = [...expected.keys()];
        if (pick % 2 === 0 && taken.length > 0) {
          const slot = taken[pick % taken.length]!;
          slots.remove(slot);
          expected.delete(slot);
        } else {
          const value = { name };
          const slot = slots.add(value);
          expect(expected.has(slot)).toBe(false);
          expected.set(slot, value);
        }
        expect(slots.size).toBe(expected.size);
        expect(new Set(slots.values())).toEqual(new Set(expected.values()));
      }
      for (const [slot, value] of expected) {
        expect(slots.get(slot)).toBe(value);
        expect(slots.find(({ name }) => name === value.name)).toBe(value);
      }
      // No more slots than there ever were values at once.
      expect(slots.get(picks.length)).toBeUndefined();
    }),
  );
});

test('a slot is used again, and what is no slot has nothing', () => {
  const slots = new Slots<object>();
  const first = slots.add({});
  slots.add({});
  slots.remove(first);
  expect(slots.add({})).toBe(first);
  for (const none of [-1, 2, Number.NaN, 0.5, Number.POSITIVE_INFINITY]) expect(slots.get(none)).toBeUndefined();
});
