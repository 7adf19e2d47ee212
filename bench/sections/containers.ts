/** Containers, where an engine runs: cold starts against the engine’s own API, and calls through one against those to a subprocess. */
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import Docker from 'dockerode';
import { parse } from 'yaml';
import { silentLogger } from '../../src/log.ts';
import type { ConnectorName } from '../../src/manifest/names.ts';
import { attachedStreams } from '../../src/runner/attach-stream.ts';
import { createDockerRunner } from '../../src/runner/docker.ts';
import { lockInstance } from '../../src/runner/docker-instance.ts';
import type { Runner } from '../../src/runner/runner.ts';
import { compare } from '../harness/compare.ts';
import { limits } from '../harness/policy.ts';
import { connectorYaml, oneWorker, type Scene, smallBody, target, underLoad } from '../harness/scene.ts';
import { project, startBulkhead, startServer } from '../harness/world.ts';

export const coldSeries = 'cold container';
export const warmSeries = 'calls through a container';
const image = 'bulkhead-bench/static:local';
/** The connector that runs in a container. */
const boxed = 'boxed';
const socketPath = '/var/run/docker.sock';
/** Cold starts’ rounds, to others’: as for cold subprocesses, one start differs from the next by more than what is looked for. */
const moreRounds = 5;

export async function containers(scene: Scene): Promise<void> {
  const { note, world } = scene;
  const found = spawnSync('docker', ['version'], { stdio: 'ignore' });
  if (found.error !== undefined || found.status !== 0) {
    note('Containers were left out: no engine answers at the usual place (scripts/engine starts one).');
    return;
  }
  execFileSync(join(project, 'scripts/base-images'), ['shell'], { stdio: 'ignore' });
  buildImage(world.copyOf('static', boxed));
  try {
    await cold(scene);
    await warm(scene);
  } finally {
    spawnSync('docker', ['image', 'rm', '--force', image], { stdio: 'ignore' });
  }
}

function buildImage(folder: string): void {
  const manifest = JSON.stringify(parse(readFileSync(join(folder, 'connector.yaml'), 'utf8')));
  writeFileSync(join(folder, 'Dockerfile'), 'FROM bulkhead-base/shell:local\nCOPY connector /connector\nENTRYPOINT ["/connector"]\n');
  execFileSync('docker', ['build', '--quiet', '--label', `dev.bulkhead.connector=${manifest}`, '--tag', image, folder], {
    stdio: 'ignore',
  });
}

async function cold({ results, rounds, isQuick }: Scene): Promise<void> {
  const docker = new Docker({ socketPath });
  const stateFolder = mkdtempSync(join(tmpdir(), 'bulkhead-bench-'));
  const instance = await lockInstance({ stateFolder });
  const runner = createDockerRunner({ engine: `unix://${socketPath}`, instance, logger: silentLogger, pull: 'never' });
  const contenders = [
    { name: 'create, attach, start by the API', measure: () => plainStart(docker) },
    { name: 'bulkhead', measure: () => runnerStart(runner) },
  ];
  try {
    await compare({ results, at: { series: coldSeries, point: 'first byte' }, contenders, rounds: isQuick ? rounds : moreRounds * rounds });
  } finally {
    await runner.close();
    await instance.close();
    rmSync(stateFolder, { recursive: true, force: true });
  }
}

const ping = `${JSON.stringify({ jsonrpc: '2.0', id: 'ping', method: 'ping', params: {} })}\n`;

async function plainStart(docker: Docker): Promise<{ startMs: number }> {
  const began = performance.now();
  const { container, streams } = await plainContainer(docker);
  streams.stdin.write(ping);
  await once(streams.stdout, 'data');
  const startMs = performance.now() - began;
  await container.remove({ force: true });
  return { startMs };
}

/** The least that a proxy would ask for: no network, limits, nothing writable. */
async function plainContainer(docker: Docker) {
  const HostConfig = {
    NetworkMode: 'none',
    Memory: limits.memoryBytesMax,
    PidsLimit: limits.pidsMax,
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
  };
  const stdio = { OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true };
  const container = await docker.createContainer({ Image: image, HostConfig, ...stdio });
  const raw = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
  const streams = attachedStreams(raw as Duplex);
  await container.start();
  return { container, streams };
}

async function runnerStart(runner: Runner): Promise<{ startMs: number }> {
  const policy = { sandbox: 'enforced', network: { type: 'none' }, limits, environment: {} } as const;
  const spec = { connector: 'bench' as ConnectorName, policy, source: { type: 'image', image } as const, onNotice: () => {} };
  const began = performance.now();
  const process = await runner.start(spec, AbortSignal.timeout(60_000));
  process.stdin.write(ping);
  await once(process.stdout, 'data');
  const startMs = performance.now() - began;
  process.kill();
  await process.exited;
  return { startMs };
}

async function warm(scene: Scene): Promise<void> {
  const { world, results, rounds } = scene;
  const plain = connectorYaml({ name: 'static', folder: world.children.static, workers: oneWorker });
  const inContainer = `${boxed}:\n  image: ${image}\n  workers: { ${oneWorker} }\n`;
  await using bulkhead = await startBulkhead({ world, connectors: plain + inContainer });
  await using limit = await startServer('hono-echo.ts');
  const aim = { body: smallBody(world), connections: 1 };
  const contenders = [
    underLoad(scene, target('hono echo', limit, '/echo'), aim),
    underLoad(scene, target('bulkhead, subprocess', bulkhead, '/v1/do/static/Echo'), aim),
    underLoad(scene, target('bulkhead, container', bulkhead, `/v1/do/${boxed}/Echo`), aim),
    { name: 'attach round trip', measure: () => attachTrips(scene) },
  ];
  await compare({ results, at: { series: warmSeries, point: '1 connections' }, contenders, rounds });
}

async function attachTrips({ seconds }: Scene): Promise<{ p50Us: number; p99Us: number }> {
  const { container, streams } = await plainContainer(new Docker({ socketPath }));
  const trips: number[] = [];
  for (const end = performance.now() + seconds * 500; performance.now() < end; ) {
    const sentAt = performance.now();
    streams.stdin.write(ping);
    await once(streams.stdout, 'data');
    trips.push((performance.now() - sentAt) * 1000);
  }
  await container.remove({ force: true });
  trips.sort((a, b) => a - b);
  return { p50Us: trips[trips.length >> 1] ?? Number.NaN, p99Us: trips[Math.floor(trips.length * 0.99)] ?? Number.NaN };
}
