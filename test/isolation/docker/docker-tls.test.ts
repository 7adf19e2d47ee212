import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noAuditLog } from '../../../src/egress/audit.ts';
import { createEgressGateway } from '../../../src/egress/gateway.ts';
import { silentLogger } from '../../../src/log.ts';
import { networkRule } from '../../../src/manifest/host-pattern.ts';
import { connectEngine } from '../../../src/runner/docker-engine.ts';
import { engineAddress, requireEngine, shellImage, startRunner, textOf } from '../../helpers/docker-runner.ts';
import { startTlsEngine, type TlsEngine } from '../../helpers/tls-engine.ts';
import { asker, evaluatorImage } from './evaluator.ts';

const engine = await requireEngine();

describe.skipIf(engine === undefined)('an engine behind TLS', { timeout: 120_000 }, () => {
  let front: TlsEngine;
  let address = '';
  const images = { echo: '', evaluator: '' };

  beforeAll(async () => {
    if (engine === undefined) return;
    images.echo = await shellImage(engine, 'echo', 'echo "to stderr" >&2\nexec cat');
    images.evaluator = await evaluatorImage(engine);
    front = await startTlsEngine(new URL(engineAddress).pathname);
    address = `tcp://127.0.0.1:${front.port}?certs=${front.certs.known}`;
  }, 180_000);

  afterAll(async () => {
    await front?.[Symbol.asyncDispose]();
  });

  test('shares no files, so everything goes by attach: two megabytes each way, the end of stdin, the exit', async () => {
    await using under = await startRunner({ engine: address });
    expect(await under.engine.facts()).toMatchObject({ product: 'docker', sharesKernel: false });
    const process = await under.start(images.echo);
    const received = Array.fromAsync(process.stdout);
    const stderr = textOf(process.stderr);
    const sent = Buffer.alloc(2 * 1024 * 1024, 'abcdefghijklmnopqrstuvwxyz\n');
    process.stdin.end(sent);
    expect(await process.exited).toEqual({ exitCode: 0, signal: null });
    expect(Buffer.concat(await received).equals(sent)).toBe(true);
    expect(await stderr).toBe('to stderr\n');
  });

  test('carries the egress of rules over the sidecar’s attach stream', async () => {
    const server = createServer((socket) => socket.end('from outside')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const gateway = createEgressGateway({ audit: noAuditLog, log: silentLogger });
    {
      await using under = await startRunner({ engine: address, gateway });
      const network = { type: 'rules', rules: [networkRule(`127.0.0.1:${port}`)] } as const;
      const ask = asker(await under.start(images.evaluator, { network }));
      expect(await ask(`fetchText(${port}, '127.0.0.1', 'x')`)).toBe('from outside');
      expect(await ask(`fetchText(${port + 1}, '127.0.0.1', 'x')`)).toBe('ECONNREFUSED');
    }
    await gateway.close();
    server.close();
  });

  test('lets nobody in by a certificate of another authority, and says so', async () => {
    const stranger = connectEngine(`tcp://127.0.0.1:${front.port}?certs=${front.certs.stranger}`);
    await expect(stranger.facts()).rejects.toMatchObject({ code: 'engine_unavailable' });
  });

  test('is not believed when its certificate is for another name', async () => {
    const misnamed = connectEngine(`tcp://localhost:${front.port}?certs=${front.certs.known}`);
    await expect(misnamed.facts()).rejects.toMatchObject({
      code: 'engine_unavailable',
      message: expect.stringMatching(/ALTNAME/i),
    });
  });
});
