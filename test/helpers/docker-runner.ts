import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import type { EgressGateway } from '../../src/egress/gateway.ts';
import { type Logger, silentLogger } from '../../src/log.ts';
import type { ConnectorName } from '../../src/manifest/names.ts';
import { labelNames } from '../../src/runner/container-labels.ts';
import { createDockerRunner, type DockerRunner, type DockerRunnerOptions } from '../../src/runner/docker.ts';
import { connectEngine, type DockerEngine } from '../../src/runner/docker-engine.ts';
import { type DockerInstance, lockInstance } from '../../src/runner/docker-instance.ts';
import type { ConnectorProcess, ProcessNotice, ProcessSpec } from '../../src/runner/runner.ts';
import { type TarEntry, tarOf } from '../../src/runner/tar.ts';
import type { ResourceLimits, SandboxPolicy } from '../../src/sandbox/policy.ts';

const repository = join(import.meta.dirname, '../..');

/** The engine that the tests use. */
export const engineAddress = process.env['BULKHEAD_TEST_ENGINE'] ?? 'unix:///var/run/docker.sock';

/**
 * Brings up an engine and the base images. Where that cannot be, one loud line says so and undefined is returned; with CI set it throws.
 */
export async function requireEngine(bases: readonly string[] = ['shell', 'node']): Promise<DockerEngine | undefined> {
  const run = promisify(execFile);
  try {
    if (process.env['BULKHEAD_TEST_ENGINE'] === undefined) await run(join(repository, 'scripts/engine'));
    const engine = connectEngine(engineAddress);
    await engine.facts();
    await run(join(repository, 'scripts/base-images'), [...bases], { env: { ...process.env, ...cliHost(engineAddress) } });
    return engine;
  } catch (cause) {
    const message = `NO CONTAINER ENGINE: the Docker tests cannot run here: ${(cause as Error).message}`;
    if (process.env['CI']) throw new Error(message, { cause });
    console.error(`\n!!! ${message}\n`);
    return undefined;
  }
}

function cliHost(address: string): Record<string, string> {
  return { DOCKER_HOST: address };
}

export const testLimits: ResourceLimits = {
  memoryBytesMax: 128 * 1024 * 1024,
  cpusMax: 1,
  pidsMax: 64,
  descriptorsMax: 256,
  fileBytesMax: 16 * 1024 * 1024,
  tmpBytesMax: 16 * 1024 * 1024,
  tmpInodesMax: 2048,
};

export const testPolicy: SandboxPolicy = { sandbox: 'enforced', network: { type: 'none' }, limits: testLimits, environment: {} };

export interface RunnerUnderTest extends AsyncDisposable {
  readonly engine: DockerEngine;
  readonly instance: DockerInstance;
  readonly runner: DockerRunner;
  readonly notices: ProcessNotice[];
  start(image: string, policy?: Partial<SandboxPolicy>, signal?: AbortSignal): Promise<ConnectorProcess>;
  /** Names of the instance's containers on the engine. */
  containers(): Promise<string[]>;
}

export interface RunnerUnderTestOptions extends Partial<DockerRunnerOptions> {
  readonly gateway?: EgressGateway;
  readonly logger?: Logger;
  /** Where notices go. */
  readonly notices?: ProcessNotice[];
}

/** A runner of its own instance, whose disposal also checks that nothing is left on the engine. */
export async function startRunner(options: RunnerUnderTestOptions = {}): Promise<RunnerUnderTest> {
  const address = options.engine ?? engineAddress;
  const engine = connectEngine(address);
  const stateFolder = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
  const instance = options.instance ?? (await lockInstance({ stateFolder }));
  const runner = createDockerRunner({ logger: silentLogger, pull: 'never', ...options, engine: address, instance });
  const { notices = [] } = options;
  const containers = () => containersOf(engine, instance.name);
  return {
    engine,
    instance,
    runner,
    notices,
    containers,
    start: (image, policy = {}, signal = new AbortController().signal) =>
      runner.start(
        specOf(image, { ...testPolicy, ...policy }, (notice) => notices.push(notice)),
        signal,
      ),
    async [Symbol.asyncDispose]() {
      await runner.close();
      const left = await containers();
      await instance.close();
      await rm(stateFolder, { recursive: true, force: true });
      if (left.length > 0) throw new Error(`left on the engine: ${left.join(', ')}`);
    },
  };
}

export function specOf(image: string, policy: SandboxPolicy, onNotice: (notice: ProcessNotice) => void): ProcessSpec {
  return { connector: 'demo' as ConnectorName, policy, source: { type: 'image', image }, onNotice };
}

export async function containersOf(engine: DockerEngine, instance: string): Promise<string[]> {
  const found = await engine.docker.listContainers({ all: true });
  // Here, not by a filter: an engine guard lists what is Bulkhead's whatever it is asked for, and other tests have containers, too.
  return found.filter(({ Labels }) => Labels[labelNames.instance] === instance).map(({ Names }) => Names.join());
}

/** Builds an image out of a Dockerfile and files; the tag says which test wants it. */
export async function buildImage(
  engine: DockerEngine,
  tag: string,
  dockerfile: string,
  files: Readonly<Record<string, string>> = {},
): Promise<string> {
  const entries = Object.entries({ Dockerfile: dockerfile, ...files }).map(([path, text]) => entryOf(path, text));
  const context = Buffer.concat(await Array.fromAsync(tarOf(entries)));
  const output = (await engine.docker.buildImage(context as never, { t: tag, rm: true, networkmode: 'none' })) as Readable;
  let log = '';
  for await (const chunk of output) log += chunk;
  if (log.includes('"errorDetail"')) throw new Error(`cannot build ${tag}: ${log.slice(-500)}`);
  return tag;
}

function entryOf(path: string, text: string): TarEntry {
  const content = Buffer.from(text);
  return { path, mode: 0o755, size: content.length, content: () => [content] };
}

/** An image that runs a shell script as its entrypoint. */
export async function shellImage(engine: DockerEngine, name: string, script: string): Promise<string> {
  const dockerfile = 'FROM bulkhead-base/shell:local\nCOPY main.sh /main.sh\nENTRYPOINT ["/bin/sh", "/main.sh"]\n';
  return await buildImage(engine, `bulkhead-test/${name}:local`, dockerfile, { 'main.sh': script });
}

export async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += chunk;
  return text;
}
