import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildImage, type RunnerUnderTest, requireEngine, startRunner } from '../../helpers/docker-runner.ts';
import { type Hostile, hostileIn, quietAttacks, setTraps, type Traps } from '../attacks.ts';

const engine = await requireEngine(['shell', 'node', 'python']);
const secret = 'the-proxy-knows-this';
const fixtures = join(import.meta.dirname, '../../fixtures/hostile');
const programs = {
  python: { base: 'python', file: 'main.py', command: '["python3", "-u", "/app/main.py"]' },
  node: { base: 'node', file: 'main.mjs', command: '["node", "/app/main.mjs"]' },
} as const;

/** What a container has and a sandbox has not; none of it is the host's. The reasons are in docs/docker.md. */
const ownToContainers = [
  // The image's own folders, empty or not.
  /^read \/(root|home|var|mnt|srv|boot)$/,
  // Mounted read-only in every container; its secrets are root's.
  /^read \/sys$/,
  // Its own devpts, without anybody else's terminals; typing into one (TIOCSTI) is refused.
  /^open a pseudo terminal$/,
];

describe.skipIf(engine === undefined).each(['python', 'node'] as const)('a hostile image in %s, without network', (language) => {
  let under: RunnerUnderTest;
  let traps: Traps;
  let hostile: Hostile;

  beforeAll(async () => {
    if (engine === undefined) return;
    const { base, file, command } = programs[language];
    const dockerfile = `FROM bulkhead-base/${base}:local\nCOPY ${file} /app/${file}\nWORKDIR /app\nENTRYPOINT ${command}\n`;
    const image = await buildImage(engine, `bulkhead-test/hostile-${language}:local`, dockerfile, {
      [file]: readFileSync(join(fixtures, file), 'utf8'),
    });
    process.env['BULKHEAD_TEST_SECRET'] = secret;
    traps = await setTraps([secret]);
    under = await startRunner();
    hostile = hostileIn(await under.start(image));
  }, 180_000);

  afterAll(async () => {
    await under?.[Symbol.asyncDispose]();
    await traps?.[Symbol.asyncDispose]();
  });

  it('can work: write to /tmp, run programs and threads, read its code, listen', async () => {
    const results = await hostile.attack('scratch');
    expect(results.filter(({ outcome }) => outcome !== 'succeeded')).toEqual([]);
  });

  // The traps exist only once the tests run; their places in the list do not depend on them.
  const list = quietAttacks({ port: 0, addresses: [], unixPaths: [], foreignPaths: [], secrets: [] } as unknown as Traps);
  it.each(list.flatMap((attack, index) => (attack.languages.includes(language) ? [{ ...attack, index }] : [])))(
    'cannot $what (attack $numbers)',
    async ({ index }) => {
      const attack = quietAttacks(traps)[index];
      const results = await hostile.attack(attack?.name ?? '', attack?.args);
      expect(results.length).toBeGreaterThan(0);
      const succeeded = results.filter(({ outcome }) => outcome !== 'refused');
      expect(succeeded.filter(({ what }) => !ownToContainers.some((own) => own.test(what)))).toEqual([]);
    },
  );

  it('reached none of the traps', () => {
    expect(traps.hits()).toBe(0);
  });
});
