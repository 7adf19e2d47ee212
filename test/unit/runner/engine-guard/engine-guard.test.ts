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

it.each([
  ['gone', 404, 'No such container'],
  ['foreign', 403, 'The engine guard refuses'],
  ['own', 409, 'it is paused'],
])('an attach to a container that is %s is answered with %i', async (name, status, says) => {
  await using engine = await startStandIn(({ method, url }, response) => {
    const labels = url?.includes('/own/') ? { 'dev.bulkhead.owner': 'bulkhead' } : {};
    if (method === 'POST') return response.writeHead(409).end(JSON.stringify({ message: 'it is paused' }));
    if (url?.includes('/gone/')) return response.writeHead(404).end(JSON.stringify({ message: 'gone' }));
    return response.end(JSON.stringify({ Id: 'f00d', Config: { Labels: labels } }));
  });
  await using guard = await guardEngine(engine.socketPath);
  const headers = { connection: 'Upgrade', upgrade: 'tcp' };
  const answer = await guard.ask('POST', `/containers/${name}/attach?stream=true`, { headers });
  expect(answer).toMatchObject({ status, text: expect.stringContaining(says) });
});
