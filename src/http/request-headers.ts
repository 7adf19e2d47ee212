import type { IncomingMessage } from 'node:http';
import { apiKeyHeader } from './api-keys.ts';

/** What decides how a request to run a command is taken; each as Node’s `headers` has it. */
export type RequestHeaders = { readonly [Name in keyof typeof none]: string | undefined };

/** All of them from the beginning, so that what was found has one hidden class. */
const none = {
  'content-encoding': undefined,
  'content-length': undefined,
  'content-type': undefined,
  expect: undefined,
  origin: undefined,
  traceparent: undefined,
  [apiKeyHeader]: undefined,
} as const;

const names = new Map<string, keyof RequestHeaders>((Object.keys(none) as (keyof RequestHeaders)[]).map((name) => [name, name]));

/**
 * From the list of what came. Node’s `headers` has a hidden class for each order that clients send theirs in, and each new one has V8 drop
 * the optimized code of all that reads it: a process under load is slower for a second then, again and again while several clients come.
 */
export function readHeaders(incoming: IncomingMessage): RequestHeaders {
  const { rawHeaders } = incoming;
  const found: { -readonly [Name in keyof RequestHeaders]: RequestHeaders[Name] } = { ...none };
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = names.get((rawHeaders[at] as string).toLowerCase());
    if (name === undefined) continue;
    // What counts of a header that came twice differs from one to the next, and Node knows it.
    if (found[name] !== undefined) return incoming.headers as RequestHeaders;
    found[name] = rawHeaders[at + 1];
  }
  return found;
}
