import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runner } from '../../../src/runner/runner.ts';
import { createSubprocessRunner } from '../../../src/runner/subprocess.ts';
import { type Hostile, quietAttacks, setTraps, type Traps } from '../attacks.ts';
import { hostileFolder, startHostile } from './hostile-folder.ts';
import { makeSpare } from './waiting-bwraps.ts';

const secret = 'the-proxy-knows-this';
const folder = hostileFolder();
let traps: Traps;

beforeAll(async () => {
  process.env['BULKHEAD_TEST_SECRET'] = secret;
  traps = await setTraps([secret]);
});

afterAll(async () => {
  await traps[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const kinds = [
  { language: 'python', bwrap: 'new' },
  { language: 'python', bwrap: 'spare' },
  { language: 'node', bwrap: 'spare' },
] as const;

describe.each(kinds)('a hostile connector in $language, without network, in a $bwrap bwrap', ({ language, bwrap }) => {
  let runner: Runner;
  let hostile: Hostile;
  beforeAll(async () => {
    runner = createSubprocessRunner();
    if (bwrap === 'spare') await makeSpare({ runner, folder: folder.path });
    hostile = await startHostile({ runner, folder: folder.path, language });
  });
  afterAll(async () => {
    await runner.close();
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
      const { name, args } = quietAttacks(traps)[index]!;
      const results = await hostile.attack(name, args);
      expect(results.length).toBeGreaterThan(0);
      expect(results.filter(({ outcome }) => outcome !== 'refused')).toEqual([]);
    },
  );

  it('reached none of the traps', () => {
    expect(traps.hits()).toBe(0);
  });
});

describe('network: unsafe-host', () => {
  it('shares what is the host’s: the word is meant', async () => {
    const runner = createSubprocessRunner();
    const hostile = await startHostile({ runner, folder: folder.path, changes: { network: { type: 'unsafe-host' } } });
    const before = traps.hits();
    const results = await hostile.attack('network', { targets: [['127.0.0.1', traps.port]] });
    expect(results).toMatchObject([{ outcome: 'succeeded' }]);
    await expect.poll(() => traps.hits()).toBe(before + 1);
    expect((await hostile.attack('capabilities')).filter(({ outcome }) => outcome !== 'refused')).toEqual([]);
    await runner.close();
  });
});
