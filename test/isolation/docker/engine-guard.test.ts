import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import { type ContainerPlan, connectorUser, containerOptions } from '../../../src/runner/container-options.ts';
import { seccompProfile } from '../../../src/runner/container-seccomp.ts';
import type { DockerEngine } from '../../../src/runner/docker-engine.ts';
import { volumePaths } from '../../../src/runner/image-volumes.ts';
import { engineAddress, requireEngine, startRunner, testPolicy } from '../../helpers/docker-runner.ts';
import { guardEngine } from '../../helpers/guarded-engine.ts';
import { declaredVolumes, volumesImage } from './volumes-image.ts';

const engine = await requireEngine();
const made: string[] = [];
const socket = engineAddress.replace(/^unix:\/\//, '');

// Long labels make every list of images long.
afterAll(async () => {
  for (const image of made) await engine?.docker.getImage(image).remove();
});

describe.skipIf(engine === undefined)('through the guard', () => {
  test('a form in place of an archive makes the engine fetch and import nothing', { timeout: 60_000 }, async () => {
    if (engine === undefined) return;
    const asked: (string | undefined)[] = [];
    const web = createServer(({ url }, response) => {
      asked.push(url);
      response.end(Buffer.alloc(1024));
    }).listen(0, '127.0.0.1');
    await once(web, 'listening');
    await using guard = await guardEngine(socket);
    const fromSrc = `http://127.0.0.1:${(web.address() as AddressInfo).port}/metadata`;
    const { text } = await guard.ask('POST', '/images/create?fromSrc=-&repo=bulkhead-sidecar&tag=form', {
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ fromSrc, repo: 'bulkhead-test/imported', tag: 'local' }).toString(),
    });
    web.close();
    expect(asked).toEqual([]);
    expect(text).not.toContain('Downloading');
    expect(await engine.docker.listImages({ filters: { reference: ['bulkhead-test/imported'] } })).toEqual([]);
  });

  test('a container of an image with megabytes of labels starts, and is removed', { timeout: 120_000 }, async () => {
    if (engine === undefined) return;
    const image = await labelledImage(engine, 'labels-5', 5 * 1024 * 1024);
    await using guard = await guardEngine(socket);
    // Its disposal says what was left.
    await using under = await startRunner({ engine: guard.address });
    const process = await under.start(image);
    expect(await firstLine(process.stdout)).toBe('up\n');
  });

  test('a container is not made of an image that says too much of itself to look at its containers', { timeout: 120_000 }, async () => {
    if (engine === undefined) return;
    const image = await labelledImage(engine, 'labels-17', 17 * 1024 * 1024);
    await using guard = await guardEngine(socket);
    await using under = await startRunner({ engine: guard.address });
    await expect(under.start(image)).rejects.toThrow('its image says more than 16777216 bytes of itself');
  });
  test('a container is made only with each volume of its image covered', { timeout: 60_000 }, async () => {
    if (engine === undefined) return;
    const id = (await engine.docker.getImage(await volumesImage(engine, 'many')).inspect()).Id;
    await using guard = await guardEngine(socket);
    const create = (image: string, volumes: readonly string[]) => {
      const payload = containerOptions({ ...plan, image: { id: image, entrypoint: [], command: [], volumes } });
      const headers = { 'content-type': 'application/json' };
      return guard.ask('POST', `/containers/create?name=${name}`, { headers, body: JSON.stringify(payload) });
    };
    const name = 'bulkhead-test-covered';
    const volumes = volumePaths(declaredVolumes);
    const uncovered = { status: 403, text: expect.stringContaining('its image declares a volume that no tmpfs covers') };
    expect(await create(id, [])).toMatchObject(uncovered);
    expect(await create(id, volumes.slice(1))).toMatchObject(uncovered);
    expect(await create(`sha256:${'0'.repeat(64)}`, [])).toMatchObject({ status: 404 });
    expect(await create(id, volumes)).toMatchObject({ status: 201 });
    await engine.docker.getContainer(name).remove();
  });
});

const plan: Omit<ContainerPlan, 'image'> = {
  ...{ product: 'docker', policy: testPolicy, user: connectorUser, egressEnvironment: {}, labels: { 'dev.bulkhead.owner': 'bulkhead' } },
  ...{ network: { type: 'none' }, stdio: { type: 'attach' }, seccomp: JSON.stringify(seccompProfile(process.arch)) },
};

/** Its labels come to that many bytes: committed, since the builder takes minutes over them. */
async function labelledImage({ docker }: DockerEngine, name: string, bytes: number): Promise<string> {
  const repo = `bulkhead-test/${name}`;
  const container = await docker.createContainer({ Image: 'bulkhead-base/shell:local', Cmd: ['/bin/sh'] });
  const config = { Entrypoint: ['/bin/sh', '-c', 'echo up; read line'], Labels: { long: 'x'.repeat(bytes) } };
  const outgoing = request({
    ...{ socketPath: socket, method: 'POST', path: `/commit?container=${container.id}&repo=${repo}&tag=local` },
    headers: { 'content-type': 'application/json' },
  });
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  outgoing.end(JSON.stringify(config));
  const [response] = await answered;
  expect(response.statusCode).toBe(201);
  response.resume();
  await container.remove();
  made.push(`${repo}:local`);
  return `${repo}:local`;
}

async function firstLine(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) {
    text += chunk;
    if (text.includes('\n')) break;
  }
  return text;
}
