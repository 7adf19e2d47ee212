import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { apiKeyHeader } from './api-keys.ts';

/** What decides how a request to run a command is taken; each as Node’s `headers` has it. */
export interface RequestHeaders {
  readonly apiKey: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly contentLength: string | undefined;
  readonly contentType: string | undefined;
  readonly expect: string | undefined;
  readonly origin: string | undefined;
  readonly traceparent: string | undefined;
}

const wanted = ['content-encoding', 'content-length', 'content-type', 'expect', 'origin', 'traceparent', apiKeyHeader] as const;
const wantedLengths = new Set(wanted.map(({ length }) => length));

/**
 * From the list of what came. Node’s `headers` has a hidden class for each order that clients send theirs in, and each new one has V8 drop
 * the optimized code of all that reads it: a process under load is slower for a second then, again and again while several clients come.
 */
export function readHeaders(incoming: IncomingMessage): RequestHeaders {
  const { rawHeaders } = incoming;
  const found = new Found();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (wantedLengths.has(name.length)) found.take(name.toLowerCase(), rawHeaders[at + 1] as string);
  }
  // What counts of a header that came twice differs from one to the next, and Node knows it.
  return found.hasRepeated ? headersOfNode(incoming.headers) : found;
}

class Found implements RequestHeaders {
  apiKey: string | undefined = undefined;
  contentEncoding: string | undefined = undefined;
  contentLength: string | undefined = undefined;
  contentType: string | undefined = undefined;
  expect: string | undefined = undefined;
  origin: string | undefined = undefined;
  traceparent: string | undefined = undefined;
  hasRepeated = false;

  take(name: string, value: string): void {
    switch (name as (typeof wanted)[number]) {
      case 'content-type':
        this.contentType = this.#once(this.contentType, value);
        break;
      case 'content-length':
        this.contentLength = this.#once(this.contentLength, value);
        break;
      case apiKeyHeader:
        this.apiKey = this.#once(this.apiKey, value);
        break;
      case 'origin':
        this.origin = this.#once(this.origin, value);
        break;
      case 'traceparent':
        this.traceparent = this.#once(this.traceparent, value);
        break;
      case 'content-encoding':
        this.contentEncoding = this.#once(this.contentEncoding, value);
        break;
      case 'expect':
        this.expect = this.#once(this.expect, value);
        break;
    }
  }

  #once(before: string | undefined, value: string): string {
    if (before !== undefined) this.hasRepeated = true;
    return value;
  }
}

function headersOfNode(headers: IncomingHttpHeaders): RequestHeaders {
  const textOf = (name: string): string | undefined => headers[name]?.toString();
  return {
    apiKey: textOf(apiKeyHeader),
    contentEncoding: textOf('content-encoding'),
    contentLength: textOf('content-length'),
    contentType: textOf('content-type'),
    expect: textOf('expect'),
    origin: textOf('origin'),
    traceparent: textOf('traceparent'),
  };
}
