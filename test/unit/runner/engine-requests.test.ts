import { once } from 'node:events';
import { release } from 'node:os';
import type { Duplex } from 'node:stream';
import { expect, test, vi } from 'vitest';
import { silentLogger } from '../../../src/log.ts';
import { createContainerHost } from '../../../src/runner/container-host.ts';
import { launchContainer } from '../../../src/runner/container-launch.ts';
import { connectEngine, type DockerEngine } from '../../../src/runner/docker-engine.ts';
import { lockInstance } from '../../../src/runner/docker-instance.ts';
import { inspectImage } from '../../../src/runner/image-inspect.ts';
import { removeOldSidecarImages } from '../../../src/runner/sidecar-image.ts';
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

test.each([
  { isRootless: true, version: '1', has: false },
  { isRootless: true, version: '2', has: true },
  { isRootless: false, version: '1', has: true },
])('Podman without root ($isRootless) on cgroups v$version, which tells the limits of the machine, has them: $has', async (one) => {
  const { isRootless, version, has } = one;
  await using standIn = await startStandIn(({ url }, response) => {
    const said = url?.includes('version')
      ? { Version: '4.3.1', Components: [{ Name: 'Podman Engine' }] }
      : { ...info, Rootless: isRootless, CgroupVersion: version };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(said));
  });
  const facts = await connectEngine(standIn.address).facts();
  expect(facts).toMatchObject({ isRootless, mapsUsers: isRootless, limits: { memory: has, swap: has, pids: has, cpu: has } });
});

test.each([
  { product: 'Podman Engine', folder: '/nowhere/storage', shares: false },
  { product: 'Podman Engine', folder: '/usr', shares: true },
  { product: 'Engine', folder: '/nowhere/storage', shares: true },
])('$product on this kernel, with its images in $folder, shares files: $shares', async ({ product, folder, shares }) => {
  await using standIn = await startStandIn(({ url }, response) => {
    const said = url?.includes('version')
      ? { Version: '4.3.1', Components: [{ Name: product }] }
      : { ...info, KernelVersion: release(), DockerRootDir: folder };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(said));
  });
  expect(await connectEngine(standIn.address).facts()).toMatchObject({ sharesKernel: shares });
});

test('an engine that breaks off amid its answer about an old image of sidecars does not hold the reaper up for ever', async () => {
  await using standIn = await startStandIn(({ method, url }, response) => {
    response.setHeader('content-type', 'application/json');
    if (method === 'DELETE') {
      response.writeHead(200, { 'content-length': '100' }).write('[{', () => response.destroy());
      return;
    }
    response.end(JSON.stringify(url?.includes('images') ? [{ Id: 'sha256:old', Created: 0, RepoTags: ['bulkhead-sidecar:old'] }] : []));
  });
  const real = connectEngine(standIn.address);
  const engine: DockerEngine = {
    ...real,
    request: (wanted) => real.request(wanted.what.startsWith('removing') ? { ...wanted, timeoutMs: 100 } : wanted),
  };
  await expect(removeOldSidecarImages(engine)).rejects.toMatchObject({
    code: 'engine_unavailable',
    message: expect.stringContaining('removing an old sidecar image'),
  });
});

test('folders are not shared with an engine that has SELinux', async () => {
  const KernelVersion = release();
  const security: string[] = ['name=seccomp'];
  await using standIn = await startStandIn(({ url }, response) => {
    const said = url?.includes('version') ? { Version: '24.0.0' } : { ...info, KernelVersion, SecurityOptions: security };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(said));
  });
  const instance = await lockInstance();
  const shares = () => createContainerHost(standIn.address, { instance, logger: silentLogger }).sharesFiles();
  expect(await shares()).toBe(true);
  security.push('name=selinux');
  expect(await shares()).toBe(false);
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

test('an attach that comes after it was given up is ended', async () => {
  const { promise: attaching, resolve } = Promise.withResolvers<Duplex>();
  await using standIn = await startStandIn(
    (_, response) => {
      response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify({ Id: 'made' }));
    },
    (_, socket) => resolve(socket),
  );
  const given = new AbortController();
  const launching = launchContainer({ engine: connectEngine(standIn.address), name: 'x', options: {}, signal: given.signal });
  const failed = expect(launching).rejects.toThrow('given up');
  const socket = await attaching;
  given.abort(new Error('given up'));
  await failed;
  const ended = once(socket.on('error', () => {}).resume(), 'end');
  socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
  await ended;
  socket.destroy();
});

test('of many who are told that the image of sidecars is gone, the first has it made anew, and nobody else', {
  timeout: 60_000,
}, async () => {
  const allAsked = Promise.withResolvers<void>();
  let [isGone, imports] = [false, 0];
  await using standIn = await startStandIn(async (request, response) => {
    const { url = '' } = request;
    response.setHeader('content-type', 'application/json');
    if (url.includes('/images/create')) {
      for await (const _ of request);
      imports += 1;
      await allAsked.promise;
      return response.end('{}');
    }
    if (url.includes('/info')) return response.end(JSON.stringify({ ...info, Architecture: process.arch }));
    if (isGone && imports === 0) return response.writeHead(404).end('{}');
    return response.end(JSON.stringify({ Version: '24.0.0', Id: `sha256:${imports}` }));
  });
  const instance = await lockInstance();
  const host = createContainerHost(standIn.address, { instance, logger: silentLogger });
  const { signal } = new AbortController();
  expect(await host.sidecarImage(signal)).toBe('sha256:0');
  isGone = true;
  const anew = async () => {
    await host.forgetSidecarImage('sha256:0');
    return await host.sidecarImage(signal);
  };
  const first = anew();
  await vi.waitFor(() => expect(imports).toBe(1), { timeout: 30_000 });
  const others = [anew(), anew()];
  allAsked.resolve();
  expect(await Promise.all([first, ...others])).toEqual(['sha256:1', 'sha256:1', 'sha256:1']);
  expect(imports).toBe(1);
  await instance.close();
});
