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

describe.each(['perl', 'node'] as const)('a hostile connector with rules, its listeners made by %s', (helper) => {
  let runner: Runner;
  let hostile: Hostile;
  const notices: ProcessNotice[] = [];

  beforeAll(async () => {
    runner = createSubprocessRunner({ egress: scene.gateway, helper });
    // One of the two is attacked in a bwrap that had waited.
    if (helper === 'perl') await makeSpare({ runner, folder: folder.path, changes: scene.policy });
    hostile = await startHostile({ runner, folder: folder.path, changes: scene.policy, notices });
  });
  afterAll(async () => {
    await runner.close();
  });

  it('has no spawner started for it, which could not make its channel', () => {
    expect(spawnersOf()).toEqual([]);
  });

  ruleAttacks({ scene: () => scene, hostile: () => hostile, notices, tag: helper, isRouted: helper === 'perl' });

  it('leaves no listener, connection or namespace behind when it ends', async () => {
    const sockets = () => readdirSync('/proc/self/fd').length;
    hostile.process.kill();
    await hostile.process.exited;
    await waitForSpares();
    const before = sockets();
    const other = await startHostile({ runner, folder: folder.path, changes: scene.policy });
    await waitForSpares();
    expect(sockets()).toBeGreaterThan(before);
    other.process.kill();
    await other.process.exited;
    await expect.poll(sockets, { timeout: 10_000 }).toBeLessThanOrEqual(before);
  });
});
