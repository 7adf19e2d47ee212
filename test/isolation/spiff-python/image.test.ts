import { execFile } from 'node:child_process';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { postJson, projectFolder, temporaryFolder } from '../../helpers/cli-process.ts';
import { engineAddress, requireEngine } from '../../helpers/docker-runner.ts';
import { type ServedBulkhead, serveBulkhead } from '../../helpers/served-bulkhead.ts';
import { readFixtures } from '../../spiff/fixtures.ts';
import { expectRecorded, replay } from '../../spiff/replay.ts';

const engine = await requireEngine(['python']);
const tag = 'bulkhead-test/spiff-edge:local';

async function docker(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('docker', [...args], { env: { ...process.env, DOCKER_HOST: engineAddress } });
  return stdout;
}

/** As docs/connectors.md says it: packages beside the host, build, ask the image for its manifest, build with it as the label. */
async function buildEdgeImage(): Promise<void> {
  await using context = await temporaryFolder();
  const host = join(projectFolder, 'connector-images/spiff-python');
  for (const file of ['Dockerfile', '.dockerignore', 'main.py', 'bulkhead.py', 'packages'])
    await cp(join(host, file), join(context.path, file), { recursive: true });
  await cp(join(host, 'test/packages/connector_edge'), join(context.path, 'packages/connector_edge'), { recursive: true });
  const build = ['build', '--network', 'none', '--build-arg', 'BASE=bulkhead-base/python:local', '--tag', tag];
  await docker(...build, context.path);
  const manifest = await docker('run', '--rm', '--network', 'none', tag, '--manifest', 'edge');
  await docker(...build, '--label', `dev.bulkhead.connector=${manifest}`, context.path);
}

describe.skipIf(engine === undefined)('connector_edge, unmodified in an image', () => {
  let bulkhead: ServedBulkhead;
  beforeAll(async () => {
    if (engine === undefined) return;
    await buildEdgeImage();
    bulkhead = await serveBulkhead({
      config: `server: { pull: never }\nconnectors:\n  edge: { image: "${tag}", engine: "${engineAddress}" }`,
    });
  }, 180_000);
  afterAll(async () => {
    if (engine === undefined) return;
    await bulkhead[Symbol.asyncDispose]();
    expect(await docker('ps', '--all', '--quiet', '--filter', `ancestor=${tag}`)).toBe('');
  });

  const names = ['v2_extra_keys', 'result_non_ascii', 'v1_dict', 'v1_status_204', 'context', 'async_accept', 'async_v1_result', 'no_init'];
  const fixtures = readFixtures().filter(({ name }) => names.includes(name));
  test.each(fixtures)('$name is as recorded', async (fixture) => {
    expectRecorded(await replay(fixture, bulkhead.url, 0), fixture, 0);
  });

  test('an exception keeps its name', async () => {
    const response = await postJson(`${bulkhead.url}/v1/do/edge/RaiseError`, { kind: 'EdgeError', message: 'the message' });
    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({ error: { error_code: 'EdgeError', message: 'the message' } });
  });

  test('its auths are listed from the label', async () => {
    const auths = (await (await fetch(`${bulkhead.url}/v1/auths`)).json()) as readonly { readonly id: string }[];
    expect(auths.map(({ id }) => id)).toEqual(['edge/BadAuth', 'edge/LocalOAuth']);
  });
});
