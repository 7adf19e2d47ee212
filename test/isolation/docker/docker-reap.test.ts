import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type Docker from 'dockerode';
import { describe, expect, test } from 'vitest';
import { pause } from '../../../src/lib/pause.ts';
import { containerLabels, labelNames } from '../../../src/runner/container-labels.ts';
import { connectEngine, type DockerEngine } from '../../../src/runner/docker-engine.ts';
import { type DockerInstance, lockInstance } from '../../../src/runner/docker-instance.ts';
import { containersOf, engineAddress, requireEngine, shellImage, startRunner } from '../../helpers/docker-runner.ts';

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
    const options = { Image: image, Labels: { ...containerLabels({ instance: under.instance, role: 'connector', connector: 'lost' }) } };
    await (await engine.docker.createContainer(options)).start();
    expect(await under.runner.reap()).toBe(1);
    expect(await under.containers()).toEqual([]);
  });

  test.each([
    { what: 'ran in a container that is gone', host: 'elsewhere', machine: 'other', home: 'f'.repeat(64), isLeft: true },
    { what: 'ran on this machine before it was booted', host: 'own', machine: 'own', isLeft: true },
    { what: 'runs on another machine', host: 'elsewhere', machine: 'other', isLeft: false },
    { what: 'runs in a container of another engine', host: 'ffffffffffff', machine: 'other', isLeft: false },
  ])('of a proxy that $what', { timeout: 180_000 }, async ({ isLeft, ...place }) => {
    if (engine === undefined) return;
    const image = await shellImage(engine, 'stubborn', stubborn);
    await using under = await startRunner();
    const container = await leaveOf(under.instance, image, place);
    await under.runner.reap();
    expect((await containersOf(engine, foreignName)).length).toBe(isLeft ? 0 : 1);
    await container.remove({ force: true }).catch(() => {});
  });

  test('of a proxy in a container of the engine: while that runs none is removed, and after it was started again all are', {
    timeout: 180_000,
  }, async () => {
    if (engine === undefined) return;
    const image = await shellImage(engine, 'stubborn', stubborn);
    await using under = await startRunner();
    const home = await engine.docker.createContainer({ Image: image });
    await home.start();
    const left = await leaveOf(under.instance, image, { host: 'elsewhere', machine: 'other', home: home.id });
    await under.runner.reap();
    expect(await containersOf(engine, foreignName)).toHaveLength(1);
    // Times of creation are in whole seconds.
    await pause(2500);
    await home.restart({ t: 0 });
    await under.runner.reap();
    expect(await containersOf(engine, foreignName)).toEqual([]);
    await left.remove({ force: true }).catch(() => {});
    await home.remove({ force: true });
  });

  test('a proxy in a container of the engine names that as its home, and what it left is removed with it', {
    timeout: 300_000,
  }, async () => {
    if (engine === undefined) return;
    const image = await shellImage(engine, 'stubborn', stubborn);
    const proxy = await startBoxedProxy(engine, image);
    const name = await proxy.instanceName;
    const [left] = (await engine.docker.listContainers()).filter(({ Labels }) => Labels[labelNames.instance] === name);
    expect(left?.Labels[labelNames.home]).toBe(proxy.container.id);
    await using under = await startRunner();
    await under.runner.reap();
    expect(await containersOf(engine, name)).toHaveLength(1);
    await proxy.container.remove({ force: true });
    await under.runner.reap();
    expect(await containersOf(engine, name)).toEqual([]);
  });
});

const foreignName = 'foreign-instance';

interface Place {
  /** `own`: that of the instance that judges. */
  readonly host: string;
  readonly machine: string;
  readonly home?: string;
}

/** A container as a proxy of another lock space would have left it. */
async function leaveOf(judge: DockerInstance, image: string, { host, machine, home }: Place): Promise<Docker.Container> {
  const own = judge.space;
  const space = { id: 'other-boot/net:[1]', host: host === 'own' ? own.host : host, machine: machine === 'own' ? own.machine : machine };
  const labels = containerLabels({ instance: { ...judge, name: foreignName, space }, role: 'connector', connector: 'foreign', home });
  const { docker } = connectEngine(engineAddress);
  return await docker.createContainer({ Image: image, Labels: { ...labels } });
}

/** The proxy of the fixture with one connector, in a container that has the engine's socket. */
async function startBoxedProxy({ docker }: DockerEngine, image: string) {
  const repository = join(import.meta.dirname, '../../..');
  const socket = new URL(engineAddress).pathname;
  const readable = [repository, await realpath(join(repository, 'node_modules'))];
  const container = await docker.createContainer({
    Image: 'bulkhead-base/node:local',
    Cmd: ['node', join(repository, 'test/fixtures/docker-proxy.ts'), image, '1', '/tmp', 'false'],
    Env: ['BULKHEAD_TEST_ENGINE=unix:///engine.sock'],
    HostConfig: { NetworkMode: 'none', Binds: [`${socket}:/engine.sock`, ...readable.map((path) => `${path}:${path}:ro`)] },
  });
  const stream = await container.attach({ stream: true, stdout: true, stderr: true });
  const [said, complaints] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, said, complaints);
  complaints.pipe(process.stderr, { end: false });
  await container.start();
  return { container, instanceName: once(said, 'data').then(([chunk]) => String(chunk).trim()) };
}

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
