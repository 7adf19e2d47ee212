import { expect, test, vi } from 'vitest';
import { silentLogger } from '../../../src/log.ts';
import { createContainerHost } from '../../../src/runner/container-host.ts';
import { connectEngine } from '../../../src/runner/docker-engine.ts';
import { lockInstance } from '../../../src/runner/docker-instance.ts';
import { inspectImage } from '../../../src/runner/image-inspect.ts';
import { startStandIn } from '../../helpers/stand-in-engine.ts';

const info = { Architecture: 'x86_64', KernelVersion: 'x', MemoryLimit: true, SwapLimit: true, CpuCfsQuota: true, PidsLimit: true };

function factsOf(url: string | undefined, SecurityOptions: readonly string[]): string {
  return JSON.stringify(url?.includes('version') ? { Version: '24.0.0' } : { ...info, SecurityOptions });
}

test('who no longer wants an engine’s facts ends the wait for nobody else', async () => {
  const answer = Promise.withResolvers<void>();
  await using standIn = await startStandIn(async ({ url }, response) => {
    await answer.promise;
    response.setHeader('content-type', 'application/json').end(factsOf(url, ['name=seccomp']));
  });
  const engine = connectEngine(standIn.address);
  const [first, second] = [new AbortController(), new AbortController()];
  const [one, two] = [engine.facts(first.signal), engine.facts(second.signal)];
  const other = engine.facts();
  first.abort(new Error('the first gave up'));
  await expect(one).rejects.toThrow('the first gave up');
  second.abort(new Error('the second gave up'));
  await expect(two).rejects.toThrow('the second gave up');
  answer.resolve();
  expect(await other).toMatchObject({ version: '24.0.0', hasSeccomp: true });
});

test('an engine that had no seccomp is asked again', async () => {
  let security: readonly string[] = [];
  await using standIn = await startStandIn(({ url }, response) => {
    response.setHeader('content-type', 'application/json').end(factsOf(url, security));
  });
  const instance = await lockInstance();
  const host = createContainerHost(standIn.address, { instance, logger: silentLogger });
  await expect(host.seccomp()).rejects.toThrow('has no seccomp');
  security = ['name=seccomp'];
  // Away once, which is when its facts are asked for anew.
  await expect(host.engine.request({ what: 'waiting', timeoutMs: 1, run: () => new Promise(() => {}) })).rejects.toThrow();
  await host.seccomp();
  await instance.close();
});

test('an image that is no longer looked for keeps no connection', async () => {
  await using standIn = await startStandIn(() => {});
  const engine = connectEngine(standIn.address);
  const given = new AbortController();
  const looking = [1, 2, 3].map(() => inspectImage(engine, 'x', given.signal));
  await vi.waitFor(async () => expect(await standIn.connections()).toBe(3), { timeout: 20_000 });
  given.abort(new Error('given up'));
  for (const one of looking) await expect(one).rejects.toThrow('given up');
  await vi.waitFor(async () => expect(await standIn.connections()).toBe(0), { timeout: 20_000 });
});

test('an image without a config has no labels', async () => {
  await using standIn = await startStandIn((_, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ Id: 'sha256:1', Config: null }));
  });
  expect(await inspectImage(connectEngine(standIn.address), 'x')).toMatchObject({ labels: {}, entrypoint: [], command: [] });
});
