import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectFolder } from '../../helpers/cli-process.ts';
import { type ServedBulkhead, serveBulkhead } from '../../helpers/served-bulkhead.ts';

const mebibyte = 2 ** 20;
const folder = mkdtempSync(join(tmpdir(), 'bulkhead-large-'));
let bulkhead: ServedBulkhead;

beforeAll(async () => {
  for (const name of ['answers-early.ts', 'wire.ts']) cpSync(join(projectFolder, 'test/fixtures/connectors', name), join(folder, name));
  writeFileSync(
    join(folder, 'connector.yaml'),
    'name: early\nversion: 1.0.0\ndescription: d\nprotocol: bulkhead/1\nrun: { command: [node, answers-early.ts] }\ncommands:\n' +
      ['Early', 'Echo', 'Digests']
        .map((name) => `  - { name: ${name}, description: d, parameters: { type: object, properties: { data: {} } } }\n`)
        .join(''),
  );
  const workers = 'workers: { min: 1, max: 1, concurrency: 64 }';
  // A connector that is slow to come to what a client left must not be replaced amid these tests: it is to tell what it has read.
  const limits = 'limits: { message: 16MiB, memory: 512MiB, invocation: 20s, cancelGrace: 20s }';
  bulkhead = await serveBulkhead({ config: `connectors:\n  early: { path: ${folder}, sandbox: none, ${workers}, ${limits} }\n` });
});
afterAll(async () => {
  await bulkhead[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const text = (bytes: number) => randomBytes(bytes / 2).toString('hex');

async function call(command: string, body: string, signal?: AbortSignal): Promise<unknown> {
  const response = await fetch(`${bulkhead.url}/v1/do/early/${command}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    ...(signal ? { signal } : {}),
  });
  const answer = (await response.json()) as { command_response: { body?: unknown }; error: unknown };
  if (response.status !== 200) throw new Error(JSON.stringify(answer.error));
  return answer.command_response.body;
}

const digestOf = (data: string) => createHash('sha256').update(data).digest('hex');

// The memory of a large text is given back as soon as it is passed on: what is still to be read must not be among it.
describe('large bodies', () => {
  test('at once come back each as it was, while clients go away', async () => {
    const calls = Array.from({ length: 12 }, async (_, index) => {
      const data = text(mebibyte * (1 + (index % 3)));
      if (index % 4 !== 3) return { sent: digestOf(data), got: digestOf(String(await call('Echo', JSON.stringify({ data })))) };
      await call('Echo', JSON.stringify({ data }), AbortSignal.timeout(5 * index)).catch(() => undefined);
      return { sent: '', got: '' };
    });
    for (const { sent, got } of await Promise.all(calls)) expect(got).toBe(sent);
  });

  test('are what a connector reads of them long after it has answered', async () => {
    const wanted: string[] = [];
    const others = makeNoise();
    for (let run = 0; run < 4; run++) {
      const data = text(4 * mebibyte);
      expect(await call('Early', JSON.stringify({ data }))).toBe('early');
      wanted.push(digestOf(data));
    }
    await others.end();
    expect(await call('Digests', '{}')).toEqual(wanted);
  }, 60_000);

  test('to a client that reads slowly arrive whole', async () => {
    // More than the sockets between them hold.
    const data = text(14 * mebibyte);
    const received = slowly('Echo', JSON.stringify({ data }));
    const others = makeNoise();
    const { command_response: response } = JSON.parse(await received) as { command_response: { body: string } };
    await others.end();
    expect(digestOf(response.body)).toBe(digestOf(data));
  }, 60_000);
});

/** Calls one after the other, whose memory comes where some was given back. */
function makeNoise(): { end(): Promise<void> } {
  let isOver = false;
  const run = async () => {
    while (!isOver) await call('Echo', JSON.stringify({ data: text(mebibyte) }));
  };
  const runs = Promise.all([run(), run()]);
  return {
    async end() {
      isOver = true;
      await runs;
    },
  };
}

async function slowly(command: string, body: string): Promise<string> {
  const outgoing = request(`${bulkhead.url}/v1/do/early/${command}`, { method: 'POST', headers: { 'content-type': 'application/json' } });
  outgoing.end(body);
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) {
    chunks.push(chunk as Buffer);
    await sleep(5);
  }
  return Buffer.concat(chunks).toString();
}
