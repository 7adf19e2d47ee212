import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiKeyHeader } from '../../../src/http/api-keys.ts';
import { type RequestHeaders, readHeaders } from '../../../src/http/request-headers.ts';

const seen: { readonly read: RequestHeaders; readonly node: IncomingHttpHeaders }[] = [];
const receive = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
  seen.push({ read: readHeaders(incoming), node: incoming.headers });
  outgoing.end();
};
const server = createServer(receive).on('checkContinue', receive);

beforeAll(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
});
afterAll(() => void server.close());

async function received(lines: readonly string[]) {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.end(`POST / HTTP/1.1\r\n${['Host: x', 'Connection: close', ...lines].join('\r\n')}\r\n\r\n`);
  socket.resume();
  await once(socket, 'close');
  return seen.pop() ?? expect.fail('no request came');
}

test.each([
  [[]],
  [['Content-Type: application/json', 'Content-Length: 0']],
  [['content-length: 0', 'CONTENT-TYPE: a/b', 'Origin: https://a.example', `${apiKeyHeader}: k\u00e9y`]],
  [['traceparent: 00-1-2-03', 'Content-Encoding: gzip', 'Spiff-Connector-Proxy-Api-Key:  spaced  ', 'Origin:']],
  [['Expect: 100-continue', 'Content-Type: a/b']],
  // As long as one that is wanted, and none.
  [['Accept-Style: a', 'Cookie: b', 'X-Forwarded: c']],
  // What came twice: the first, both, or another rule of Node's.
  [['Content-Type: a/b', 'content-type: c/d']],
  [[`${apiKeyHeader}: a`, `${apiKeyHeader}: b`]],
  [['Origin: a', 'Origin: b', 'Content-Encoding: gzip', 'Content-Encoding: br', 'traceparent: 1', 'traceparent: 2']],
])('what is read of %j is what Node reads', async (lines) => {
  const { read, node } = await received(lines);
  const names = ['content-encoding', 'content-length', 'content-type', 'expect', 'origin', 'traceparent', apiKeyHeader] as const;
  expect(names.map((name) => [name, read[name]])).toEqual(names.map((name) => [name, node[name]]));
});
