import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lockInstance } from '../../../src/runner/docker-instance.ts';
import { startOwnDaemon } from '../../helpers/docker-daemon.ts';
import { buildImage, type RunnerUnderTest, requireEngine, startRunner } from '../../helpers/docker-runner.ts';
import { writerImage, writesOf } from './writer-image.ts';

const engine = await requireEngine(['shell']);
const isRoot = process.getuid?.() === 0;

describe.skipIf(engine === undefined)('folders of the host', () => {
  let folder = '';
  let image = '';

  beforeAll(async () => {
    image = await writerImage(engine);
    folder = await mkdtemp(join(tmpdir(), 'bulkhead-folders-'));
    await chmod(folder, 0o755);
  }, 60_000);

  afterAll(async () => await rm(folder, { recursive: true, force: true }));

  test.runIf(isRoot)('what is mounted below a read-only path cannot be written, nor seen', async () => {
    const below = join(folder, 'below');
    await mkdir(below, { mode: 0o777 });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=1777', 'bulkhead-test', below]);
    try {
      await writeFile(join(below, 'secret'), '');
      await using under = await startRunner();
      const process = await under.start(image, { readOnlyPaths: [folder] });
      expect(await writesOf(process, [folder, below])).toEqual([`${folder} refused below`, `${below} refused`]);
      expect(existsSync(join(below, 'file'))).toBe(false);
    } finally {
      execFileSync('umount', [below]);
    }
  });

  test.runIf(isRoot).each([true, false])('a data folder is written as its owner, with shared pipes: %s', async (shareFiles) => {
    const data = await mkdtemp(join(folder, 'data-'));
    await chown(data, 12_345, 12_345);
    await chmod(data, 0o700);
    await using under = await startRunner({ shareFiles });
    expect(await writesOf(await under.start(image, { dataFolder: data }), ['/data'])).toEqual(['/data writable']);
  });
});

describe.skipIf(engine === undefined)('the engine goes on sharing folders with all others', () => {
  const stillShares = async ({ runner }: RunnerUnderTest) => expect(await runner.host().sharesFiles()).toBe(true);

  test('when a path of the config is gone', async () => {
    const image = await writerImage(engine);
    await using under = await startRunner();
    await expect(under.start(image, { readOnlyPaths: ['/nowhere/bulkhead'] })).rejects.toMatchObject({
      code: 'sandbox_unavailable',
      message: expect.stringContaining('/nowhere/bulkhead'),
    });
    await stillShares(under);
  });

  test('when an image has such words quoted in a refusal', async () => {
    if (engine === undefined) return;
    const { docker } = engine;
    const words = '/bind source path does not exist: bind mount';
    const base = await buildImage(engine, 'bulkhead-test/quoted-base:local', `FROM bulkhead-base/shell:local\nRUN touch "${words}"\n`);
    // The builder itself would refuse a folder that is a file.
    const { id } = await docker.createContainer({ Image: base, Cmd: ['true'] });
    await docker.getContainer(id).commit({ repo: 'bulkhead-test/quoted', tag: 'local', changes: `WORKDIR ${words}` });
    await docker.getContainer(id).remove();
    await using under = await startRunner();
    await expect(under.start('bulkhead-test/quoted:local')).rejects.toMatchObject({
      code: 'connector_start_failed',
      message: expect.stringContaining(words),
    });
    await stillShares(under);
  });

  test.runIf(isRoot)('until it does not see the one it is to share: then it speaks by attach', { timeout: 120_000 }, async () => {
    if (engine === undefined) return;
    const image = await writerImage(engine);
    await using daemon = await startOwnDaemon();
    const saved = await engine.docker.getImage(image).get();
    const loaded = (await daemon.engine.docker.loadImage(saved as NodeJS.ReadableStream)) as Readable;
    for await (const _ of loaded);
    const stateFolder = await mkdtemp(join(tmpdir(), 'bulkhead-folders-'));
    // The daemon has mounts of its own since its start.
    execFileSync('mount', ['-t', 'tmpfs', 'bulkhead-test', stateFolder]);
    try {
      await using under = await startRunner({ engine: daemon.address, instance: await lockInstance({ stateFolder }) });
      const [one, two] = await Promise.all([under.start(image), under.start(image)]);
      expect(await under.runner.host().sharesFiles()).toBe(false);
      for (const process of [one, two]) expect(await writesOf(process, ['/tmp'])).toEqual(['/tmp writable']);
    } finally {
      execFileSync('umount', [stateFolder]);
      await rm(stateFolder, { recursive: true, force: true });
    }
  });
});
