import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ConnectorName } from '../../../src/manifest/names.ts';
import type { ProcessNotice, Runner } from '../../../src/runner/runner.ts';
import { createSubprocessRunner } from '../../../src/runner/subprocess.ts';
import type { SandboxPolicy } from '../../../src/sandbox/policy.ts';
import type { Hostile } from '../attacks.ts';
import { evilFiles, type RuleScene, ruleAttacks, setRuleScene } from '../rule-attacks.ts';
import { hostileFolder, policy, startHostile } from './hostile-folder.ts';
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

describe.each(kinds)('a connector with rules, its listeners made by %s,', (_, helper, keepsSpares) => {
  let runner: Runner;
  beforeAll(() => {
    runner = createSubprocessRunner({ egress: scene.gateway, helper, keepsSpares });
  });
  afterAll(() => runner.close());

  const start = (command: readonly [string, ...string[]], changes: Partial<SandboxPolicy>) =>
    runner.start(
      {
        connector: 'hostile' as ConnectorName,
        policy: { ...policy, ...changes },
        source: { type: 'folder', folder: folder.path, command },
        onNotice: () => {},
      },
      new AbortController().signal,
    );

  it('starts its program as one without rules is started, with the same limits, and nothing more', async () => {
    const script = [
      // Where a cgroup counts processes, bwrap’s own has no limit of their number.
      'cat /proc/self/limits; grep -v "^Max processes" /proc/1/limits; pwd; tr "\\0" "\\n" </proc/$$/environ | grep -v -i proxy | sort; ls -m /proc/$$/fd',
      // Last, and as itself: while a shell forks, it holds back all signals.
      'echo "[$1]" "[$2]"; exec grep -E "^(Sig(Blk|Ign)|Cap|NoNewPrivs|Seccomp)" /proc/self/status',
    ].join('; ');
    const command = ['/bin/sh', '-c', script, 'sh', '', "it's ü"] as const;
    const changes = { environment: { EMPTY: '', TEXT: "it's $(id) ü" }, limits: { ...policy.limits, cpuTimeMaxMs: 5500 } };
    const said = async (network: Partial<SandboxPolicy>) => await text((await start(command, { ...changes, ...network })).stdout);
    const plain = await said({});
    expect(plain).toContain("TEXT=it's $(id) ü\n");
    expect(plain).toContain('\n/app\n');
    expect(plain).toContain("[] [it's ü]\n");
    expect(plain).toContain('SigBlk:\t0000000000000000\n');
    expect(await said({ network: scene.policy.network })).toBe(plain);
  });

  it('tells of a program that is not there as one without rules does', async () => {
    const ends = [{}, { network: scene.policy.network }].map(async (network) => {
      const process = await start(['./not-there'], network);
      const [said, { exitCode }] = await Promise.all([text(process.stderr), process.exited]);
      return [exitCode, said.includes('./not-there')];
    });
    expect(await Promise.all(ends)).toEqual([
      [127, true],
      [127, true],
    ]);
  });
});
