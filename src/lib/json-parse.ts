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

/** Without recursion, which a text of many levels would overflow. */
function withoutTails(value: unknown, tail: string): unknown {
  const root: Container = { value };
  const waiting = [root];
  // The list grows while it is walked.
  for (const container of waiting) {
    for (const [key, item] of Object.entries(container)) {
      if (typeof item !== 'object' || item === null) continue;
      const renamed = Array.isArray(item) ? (item as unknown as Container) : withoutTailsInKeys(item, tail);
      container[key] = renamed;
      waiting.push(renamed);
    }
  }
  return root['value'];
}

/** An object or, by index, an array. */
type Container = Record<string, unknown>;

/** Object.fromEntries keeps `__proto__` an ordinary key, as JSON.parse does; once it is one, it can be set like others. */
function withoutTailsInKeys(object: object, tail: string): Container {
  return Object.fromEntries(
    Object.entries(object).map(([key, item]) => [key.endsWith(tail) ? key.slice(0, -tail.length) : key, item] as const),
  );
}
