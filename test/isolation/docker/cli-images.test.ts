import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CliResult, runCliProcess, startServeProcess } from '../../helpers/cli-process.ts';
import { buildImage, engineAddress, requireEngine } from '../../helpers/docker-runner.ts';

const engine = await requireEngine(['shell']);
const tag = 'bulkhead-test/cli:local';
const plainTag = 'bulkhead-test/cli-unlabelled:local';
const goneTag = 'bulkhead-test/cli-gone:local';
const key = 'a-key-of-sufficient-length-1234567890';

/** A one-shot connector whose answer says which build of the image it is. */
async function build(version: string, isLabelled = true, name = tag): Promise<string> {
  if (engine === undefined) return '';
  const manifest = {
    ...{ name: 'boxed', version, description: 'Answers with its version', protocol: 'oneshot' },
    commands: [{ name: 'Version', description: 'Which build', parameters: { type: 'object', properties: {} } }],
  };
  const label = isLabelled ? `LABEL dev.bulkhead.connector='${JSON.stringify(manifest)}'\n` : '';
  const dockerfile = `FROM bulkhead-base/shell:local\n${label}COPY main.sh /main.sh\nENTRYPOINT ["/bin/sh", "/main.sh"]\n`;
  const main = `cat >/dev/null\necho '{"body": {"version": "${version}"}}'\n`;
  await buildImage(engine, name, dockerfile, { 'main.sh': main });
  return (await engine.docker.getImage(name).inspect()).Id;
}

describe.skipIf(engine === undefined)('images on the command line', { timeout: 180_000 }, () => {
  let folder = '';
  let id = '';
  const environment = { CONNECTOR_PROXY_API_KEY: key, DOCKER_HOST: engineAddress };
  const config = () => join(folder, 'bulkhead.yaml');
  const cli = (...args: string[]): Promise<CliResult> => runCliProcess([...args, '--config', config()], { environment });
  const write = async (connectors: Readonly<Record<string, string>>, server = '') => {
    const entries = Object.entries(connectors).map(([name, image]) => `  ${name}: { image: "${image}", limits: { start: 35s } }\n`);
    const keys = 'apiKeys: [{ name: test, key: { env: CONNECTOR_PROXY_API_KEY }, connectors: ["*"] }]';
    await writeFile(config(), `server:\n  ${keys}\n${server}connectors:\n${entries.join('')}`);
  };
  const invoke = async (url: string, connector: string) => {
    const response = await fetch(`${url}/v1/do/${connector}/Version`, {
      ...{ method: 'POST', body: '{}' },
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, 'spiff-connector-proxy-api-key': key },
    });
    return { status: response.status, text: await response.text() };
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
    id = await build('1.0.0');
    await build('1.0.0', false, plainTag);
  }, 180_000);

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  test('list reads the manifest from the label, and says of others what they lack', async () => {
    await write({ boxed: tag, plain: plainTag, gone: goneTag });
    const { stdout, exitCode } = await cli('list');
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/boxed 1\.0\.0/);
    expect(stdout).toContain('boxed/Version');
    expect(stdout).toMatch(/plain {2}unavailable .*no label dev\.bulkhead\.connector/);
    expect(stdout).toMatch(/gone {2}unavailable .*cli-gone:local.* is not there/);
  });

  test('list --images finds labelled images and no others', async () => {
    const { stdout, exitCode } = await cli('list', '--images', '--json');
    expect(exitCode).toBe(0);
    const { images } = JSON.parse(stdout) as { images: { tags: string[]; name: string; version: string }[] };
    expect(images).toContainEqual(expect.objectContaining({ tags: expect.arrayContaining([tag]), name: 'boxed', version: '1.0.0' }));
    expect(images.flatMap(({ tags }) => tags)).not.toContain(plainTag);
  });

  test('call runs one command in its container', async () => {
    await write({ boxed: tag });
    const { stdout, exitCode, stderr } = await cli('call', 'boxed/Version');
    expect([exitCode, stderr]).toEqual([0, expect.any(String)]);
    expect(stdout).toContain('1.0.0');
  });

  test('doctor tells what the engine of the config’s images is worth', async () => {
    await write({ boxed: tag });
    const { stdout } = await cli('doctor', '--json');
    const { controls } = JSON.parse(stdout) as { controls: { control: string; state: string; detail: string }[] };
    expect(controls).toContainEqual(
      expect.objectContaining({ control: 'engine', state: 'enforced', detail: expect.stringContaining(engineAddress) }),
    );
    for (const control of ['engine seccomp', 'engine limit of memory', 'engine limit of pids', 'engine limit of cpu'])
      expect(controls).toContainEqual(expect.objectContaining({ control, state: 'enforced' }));
  });

  test('lock names an image that is gone and writes nothing', async () => {
    await write({ gone: goneTag });
    const { stderr, stdout, exitCode } = await cli('lock');
    expect(exitCode).not.toBe(0);
    expect(stdout + stderr).toMatch(/cli-gone:local.*is not there/s);
    await expect(readFile(join(folder, 'bulkhead.lock'))).rejects.toThrow('ENOENT');
  });

  test('serve --frozen needs a lock', async () => {
    await write({ boxed: tag });
    const { stderr, stdout, exitCode } = await cli('serve', '--port', '0', '--frozen');
    expect(exitCode).not.toBe(0);
    expect(stdout + stderr).toContain('bulkhead lock');
  });

  test('serve --frozen serves the locked image, refuses a changed one by both names, and takes it once locked', async () => {
    await write({ boxed: tag });
    expect(await cli('lock')).toMatchObject({ exitCode: 0 });
    expect(JSON.parse(await readFile(join(folder, 'bulkhead.lock'), 'utf8'))).toEqual({ version: 1, images: { [tag]: { id } } });
    {
      await using proxy = await startServeProcess(['--frozen', '--config', config()], { environment });
      expect(await invoke(proxy.url, 'boxed')).toMatchObject({ status: 200, text: expect.stringContaining('1.0.0') });
    }
    const changed = await build('1.0.1');
    {
      await using proxy = await startServeProcess(['--frozen', '--config', config()], { environment });
      const { text, status } = await invoke(proxy.url, 'boxed');
      expect(status).toBeGreaterThanOrEqual(400);
      expect(text).toContain('image_unavailable');
      expect(text).toContain(changed);
      expect(text).toContain(id);
    }
    expect(await cli('lock')).toMatchObject({ exitCode: 0 });
    await using proxy = await startServeProcess(['--frozen', '--config', config()], { environment });
    expect(await invoke(proxy.url, 'boxed')).toMatchObject({ status: 200, text: expect.stringContaining('1.0.1') });
  });

  test.each([
    { pull: 'never', says: /is not there, and pulling is off/ },
    // Nothing listens there: what matters is that it was asked.
    { pull: 'missing', says: /cannot be pulled/ },
  ])('server.pull: $pull of an image that is gone names it, and the other connectors are served', async ({ pull, says }) => {
    const gone = '127.0.0.1:9/nobody/gone:1';
    await write({ boxed: tag, gone }, `  pull: ${pull}\n`);
    await using proxy = await startServeProcess(['--config', config()], { environment });
    expect(await invoke(proxy.url, 'boxed')).toMatchObject({ status: 200 });
    const { text, status } = await invoke(proxy.url, 'gone');
    expect(status).toBeGreaterThanOrEqual(400);
    expect(text).toContain('image_unavailable');
    expect(text).toContain(gone);
    expect(text).toMatch(says);
  });
});
