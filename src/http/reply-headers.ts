import type { HeaderPairs } from './cors.ts';

/**
 * Headers of a connector’s answer that a caller gets to see. A list of what is let through, because a header can do much on its
 * way: end or reframe the message, set cookies, open an origin, make a proxy in front serve a file (X-Accel-Redirect).
 */
export const replyHeadersAllowed: ReadonlySet<string> = new Set([
  'cache-control',
  'content-language',
  'etag',
  'expires',
  'last-modified',
  'link',
  'ratelimit',
  'ratelimit-policy',
  'retry-after',
  'x-correlation-id',
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  'x-request-id',
]);

/** Characters of one header’s value. */
export const replyHeaderCharsMax = 1024;

/**
 * The allowed ones as they go out, each name once, however it is spelled, with its last value: Python’s HTTP client gives up on more than 100
 * lines. Others, and values that no header can hold, are left out.
 */
export function replyHeaders(headers: Readonly<Record<string, string>> | undefined): HeaderPairs {
  if (headers === undefined) return [];
  const allowed = Object.entries(headers).filter(([name, value]) => isAllowed(name, value));
  return [...new Map(allowed.map((header) => [header[0].toLowerCase(), header])).values()].flat();
}

function isAllowed(name: string, value: string): boolean {
  return replyHeadersAllowed.has(name.toLowerCase()) && value.length <= replyHeaderCharsMax && /^[\x20-\x7e]*$/.test(value);
}
