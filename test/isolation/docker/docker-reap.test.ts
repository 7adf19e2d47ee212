import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { containerLabels } from '../../../src/runner/container-labels.ts';
import { lockInstance } from '../../../src/runner/docker-instance.ts';
import { containersOf, requireEngine, shellImage, startRunner } from '../../helpers/docker-runner.ts';

const engine = await requireEngine();
const stubborn = 'trap "" TERM INT HUP\necho up\nwhile :; do sleep 1; done';

describe.skipIf(engine === undefined)('reaping', () => {
  test.each([
    { how: 'named pipes', share: 'true' },
    { how: 'attach', share: 'false' },
  ])('a proxy killed with 10 containers over $how leaves none after the next start', { timeout: 300_000 }, async ({ share }) => {
    if (engine === undefined) return;
    const image = await shellImage(engine, 'stubborn', stubborn);
    const stateFolder = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
    const { child, name } = await startProxy([image, '10', stateFolder, share]);
    expect(await containersOf(engine, name)).toHaveLength(15);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await containersOf(engine, name)).not.toEqual([]);
    if (share === 'true') expect((await readdir(stateFolder)).filter((entry) => entry.endsWith(name))).toHaveLength(1);

    const instance = await lockInstance({ stateFolder });
    await using next = await startRunner({ instance });
    await next.runner.reap();
    expect(await containersOf(engine, name)).toEqual([]);
    expect((await readdir(stateFolder)).filter((entry) => entry.endsWith(name))).toEqual([]);
    await rm(stateFolder, { recursive: true, force: true });
  });

  test('leaves the containers of a live proxy alone', { timeout: 180_000 }, async () => {
    if (engine === undefined) return;
    const image = await shellImage(engine, 'stubborn', stubborn);
    await using one = await startRunner();
    await one.start(image);
    await using other = await startRunner();
    await other.runner.reap();
    expect(await one.containers()).toHaveLength(1);
    expect(await other.containers()).toEqual([]);
  });

  test('removes a container of its own that it lost sight of', { timeout: 180_000 }, async () => {
    if (engine === undefined) return;
    const image = await shellImage(engine, 'stubborn', stubborn);
    await using under = await startRunner();
    const options = { Image: image, Labels: { ...containerLabels(under.instance, 'connector', 'lost') } };
    await (await engine.docker.createContainer(options)).start();
    expect(await under.runner.reap()).toBe(1);
    expect(await under.containers()).toEqual([]);
  });

  test.each([
    { what: 'ran in a container that is gone', space: 'other-boot/net:[1]', host: 'ffffffffffff', machine: 'other', isLeft: true },
    { what: 'ran on this machine before it was booted', space: 'other-boot/net:[1]', host: 'own', machine: 'own', isLeft: true },
    { what: 'runs on another machine', space: 'other-boot/net:[1]', host: 'elsewhere', machine: 'other', isLeft: false },
  ])('of a proxy that $what', { timeout: 180_000 }, async ({ space, host, machine, isLeft }) => {
    if (engine === undefined) return;
    const image = await shellImage(engine, 'stubborn', stubborn);
    await using under = await startRunner();
    const own = under.instance.space;
    const foreign = {
      name: 'foreign-instance',
      space: { id: space, host: host === 'own' ? own.host : host, machine: machine === 'own' ? own.machine : machine },
    };
    const labels = containerLabels({ ...under.instance, ...foreign }, 'connector', 'foreign');
    const container = await engine.docker.createContainer({ Image: image, Labels: { ...labels } });
    await under.runner.reap();
    expect((await containersOf(engine, 'foreign-instance')).length).toBe(isLeft ? 0 : 1);
    await container.remove({ force: true }).catch(() => {});
  });
});

async function startProxy(args: readonly string[]): Promise<{ child: ChildProcess; name: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../fixtures/docker-proxy.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const chunk of child.stdout) {
    text += chunk;
    if (text.includes('\n')) break;
  }
  expect(child.exitCode).toBe(null);
  return { child, name: text.trim() };
}
