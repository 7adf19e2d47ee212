import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunnerUnderTest, requireEngine, startRunner } from '../../helpers/docker-runner.ts';
import { type Hostile, hostileIn, quietAttacks, setTraps, type Traps } from '../attacks.ts';
import { hostileImage, ownToContainers } from './hostile-image.ts';

const engine = await requireEngine(['shell', 'node', 'python']);
const secret = 'the-proxy-knows-this';

describe.skipIf(engine === undefined).each(['python', 'node'] as const)('a hostile image in %s, without network', (language) => {
  let under: RunnerUnderTest;
  let traps: Traps;
  let hostile: Hostile;

  beforeAll(async () => {
    if (engine === undefined) return;
    const image = await hostileImage(engine, language);
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

  it.runIf(language === 'python')('has no pseudo terminal but its own, and cannot type into that (attack 41)', async () => {
    const results = await hostile.attack('own_terminal');
    expect(results.filter(({ outcome }) => outcome !== 'refused')).toEqual([]);
    expect(results.map(({ detail }) => detail)).toEqual([expect.stringContaining('only ['), 'EPERM', 'EPERM']);
  });

  it('reached none of the traps', () => {
    expect(traps.hits()).toBe(0);
  });
});
