import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noAuditLog } from '../../../src/egress/audit.ts';
import { createEgressGateway, type EgressGateway } from '../../../src/egress/gateway.ts';
import { silentLogger } from '../../../src/log.ts';
import { networkRule } from '../../../src/manifest/host-pattern.ts';
import { containerLabels } from '../../../src/runner/container-labels.ts';
import { lockInstance } from '../../../src/runner/docker-instance.ts';
import { probeEngines } from '../../../src/runner/doctor-engine.ts';
import { createLimitsCheck } from '../../../src/runner/limits-check.ts';
import { runCliProcess } from '../../helpers/cli-process.ts';
import {
  buildImage,
  containersOf,
  type RunnerUnderTest,
  requireEngine,
  shellImage,
  startRunner,
  testLimits,
  textOf,
} from '../../helpers/docker-runner.ts';
import { isPodmanInstalled, type PodmanService, startPodmanService } from '../../helpers/podman-service.ts';
import { hostileIn } from '../attacks.ts';
import { asker, evaluatorImage } from './evaluator.ts';
import { hostileImage } from './hostile-image.ts';
import { volumesImage } from './volumes-image.ts';
import { writerImage, writesOf } from './writer-image.ts';

/** Builds the images; Podman is brought them. */
const builder = await requireEngine(['shell', 'node', 'python']);
const isPossible = builder !== undefined && isPodmanInstalled() && process.getuid?.() === 0;
if (!isPossible) {
  const message = 'NO PODMAN: the tests against it cannot run here; as root, scripts/setup --tests installs it';
  if (process.env['CI']) throw new Error(message);
  console.error(`\n!!! ${message}\n`);
}

const mebibyte = 1024 * 1024;
const nobody = 65_534;
const manifest = {
  ...{ name: 'boxed', version: '1.0.0', description: 'Greets', protocol: 'oneshot' },
  commands: [{ name: 'Greet', description: 'Greets', parameters: { type: 'object', properties: {} } }],
};

describe.skipIf(!isPossible)('Podman', { timeout: 240_000 }, () => {
  let podman: PodmanService;
  const images = {
    echo: '',
    ends: '',
    memory: '',
    stubborn: '',
    evaluator: '',
    volumes: '',
    writer: '',
    spin: '',
    hostile: '',
    greeter: 'bulkhead-test/greeter:local',
  };

  beforeAll(async () => {
    if (builder === undefined) return;
    images.echo = await shellImage(builder, 'echo', 'echo "to stderr" >&2\nexec cat');
    images.ends = await shellImage(builder, 'ends', 'read code\nexit $code');
    images.memory = await shellImage(builder, 'memory', 'echo up\nread line\nx=$(tail /dev/zero)');
    images.stubborn = await shellImage(
      builder,
      'stubborn-children',
      'trap "" TERM INT HUP\n(trap "" TERM; sleep 600) &\necho up\nwhile :; do sleep 1; done',
    );
    images.evaluator = await evaluatorImage(builder);
    images.volumes = await volumesImage(builder, 'many');
    images.writer = await writerImage(builder);
    images.spin = await shellImage(builder, 'spin', 'while :; do :; done');
    images.hostile = await hostileImage(builder, 'python');
    const dockerfile = `FROM bulkhead-base/shell:local\nLABEL dev.bulkhead.connector='${JSON.stringify(manifest)}'\nCOPY main.sh /main.sh\nENTRYPOINT ["/bin/sh", "/main.sh"]\n`;
    await buildImage(builder, images.greeter, dockerfile, { 'main.sh': `cat >/dev/null\necho '{"body": {"says": "hello"}}'\n` });
    podman = await startPodmanService();
    for (const image of Object.values(images)) await podman.bring(builder, image);
  }, 300_000);

  afterAll(async () => {
    await podman?.[Symbol.asyncDispose]();
  }, 120_000);

  test('says what it is, and holds what the sandbox promises', async () => {
    expect(await podman.engine.facts()).toMatchObject({ product: 'podman', isRootless: false, sharesKernel: true });
    const reports = await probeEngines({ addresses: [podman.address] });
    expect(reports.filter(({ state, isRequired }) => isRequired && state !== 'enforced')).toEqual([]);
    expect(reports).toContainEqual(
      expect.objectContaining({ control: 'engine seccomp', detail: expect.stringContaining('Bulkhead’s own profile') }),
    );
  });

  describe.each([
    { how: 'named pipes', shareFiles: true },
    { how: 'attach', shareFiles: false },
  ])('over $how', ({ shareFiles }) => {
    // One for all of them: each asks Podman what it can do, which takes it seconds.
    let under: RunnerUnderTest;
    let gateway: EgressGateway;

    beforeAll(async () => {
      gateway = createEgressGateway({ audit: noAuditLog, log: silentLogger });
      under = await startRunner({ engine: podman.address, shareFiles, gateway });
      await under.runner.host().engine.facts();
    }, 120_000);

    afterAll(async () => {
      await under?.[Symbol.asyncDispose]();
      await gateway?.close();
    }, 60_000);

    test('answers on stdout, keeps stderr apart, carries a megabyte unchanged, and ends when stdin does', async () => {
      const process = await under.start(images.echo);
      const received = Array.fromAsync(process.stdout);
      const stderr = textOf(process.stderr);
      const sent = Buffer.alloc(mebibyte, 'abcdefghijklmnopqrstuvwxyz\n');
      process.stdin.end(sent);
      expect(await process.exited).toEqual({ exitCode: 0, signal: null });
      expect(Buffer.concat(await received).equals(sent)).toBe(true);
      expect(await stderr).toBe('to stderr\n');
    });

    test('gives the volumes of an image nowhere to write, and makes none', async () => {
      const process = await under.start(images.volumes);
      const [name = ''] = await under.containers();
      const { Mounts } = await podman.engine.docker.getContainer(name.slice(1)).inspect();
      expect(Mounts.filter(({ Type }) => Type === 'volume')).toEqual([]);
      process.stdin.end('go\n');
      const said = (await textOf(process.stdout)).split('\n');
      expect(await process.exited).toEqual({ exitCode: 0, signal: null });
      expect(said.filter((line) => line.endsWith(' writable'))).toEqual(['/tmp writable']);
    });

    test('can be written to nowhere but in /tmp and 1 MiB of /dev/shm', async () => {
      const process = await under.start(images.writer);
      const folders = ['/', '/etc', '/run', '/var/tmp', '/var', '/tmp', '/dev/shm'];
      const said = await writesOf(process, folders);
      expect(said.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual(
        folders.map((path) => `${path} ${['/tmp', '/dev/shm'].includes(path) ? 'writable' : 'refused'}`),
      );
    });

    test('sockets of other kinds and system calls that no connector needs are refused', async () => {
      const hostile = hostileIn(await under.start(images.hostile));
      const results = [...(await hostile.attack('sockets')), ...(await hostile.attack('syscalls'))];
      expect(results.length).toBeGreaterThan(80);
      expect(results.filter(({ outcome }) => outcome !== 'refused')).toEqual([]);
      hostile.process.kill();
      await hostile.process.exited;
    });

    test('tells the exit code', async () => {
      const process = await under.start(images.ends);
      process.stdin.end('7\n');
      expect(await process.exited).toEqual({ exitCode: 7, signal: null });
    });

    test('kill ends one that ignores every signal, its children included', async () => {
      const process = await under.start(images.stubborn);
      await once(process.stdout, 'data');
      process.kill();
      expect(await process.exited).toEqual({ exitCode: null, signal: 'SIGKILL' });
      expect(await under.containers()).toEqual([]);
    });

    test('out of memory ends it', async () => {
      const process = await under.start(images.memory, { limits: { ...testLimits, memoryBytesMax: 32 * mebibyte } });
      await once(process.stdout, 'data');
      process.stdin.write('go\n');
      const { breach, signal } = await process.exited;
      // Podman’s monitor misses some kills for memory (docs/docker.md); the process is ended all the same.
      expect(breach?.code ?? signal).toMatch(/^(memory_exceeded|SIGKILL)$/);
    });

    test('without network there is loopback only, and with rules what they allow', async () => {
      const server = createServer((socket) => socket.end('from outside')).listen(0, '0.0.0.0');
      await once(server, 'listening');
      const { port } = server.address() as { port: number };
      const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
      const own = all.find(({ internal, family }) => !internal && family === 'IPv4')?.address;
      const running = [await under.start(images.evaluator)];
      const bare = asker(running[0]!);
      expect(await bare(`Object.keys(process.getBuiltinModule('node:os').networkInterfaces())`)).toEqual(['lo']);
      expect(await bare(`fetchText(${port}, '127.0.0.1', 'x')`)).toBe('ECONNREFUSED');
      expect(await bare(`fetchText(80, '10.0.0.1', 'x')`)).toBe('ENETUNREACH');
      const rules = [`127.0.0.1:${port}`, 'allowed.example:443', `${own}:${port}`].map(networkRule);
      running.push(await under.start(images.evaluator, { network: { type: 'rules', rules } }));
      const ruled = asker(running[1]!);
      expect(await ruled(`fetchText(${port}, '127.0.0.1', 'x')`)).toBe('from outside');
      expect(await ruled(`fetchText(${port + 1}, '127.0.0.1', 'x')`)).toBe('ECONNREFUSED');
      expect(await ruled(`fetchText(80, '10.0.0.1', 'x')`)).toBe('ENETUNREACH');
      expect(await ruled(`dns.lookup('allowed.example').then((a) => a.address)`)).toMatch(/^127\./);
      expect(await ruled(`dns.resolve4('secret-data.exfil.example')`)).toMatch(/ENOTFOUND|EREFUSED|ESERVFAIL/);
      // An address that a rule names is routed to the sidecar, where the gateway decides; nothing beyond is.
      expect(await ruled(`fetchText(${port}, '${own}', 'x')`)).toBe('from outside');
      expect(await ruled(`fetchText(9, '198.18.0.2', 'x', true)`)).toBe('ENETUNREACH');
      server.close();
      for (const process of running) process.kill();
      await Promise.all(running.map((process) => process.exited));
    });
  });

  describe('through its API', () => {
    let under: RunnerUnderTest;

    beforeAll(async () => {
      under = await startRunner({ engine: podman.address });
    }, 60_000);

    afterAll(async () => await under?.[Symbol.asyncDispose](), 60_000);

    test('a filter whose file was cleaned away is there again for the next container', async () => {
      await rm(await under.runner.host().seccomp());
      expect(await writesOf(await under.start(images.writer), ['/tmp'])).toEqual(['/tmp writable']);
    });

    test('too much CPU time is named', async () => {
      const process = await under.start(images.spin, { limits: { ...testLimits, cpuTimeMaxMs: 1000 } });
      process.stdout.resume();
      expect((await process.exited).breach).toMatchObject({ code: 'cpu_exceeded' });
    });

    test('what is mounted below a read-only path cannot be written, nor seen', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
      const below = join(folder, 'below');
      await mkdir(below, { mode: 0o777 });
      await chmod(folder, 0o755);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=1777', 'bulkhead-test', below]);
      try {
        await writeFile(join(below, 'secret'), '');
        const process = await under.start(images.writer, { readOnlyPaths: [folder] });
        expect(await writesOf(process, [folder, below])).toEqual([`${folder} refused below`, `${below} refused`]);
      } finally {
        execFileSync('umount', [below]);
        await rm(folder, { recursive: true, force: true });
      }
    });
  });

  test('what a dead proxy left is removed', async () => {
    const dead = await lockInstance();
    // Podman's own are more than this machine may give.
    const HostConfig = { Ulimits: ['nofile', 'nproc'].map((Name) => ({ Name, Soft: 256, Hard: 256 })) };
    const labels = { ...containerLabels({ instance: dead, role: 'connector', connector: 'left' }) };
    await (await podman.engine.docker.createContainer({ Image: images.stubborn, Labels: labels, HostConfig })).start();
    await dead.close();
    await using under = await startRunner({ engine: podman.address });
    await under.runner.reap();
    expect(await containersOf(podman.engine, dead.name)).toEqual([]);
  });

  test('a data folder that is gone is named, and not made on the disk of the machine', async () => {
    await using under = await startRunner({ engine: podman.address });
    const dataFolder = join(tmpdir(), `bulkhead-test-gone-${process.pid}`);
    await expect(under.start(images.echo, { dataFolder })).rejects.toMatchObject({
      code: 'sandbox_unavailable',
      message: expect.stringContaining(`The data folder of connector demo, ${dataFolder}, cannot be read (ENOENT)`),
    });
    expect(existsSync(dataFolder)).toBe(false);
  });

  test('without root it drops limits, and is refused by name', async () => {
    if (builder === undefined) return;
    await using rootless = await startPodmanService({ user: nobody });
    const facts = await rootless.engine.facts();
    expect(facts).toMatchObject({ product: 'podman', isRootless: true, mapsUsers: true });
    await rootless.bring(builder, images.echo);
    await using under = await startRunner({ engine: rootless.address });
    await expect(under.start(images.echo)).rejects.toMatchObject({ code: 'sandbox_unavailable' });
    const HostConfig = { NetworkMode: 'none', PidsLimit: 8, Ulimits: [{ Name: 'nofile', Soft: 64, Hard: 64 }] };
    const container = await rootless.engine.docker.createContainer({ Image: images.echo, HostConfig });
    const check = createLimitsCheck(rootless.engine)(container.id, HostConfig);
    await expect(check).rejects.toMatchObject({
      code: 'sandbox_unavailable',
      // On cgroups v1 those too that are no ulimits.
      message: expect.stringContaining(
        facts.limits.pids ? 'drops limits of containers: nofile.' : 'drops limits of containers: pids, nofile.',
      ),
    });
    await container.remove();
  });

  test('a command is called through the CLI, its manifest read from the label', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
    const config = join(folder, 'bulkhead.yaml');
    const key = 'a-key-of-sufficient-length-1234567890';
    const keys = 'apiKeys: [{ name: test, key: { env: CONNECTOR_PROXY_API_KEY }, connectors: ["*"] }]';
    await writeFile(
      config,
      `server:\n  ${keys}\n  engine: ${podman.address}\nconnectors:\n  boxed: { image: "${images.greeter}", limits: { start: 35s } }\n`,
    );
    const { stdout, stderr, exitCode } = await runCliProcess(['call', 'boxed/Greet', '--config', config], {
      environment: { CONNECTOR_PROXY_API_KEY: key },
    });
    expect([exitCode, stdout, stderr]).toEqual([0, expect.stringContaining('hello'), expect.any(String)]);
    await rm(folder, { recursive: true, force: true });
  });
});
