import * as v from 'valibot';
import { parseJson } from '../lib/json-parse.ts';
import { scanJson } from '../lib/json-scan.ts';
import type { JsonText } from '../lib/json-text.ts';
import { utf8Of } from '../lib/pieces.ts';
import { parsedBytesMax, parsedNestingMax } from './limits.ts';

export type Checked<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

/**
 * Parses text that the scanner has checked, for the few parts of a message that the proxy itself reads. Refuses more than `parsedBytesMax`,
 * whose objects would take many times the memory, more levels than `parsedNestingMax`, a `__proto__` key, which could reach the prototype of
 * an object that is made from it, and a number too large for a double, which would become Infinity.
 */
export function parseChecked<S extends v.GenericSchema>(schema: S, text: JsonText): Checked<v.InferOutput<S>> {
  if (text.length > parsedBytesMax) return { ok: false, reason: `it has more than ${parsedBytesMax} bytes` };
  const nesting = nestingFault(text);
  if (nesting !== undefined) return { ok: false, reason: nesting };
  const value = parseJson(utf8Of(text));
  const fault = faultOf(value);
  if (fault !== undefined) return { ok: false, reason: fault };
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  return parsed.success ? { ok: true, value: parsed.output } : { ok: false, reason: reasonOf(parsed.issues[0]) };
}

/** Each level takes two bytes at least. */
function nestingFault(text: JsonText): string | undefined {
  if (text.length <= 2 * parsedNestingMax) return undefined;
  const scan = scanJson(text, { nestingMax: parsedNestingMax });
  return scan.ok ? undefined : scan.reason;
}

/** The path and what was expected there; never what was found. */
function reasonOf(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue);
  // A validation’s own words say what is right; the words of a type would repeat what was found.
  const fault = issue.kind === 'validation' ? issue.message : `expected ${issue.expected}`;
  return path === null ? fault : `${shortened(path)}: ${fault}`;
}

/** A path may hold the name of a header, which the connector chose. */
const pathCharactersMax = 128;

function shortened(path: string): string {
  return path.length > pathCharactersMax ? `${path.slice(0, pathCharactersMax)}…` : path;
}

/** Recursion is bounded by `parsedNestingMax`. */
function faultOf(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'a number is too large';
  if (typeof value !== 'object' || value === null) return undefined;
  if (Object.hasOwn(value, '__proto__')) return 'a key is __proto__';
  for (const item of Object.values(value)) {
    const fault = faultOf(item);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
