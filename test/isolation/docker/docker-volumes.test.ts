import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LogLine, recorder } from '../../helpers/dispatching.ts';
import { requireEngine, startRunner, textOf } from '../../helpers/docker-runner.ts';
import { declaredVolumes, volumesImage } from './volumes-image.ts';

const engine = await requireEngine(['shell']);

describe.skipIf(engine === undefined).each([
  ['pipes', true],
  ['attach', false],
])('the volumes of an image, with stdio by %s,', (_, shareFiles) => {
  let image: string;
  let folder: string;

  beforeAll(async () => {
    image = await volumesImage(engine, 'many');
    folder = await mkdtemp(join(tmpdir(), 'bulkhead-volumes-'));
  }, 60_000);

  afterAll(async () => await rm(folder, { recursive: true, force: true }));

  test('give it nowhere to write but /tmp, and no volume of the engine', async () => {
    const lines: LogLine[] = [];
    await using under = await startRunner({ shareFiles, logger: recorder(lines) });
    const process = await under.start(image);
    const [name = ''] = await under.containers();
    const { Mounts } = await under.engine.docker.getContainer(name.slice(1)).inspect();
    expect(Mounts.filter(({ Type }) => Type === 'volume')).toEqual([]);
    process.stdin.end('go\n');
    const said = (await textOf(process.stdout)).split('\n');
    expect(await process.exited).toMatchObject({ exitCode: 0 });
    expect(said.filter((line) => line.endsWith(' writable'))).toEqual(['/tmp writable']);
    expect(said.filter((line) => line.endsWith(' refused'))).toHaveLength(declaredVolumes.length - 1);
    // The last one is on top: /linked is the same place.
    const scratch = said.findLast((line) => line.includes(' /scratch '));
    for (const option of ['tmpfs ro,', 'nosuid', 'nodev', 'noexec', 'size=64k', 'nr_inodes=512']) expect(scratch).toContain(option);
    expect(lines.map(({ message }) => message)).toContainEqual(expect.stringMatching(/^the volumes that the image declares are empty/));
  });

  test('leave a granted data folder where it is', async () => {
    await using under = await startRunner({ shareFiles });
    const process = await under.start(image, { dataFolder: folder });
    process.stdin.end('go\n');
    expect(await textOf(process.stdout)).toMatch(/ \/data (?!tmpfs)/);
    await process.exited;
  });
});

describe.skipIf(engine === undefined)('an image is refused', () => {
  test.each([
    ['dev', ['/dev/shm'], {}, 'the volume “/dev/shm”, where the engine keeps a folder of its own; build it without that VOLUME'],
    ['data', ['/data/below'], { dataFolder: tmpdir() }, 'the volume “/data/below” within /data, which is a folder of the host'],
    ['pipes', ['/run/bulkhead/below'], {}, 'the volume “/run/bulkhead/below” within /run/bulkhead'],
    ['control', ['/a\u001bb'], {}, 'the volume “/a\\x1bb”, which is no folder that can be covered'],
    ['hundreds', Array.from({ length: 300 }, (_, index) => `/v/${index}`), {}, 'declares 300 volumes, of which at most 64 can be covered'],
  ])('for a volume that cannot be covered: %s', async (name, volumes, policy, message) => {
    const image = await volumesImage(engine, name, volumes);
    await using under = await startRunner();
    await expect(under.start(image, policy)).rejects.toMatchObject({
      code: 'image_unavailable',
      message: expect.stringContaining(message),
    });
  });
});
