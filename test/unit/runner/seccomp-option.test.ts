import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { seccompProfile } from '../../../src/runner/container-seccomp.ts';
import { connectEngine } from '../../../src/runner/docker-engine.ts';
import { type DockerInstance, lockInstance } from '../../../src/runner/docker-instance.ts';
import { createSeccompOption } from '../../../src/runner/seccomp-option.ts';
import { startStandIn } from '../../helpers/stand-in-engine.ts';

let stateFolder: string;
let instance: DockerInstance;

beforeEach(async () => {
  stateFolder = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
  instance = await lockInstance({ stateFolder });
});

afterEach(async () => {
  await instance.close();
  await rm(stateFolder, { recursive: true, force: true });
});

interface Said {
  product?: 'docker' | 'podman';
  version?: string;
  security?: readonly string[];
}

/** What an engine says of itself, as it is when it is asked. */
function saying(said: Said): RequestListener {
  return ({ url }, response) => {
    const { product = 'docker', version = '28.1.0', security = ['name=seccomp,profile=builtin'] } = said;
    const name = product === 'docker' ? 'Engine' : 'Podman Engine';
    const answers = {
      '/version': { Version: version, Components: [{ Name: name }] },
      '/info': { Architecture: 'x86_64', KernelVersion: '6.1.0', SecurityOptions: security, MemoryLimit: true },
    };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(answers[url as keyof typeof answers] ?? {}));
  };
}

const profile = JSON.stringify(seccompProfile('x64'));

test.each([
  ['20.10.24', 'name=seccomp,profile=default'],
  ['23.0.0', 'name=seccomp,profile=builtin'],
  ['28.1.0', 'name=seccomp,profile=unconfined'],
  ['28.1.0', 'name=seccomp,profile=/etc/docker/weak.json'],
])('Docker %s with %s gets the sandbox’s filter', async (version, security) => {
  await using standIn = await startStandIn(saying({ version, security: [security] }));
  const option = createSeccompOption(connectEngine(standIn.address), instance);
  expect(await option()).toBe(profile);
});

test('Podman gets a file that holds it: the same for all who ask, and another when that was cleaned away', async () => {
  await using standIn = await startStandIn(saying({ product: 'podman', version: '4.3.1' }));
  const option = createSeccompOption(connectEngine(standIn.address), instance);
  const [file, same] = await Promise.all([option(), option()]);
  expect(await readFile(file, 'utf8')).toBe(profile);
  expect([same, await option()]).toEqual([file, file]);
  await rm(dirname(file), { recursive: true });
  expect(await readFile(await option(), 'utf8')).toBe(profile);
});

test('an engine that comes back as another gets what that takes', async () => {
  const said: Said = { product: 'podman' };
  await using standIn = await startStandIn(saying(said));
  const engine = connectEngine(standIn.address);
  const option = createSeccompOption(engine, instance);
  expect(await option()).toContain(stateFolder);
  said.product = 'docker';
  // Away once, which is when its facts are asked for anew.
  await expect(engine.request({ what: 'waiting', timeoutMs: 1, run: () => new Promise(() => {}) })).rejects.toThrow();
  expect(await option()).toBe(profile);
});
