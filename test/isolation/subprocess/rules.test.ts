import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProcessNotice, Runner } from '../../../src/runner/runner.ts';
import { createSubprocessRunner } from '../../../src/runner/subprocess.ts';
import type { Hostile } from '../attacks.ts';
import { evilFiles, type RuleScene, ruleAttacks, setRuleScene } from '../rule-attacks.ts';
import { hostileFolder, startHostile } from './hostile-folder.ts';
import { makeSpare, spawnersOf, waitForSpares } from './waiting-bwraps.ts';

const folder = hostileFolder();
let scene: RuleScene;

beforeAll(async () => {
  scene = await setRuleScene();
  for (const [name, text] of Object.entries(evilFiles)) writeFileSync(join(folder.path, name), text);
});

afterAll(async () => {
  await scene[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const kinds = [
  ['perl', 'perl', true],
  ['perl-alone', 'perl', false],
  ['node', 'node', true],
] as const;

describe.each(kinds)('a hostile connector with rules, its listeners made by %s', (tag, helper, keepsSpares) => {
  let runner: Runner;
  let hostile: Hostile;
  const notices: ProcessNotice[] = [];

  beforeAll(async () => {
    runner = createSubprocessRunner({ egress: scene.gateway, helper, keepsSpares });
    // One of the kinds is attacked in a bwrap that had waited.
    if (helper === 'perl' && keepsSpares) await makeSpare({ runner, folder: folder.path, changes: scene.policy });
    hostile = await startHostile({ runner, folder: folder.path, changes: scene.policy, notices });
  });
  afterAll(async () => {
    await runner.close();
  });

  it('has a spawner only where that can be', () => {
    expect(spawnersOf()).toHaveLength(helper === 'perl' && keepsSpares ? 1 : 0);
  });

  ruleAttacks({ scene: () => scene, hostile: () => hostile, notices, tag, isRouted: helper === 'perl' });

  it('leaves no listener, connection or namespace behind when it ends', async () => {
    const sockets = () => readdirSync('/proc/self/fd').length;
    hostile.process.kill();
    await hostile.process.exited;
    await waitForSpares(keepsSpares ? 1 : 0);
    const before = sockets();
    const other = await startHostile({ runner, folder: folder.path, changes: scene.policy });
    await waitForSpares(keepsSpares ? 1 : 0);
    expect(sockets()).toBeGreaterThan(before);
    other.process.kill();
    await other.process.exited;
    await expect.poll(sockets, { timeout: 10_000 }).toBeLessThanOrEqual(before);
  });
});
