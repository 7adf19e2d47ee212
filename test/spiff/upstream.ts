import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface Upstream extends AsyncDisposable {
  readonly port: number;
}

/** The fixture server that the reference's http connector talked to when it was recorded, on a port of its own. */
export async function startUpstream(): Promise<Upstream> {
  const calls = new Map<string, number>();
  const server = createServer((request, response) => void answer(request, response, calls));
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, calls: Map<string, number>): Promise<void> {
  const body = await text(request);
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://x');
  const [, first, ...rest] = pathname.split('/');
  const reply = (status: number, type: string, content: string): void =>
    void response.writeHead(status, { 'Content-Type': type }).end(content);
  const json = (status: number, content: string): void => reply(status, 'application/json', content);
  switch (first) {
    case 'json':
      return json(200, '{"ok": true, "n": 1, "items": [1, 2.5, null, "x"]}');
    case 'text':
      return reply(200, 'text/plain', 'plain text');
    case 'xml':
      return reply(200, 'application/xml', '<root id="7"><a>1</a><b>2</b><b>3</b></root>');
    case 'badjson':
      return json(200, 'NOT JSON');
    case 'redirect':
      return void response.writeHead(302, { Location: '/json' }).end();
    case 'basic':
      return json(request.headers.authorization === `Basic ${btoa('user:pass')}` ? 200 : 401, '{"auth": "ok"}');
    case 'status':
      return json(Number(rest[0]), `{"status": ${rest[0]}}`);
    case 'flaky':
      return json(countOf(calls, pathname) <= Number(rest[1]) ? 503 : 200, `{"call": ${calls.get(pathname)}}`);
    default:
      return json(
        200,
        JSON.stringify({ method: request.method, path: pathname, query: queryOf(searchParams), headers: headersOf(request), body }),
      );
  }
}

function countOf(calls: Map<string, number>, pathname: string): number {
  const count = (calls.get(pathname) ?? 0) + 1;
  calls.set(pathname, count);
  return count;
}

function queryOf(params: URLSearchParams): object {
  return Object.fromEntries(
    [...new Set(params.keys())].map((name) => [name, params.getAll(name).length > 1 ? params.getAll(name) : params.get(name)]),
  );
}

/** In the order in which they came. */
function headersOf({ rawHeaders }: IncomingMessage): object {
  return Object.fromEntries(rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [[name.toLowerCase(), rawHeaders[index + 1]]] : [])));
}
