import { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterEach, expect, test, vi } from 'vitest';
import { trustJsonText } from '../../../src/lib/json-text.ts';
import { allocateOwned } from '../../../src/lib/owned-memory.ts';
import { company, partBytesMax } from '../../../src/lib/turn-share.ts';
import { phases, serveApp } from './served-app.ts';

const request =
  'POST /v1/do/test/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}';
const bytes = 20 * partBytesMax + 1;

/** A connector’s answer in memory that is to be given back, and an app that answers with it. */
async function serveLarge() {
  const answer = allocateOwned(bytes).fill('"0123456789');
  answer.write('"', bytes - 1);
  const copy = Buffer.from(answer);
  const invoke = () => ({ type: 'success', reply: { type: 'body', body: trustJsonText(answer), logs: [] }, phases }) as const;
  return { app: await serveApp({ invoke }), answer, copy };
}

function writtenParts() {
  const write = vi.spyOn(ServerResponse.prototype, 'write');
  return () => write.mock.calls.map(([chunk]) => chunk).filter((chunk) => chunk instanceof Uint8Array).length;
}

afterEach(() => {
  vi.restoreAllMocks();
});

test('is written at once while nobody else is there', async () => {
  const { app, answer, copy } = await serveLarge();
  await using _ = app;
  const parts = writtenParts();
  const client = connect(app.port, '127.0.0.1');
  client.write(request);
  const received = await buffer(client);
  expect(received.includes(copy)).toBe(true);
  expect(parts()).toBe(1);
  await vi.waitFor(() => expect(answer.length).toBe(0));
});

test('is written in parts while small calls come, each in a turn, and whole', async () => {
  const { app, answer, copy } = await serveLarge();
  await using _ = app;
  const parts = writtenParts();
  const client = connect(app.port, '127.0.0.1');
  company.ended(performance.now(), 0);
  client.write(request);
  const received = await buffer(client);
  expect(received.includes(copy)).toBe(true);
  expect(parts()).toBe(21);
  await vi.waitFor(() => expect(answer.length).toBe(0));
});

test('of which a client takes only a part is given back, and nothing is left', async () => {
  const { app, answer } = await serveLarge();
  await using _ = app;
  const client = connect(app.port, '127.0.0.1');
  company.ended(performance.now(), 0);
  client.write(request);
  await new Promise((resolve) => client.once('data', resolve));
  client.destroy();
  await vi.waitFor(() => expect(answer.length).toBe(0));
  await vi.waitFor(() => expect(app.connections()).toBe(0));
});
