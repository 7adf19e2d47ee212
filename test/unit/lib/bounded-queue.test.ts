import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BoundedQueue, type QueuePlace } from '../../../src/lib/bounded-queue.ts';

test('a bounded queue is a list with a cap, from which any place may be left', () => {
  const step = fc.oneof(fc.constant('push' as const), fc.constant('shift' as const), fc.nat({ max: 9 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const queue = new BoundedQueue<number>(8);
      const model: number[] = [];
      const places = new Map<number, QueuePlace<number>>();
      for (const [value, action] of steps.entries()) {
        if (action === 'push') {
          const place = queue.push(value);
          expect(place !== undefined).toBe(model.length < 8);
          if (place === undefined) continue;
          places.set(value, place);
          model.push(value);
        } else if (action === 'shift') {
          expect(queue.shift()).toBe(model.shift());
        } else {
          const [gone] = model.splice(action, 1);
          const place = gone === undefined ? undefined : places.get(gone);
          if (place !== undefined) queue.remove(place);
          if (place !== undefined) queue.remove(place);
        }
        expect(queue.length).toBe(model.length);
        expect(queue.first).toBe(model[0]);
      }
      for (const value of model) expect(queue.shift()).toBe(value);
    }),
  );
});
