import { expect, test } from 'vitest';
import { createInvocationIds } from '../../../src/http/invocation-id.ts';

test('each id is a UUID of version 4 that no other has, also beyond those drawn at once', () => {
  const [one, other] = [createInvocationIds(), createInvocationIds()];
  const ids = Array.from({ length: 600 }, (_, index) => (index % 2 === 0 ? one() : other()));
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
