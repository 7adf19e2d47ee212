import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ConnectorProcess } from '../../../src/runner/runner.ts';
import { type OwnDaemon, startOwnDaemon } from '../../helpers/docker-daemon.ts';
import { containersOf, requireEngine, startRunner } from '../../helpers/docker-runner.ts';

const engine = await requireEngine();

/** Copies the shell base image from the tests' engine to a fresh one, and makes it an echo. */
async function bringImage(daemon: OwnDaemon): Promise<string> {
  const saved = await engine?.docker.getImage('bulkhead-base/shell:local').get();
  const loaded = (await daemon.engine.docker.loadImage(saved as NodeJS.ReadableStream)) as Readable;
  for await (const _ of loaded);
  const { id } = await daemon.engine.docker.createContainer({ Image: 'bulkhead-base/shell:local', Cmd: ['true'] });
  await daemon.engine.docker.getContainer(id).commit({ repo: 'loss', tag: 'echo', changes: 'ENTRYPOINT ["cat"]' });
  await daemon.engine.docker.getContainer(id).remove();
  return 'loss:echo';
}

describe.skipIf(engine === undefined || process.getuid?.() !== 0)('an engine that goes away', { timeout: 240_000 }, () => {
  let daemon: OwnDaemon;
  let image = '';

  beforeAll(async () => {
    daemon = await startOwnDaemon();
    image = await bringImage(daemon);
  }, 240_000);

  afterAll(async () => {
    await daemon?.[Symbol.asyncDispose]();
  }, 120_000);

  test.each([
    { signal: 'SIGKILL', shareFiles: true },
    { signal: 'SIGKILL', shareFiles: false },
    { signal: 'SIGTERM', shareFiles: false },
  ] as const)(
    'by $signal ends its connectors by name, starts fail by name, and all is well once it is back',
    async ({ signal, shareFiles }) => {
      await using under = await startRunner({ engine: daemon.address, shareFiles });
      const connector = await under.start(image);
      await echo(connector, 'before');
      await daemon.kill(signal);
      const exit = await connector.exited;
      const refusal: unknown = await under.start(image).catch((error: unknown) => error);
      const reaped = await under.runner.reap();
      await daemon.start();

      // One that stops in good order may still tell how the container ended.
      if (signal === 'SIGKILL' || exit.breach !== undefined) {
        expect(exit.breach).toMatchObject({ code: 'engine_unavailable', message: expect.stringContaining(daemon.address) });
      } else {
        expect(exit.signal).toMatch(/^SIG(TERM|KILL)$/);
      }
      expect(refusal).toMatchObject({ code: 'engine_unavailable', message: expect.stringContaining(daemon.address) });
      expect(reaped).toBe(0);
      await under.runner.reap();
      expect(await containersOf(daemon.engine, under.instance.name)).toEqual([]);
      const again = await under.start(image);
      await echo(again, 'after');
      again.kill();
      await again.exited;
    },
  );

  test('one that hangs is named after the request’s own end', async () => {
    await using under = await startRunner({ engine: daemon.address });
    await under.start(image).then((first) => first.kill());
    const pid = Number(readFileSync(`${daemon.address.replace('unix://', '').replace('docker.sock', 'pid')}`, 'utf8'));
    process.kill(pid, 'SIGSTOP');
    try {
      await expect(under.start(image)).rejects.toMatchObject({
        code: 'engine_unavailable',
        message: expect.stringContaining('did not answer within'),
      });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    // What it was removing when it hung is waited for by nobody: a process ends without it after a while.
    await vi.waitFor(async () => expect(await under.containers()).toEqual([]), { timeout: 30_000, interval: 100 });
  });
});

async function echo(connector: ConnectorProcess, text: string): Promise<void> {
  connector.stderr.resume();
  connector.stdin.write(`${text}\n`);
  const [chunk] = await once(connector.stdout, 'data');
  expect(String(chunk)).toBe(`${text}\n`);
}
