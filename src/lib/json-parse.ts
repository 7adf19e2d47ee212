import { randomUUID } from 'node:crypto';

/** A key that is one escape and nothing else. What follows its backslash is a whole escape, so the second quote always ends the key. */
const escapeKey = /"\\(?:u[0-9a-fA-F]{4}|[^u])"(?=[ \t\r\n]*:)/;

/**
 * JSON.parse, but with the right keys: V8 13.6 to 14.6 may read a key that is one escape, such as `"\u00e9"`, as a backslash, once it has
 * met a backslash as a key, in any text before (nodejs/node#63785). Python writes all its one-letter keys outside ASCII so. Throws like
 * JSON.parse.
 */
export function parseJson(text: string): unknown {
  if (!escapeKey.test(text)) return JSON.parse(text);
  // Longer keys are read well: they get a tail, which is cut off again.
  const tail = randomUUID();
  const marked = text.replaceAll(new RegExp(escapeKey, 'g'), (key) => `${key.slice(0, -1)}${tail}"`);
  return withoutTails(JSON.parse(marked), tail);
}

/** Object.fromEntries keeps `__proto__` an ordinary key, as JSON.parse does. */
function withoutTails(value: unknown, tail: string): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => withoutTails(item, tail));
  const entries = Object.entries(value).map(([key, item]) => {
    return [key.endsWith(tail) ? key.slice(0, -tail.length) : key, withoutTails(item, tail)] as const;
  });
  return Object.fromEntries(entries);
}
