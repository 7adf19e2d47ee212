import type { IncomingHttpHeaders } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { guardEngine } from '../../../helpers/guarded-engine.ts';
import { startStandIn } from '../../../helpers/stand-in-engine.ts';

interface Seen {
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Tells what reaches it. */
async function startListener() {
  const seen: Seen[] = [];
  const engine = await startStandIn(async (incoming, response) => {
    seen.push({ url: incoming.url, headers: incoming.headers, body: await text(incoming) });
    response.end('{}');
  });
  return { ...engine, seen };
}

const form = { 'content-type': 'application/x-www-form-urlencoded', 'x-registry-auth': 'e30=' };

it('an import reaches the engine as an archive, whatever its client calls it', async () => {
  await using engine = await startListener();
  await using guard = await guardEngine(engine.socketPath);
  const path = '/images/create?fromSrc=-&repo=bulkhead-sidecar&tag=1';
  const body = 'fromSrc=http://127.0.0.1/image&repo=victim&tag=local';
  expect(await guard.ask('POST', path, { headers: form, body })).toMatchObject({ status: 200 });
  expect(engine.seen).toMatchObject([{ url: path, headers: { 'content-type': 'application/x-tar' }, body }]);
  expect(engine.seen[0]?.headers).not.toHaveProperty('x-registry-auth');
});

it('a pull reaches the engine with its credentials, and without a body', async () => {
  await using engine = await startListener();
  await using guard = await guardEngine(engine.socketPath);
  const path = '/images/create?fromImage=ghcr.io%2Facme%2Fsmtp&tag=1';
  expect(await guard.ask('POST', path, { headers: form, body: 'fromImage=victim' })).toMatchObject({ status: 200 });
  expect(engine.seen).toMatchObject([{ url: path, headers: { 'x-registry-auth': 'e30=' }, body: '' }]);
  expect(engine.seen[0]?.headers).not.toHaveProperty('content-type');
});

it('nothing else reaches the engine with credentials or a type of its client', async () => {
  await using engine = await startListener();
  await using guard = await guardEngine(engine.socketPath);
  for (const path of ['/_ping', '/images/json', '/images/x/json', '/containers/json']) await guard.ask('GET', path, { headers: form });
  expect(engine.seen).toHaveLength(4);
  for (const { headers } of engine.seen) expect(Object.keys(headers).toSorted()).toEqual(['connection', 'host']);
});
