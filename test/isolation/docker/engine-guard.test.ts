import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { engineAddress, requireEngine } from '../../helpers/docker-runner.ts';
import { guardEngine } from '../../helpers/guarded-engine.ts';

const engine = await requireEngine();
const socket = engineAddress.replace(/^unix:\/\//, '');

describe.skipIf(engine === undefined)('through the guard', () => {
  test('a form in place of an archive makes the engine fetch and import nothing', { timeout: 60_000 }, async () => {
    if (engine === undefined) return;
    const asked: (string | undefined)[] = [];
    const web = createServer(({ url }, response) => {
      asked.push(url);
      response.end(Buffer.alloc(1024));
    }).listen(0, '127.0.0.1');
    await once(web, 'listening');
    await using guard = await guardEngine(socket);
    const fromSrc = `http://127.0.0.1:${(web.address() as AddressInfo).port}/metadata`;
    const { text } = await guard.ask('POST', '/images/create?fromSrc=-&repo=bulkhead-sidecar&tag=form', {
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ fromSrc, repo: 'bulkhead-test/imported', tag: 'local' }).toString(),
    });
    web.close();
    expect(asked).toEqual([]);
    expect(text).not.toContain('Downloading');
    expect(await engine.docker.listImages({ filters: { reference: ['bulkhead-test/imported'] } })).toEqual([]);
  });
});
