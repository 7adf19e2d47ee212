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

const names = Object.keys(none) as (keyof RequestHeaders)[];
/** By their length, which says of most headers that nobody asks for them, and leaves one or two to compare with. */
const namesOfLength = Array.from({ length: Math.max(...names.map(({ length }) => length)) + 1 }, (_, length) =>
  names.filter((name) => name.length === length),
);

/**
 * From the list of what came. Node’s `headers` has a hidden class for each order that clients send theirs in, and each new one has V8 drop
 * the optimized code of all that reads it: a process under load is slower for a second then, again and again while several clients come.
 */
export function readHeaders(incoming: IncomingMessage): RequestHeaders {
  const { rawHeaders } = incoming;
  const found: { -readonly [Name in keyof RequestHeaders]: RequestHeaders[Name] } = { ...none };
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = wantedName(rawHeaders[at] as string);
    if (name === undefined) continue;
    // What counts of a header that came twice differs from one to the next, and Node knows it.
    if (found[name] !== undefined) return incoming.headers as RequestHeaders;
    found[name] = rawHeaders[at + 1];
  }
  return found;
}

function wantedName(sent: string): keyof RequestHeaders | undefined {
  const candidates = namesOfLength[sent.length];
  if (candidates === undefined || candidates.length === 0) return undefined;
  const lower = sent.toLowerCase();
  return candidates.find((name) => name === lower);
}
