import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { guardEngine } from '../../../helpers/guarded-engine.ts';

interface Seen {
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A listener in an engine's place, which tells what reaches it. */
async function startListener() {
  const folder = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
  const socket = join(folder, 'engine');
  const seen: Seen[] = [];
  const server = createServer(async (incoming, response) => {
    seen.push({ url: incoming.url, headers: incoming.headers, body: await text(incoming) });
    response.end('{}');
  });
  server.listen(socket);
  await once(server, 'listening');
  return {
    socket,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
}

const form = { 'content-type': 'application/x-www-form-urlencoded', 'x-registry-auth': 'e30=' };

it('an import reaches the engine as an archive, whatever its client calls it', async () => {
  await using engine = await startListener();
  await using guard = await guardEngine(engine.socket);
  const path = '/images/create?fromSrc=-&repo=bulkhead-sidecar&tag=1';
  const body = 'fromSrc=http://127.0.0.1/image&repo=victim&tag=local';
  expect(await guard.ask('POST', path, { headers: form, body })).toMatchObject({ status: 200 });
  expect(engine.seen).toMatchObject([{ url: path, headers: { 'content-type': 'application/x-tar' }, body }]);
  expect(engine.seen[0]?.headers).not.toHaveProperty('x-registry-auth');
});

it('a pull reaches the engine with its credentials, and without a body', async () => {
  await using engine = await startListener();
  await using guard = await guardEngine(engine.socket);
  const path = '/images/create?fromImage=ghcr.io%2Facme%2Fsmtp&tag=1';
  expect(await guard.ask('POST', path, { headers: form, body: 'fromImage=victim' })).toMatchObject({ status: 200 });
  expect(engine.seen).toMatchObject([{ url: path, headers: { 'x-registry-auth': 'e30=' }, body: '' }]);
  expect(engine.seen[0]?.headers).not.toHaveProperty('content-type');
});

it('nothing else reaches the engine with credentials or a type of its client', async () => {
  await using engine = await startListener();
  await using guard = await guardEngine(engine.socket);
  for (const path of ['/_ping', '/images/json', '/images/x/json', '/containers/json']) await guard.ask('GET', path, { headers: form });
  expect(engine.seen).toHaveLength(4);
  for (const { headers } of engine.seen) expect(Object.keys(headers).toSorted()).toEqual(['connection', 'host']);
});
