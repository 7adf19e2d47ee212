import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, cpSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { commandLineOf } from '../../../src/runner/process-tree.ts';
import { createSubprocessRunner } from '../../../src/runner/subprocess.ts';
import { hostileFolder, startHostile } from './hostile-folder.ts';
import { makeSpare, waitForSpares } from './waiting-bwraps.ts';

const folder = hostileFolder();
afterAll(() => folder[Symbol.dispose]());

it('descriptors that the proxy was born with do not reach a connector (attack 33)', () => {
  const secret = openSync('/etc/passwd', 'r');
  // As a careless supervisor would hand it on. (Node itself closes those just above stdio, but stops at the first gap.)
  const stdio = ['ignore', 'pipe', 'inherit', ...new Array<'ignore'>(37).fill('ignore'), secret] as const;
  const { stdout, status } = spawnSync(process.execPath, [join(import.meta.dirname, 'list-descriptors.ts'), folder.path], {
    stdio: [...stdio],
    encoding: 'utf8',
  });
  closeSync(secret);
  expect(status).toBe(0);
  const { inherited, seen, hasSpawner } = JSON.parse(stdout) as {
    inherited: number[];
    seen: { what: string; outcome: string; detail: string }[];
    hasSpawner: boolean;
  };
  expect(hasSpawner).toBe(true);
  expect(inherited).toEqual(expect.arrayContaining([40]));
  expect(seen.filter(({ outcome }) => outcome !== 'refused')).toEqual([]);
});

const kinds = [
  ['a new', 'pipes', { keepsSpares: true }],
  ['a spare', 'pipes', { keepsSpares: true }],
  ['a new', 'sockets', { keepsSpares: false }],
] as const;

it.each(kinds)(
  'descriptors that a connector in %s bwrap sends over its %s do not stay in the proxy (attack 65)',
  async (bwrap, has, options) => {
    const runner = createSubprocessRunner(options);
    if (bwrap === 'a spare') await makeSpare({ runner, folder: folder.path });
    const hostile = await startHostile({ runner, folder: folder.path });
    await waitForSpares(options.keepsSpares ? 1 : 0);
    const before = readdirSync('/proc/self/fd').length;
    const results = await hostile.attack('send_descriptors', { count: 50 });
    // The kernel bounds how many are on their way.
    expect(results[0]?.detail).toMatch(has === 'pipes' ? 'ENOTSOCK' : /sent|ETOOMANYREFS/);
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before + 2);
    await runner.close();
  },
);

it('pipes that a connector holds at both ends and makes small carry what they carried, and end with it (attack 67)', async () => {
  const runner = createSubprocessRunner();
  const hostile = await startHostile({ runner, folder: folder.path });
  await waitForSpares();
  const before = readdirSync('/proc/self/fd').length;
  expect(await hostile.attack('small_pipes')).toMatchObject(new Array(3).fill({ outcome: 'succeeded', detail: '4096' }));
  const paths = Array.from({ length: 5000 }, (_, index) => `/nowhere/${index}`);
  expect(await hostile.attack('reads', { paths })).toHaveLength(paths.length);
  hostile.process.kill();
  expect(await hostile.process.exited).toMatchObject({ signal: 'SIGKILL' });
  await expect.poll(() => readdirSync('/proc/self/fd').length, { timeout: 5000 }).toBeLessThan(before);
  await runner.close();
});

it('a data folder that is a link out of the connector’s folder is refused by name (attack 35)', async () => {
  symlinkSync('/etc', join(folder.path, 'data'));
  const runner = createSubprocessRunner();
  const started = startHostile({ runner, folder: folder.path, changes: { dataFolder: join(folder.path, 'data') } });
  await expect(started).rejects.toMatchObject({
    code: 'sandbox_unavailable',
    message: expect.stringContaining('/data, is a symbolic link that leaves'),
  });
  await runner.close();
});

it('a link inside the connector’s folder leads nowhere on the host (attack 36)', async () => {
  symlinkSync('/etc/shadow', join(folder.path, 'shadow'));
  symlinkSync('/root', join(folder.path, 'root'));
  const runner = createSubprocessRunner();
  const hostile = await startHostile({ runner, folder: folder.path });
  const results = await hostile.attack('reads', { paths: ['/app/shadow', '/app/root'] });
  expect(results).toMatchObject([{ outcome: 'refused' }, { outcome: 'refused' }]);
  await runner.close();
});

it.runIf(process.getuid?.() === 0)(
  'a connector behind a folder that is closed to the sandbox user runs, and sees nothing else of that folder',
  async () => {
    const closed = mkdtempSync(join(tmpdir(), 'bulkhead-closed-'));
    cpSync(folder.path, join(closed, 'connector'), { recursive: true, filter: (path) => !/\/(data|shadow|root)$/.test(path) });
    chmodSync(join(closed, 'connector'), 0o755);
    chmodSync(closed, 0o700);
    const runner = createSubprocessRunner();
    const mounts = () => readFileSync('/proc/self/mountinfo', 'latin1').split('\n').length;
    const before = mounts();
    const hostile = await startHostile({ runner, folder: join(closed, 'connector') });
    expect((await hostile.attack('scratch')).filter(({ outcome }) => outcome !== 'succeeded')).toEqual([]);
    expect((await hostile.attack('capabilities')).filter(({ outcome }) => outcome !== 'refused')).toEqual([]);
    expect(await hostile.attack('reads', { paths: [closed, '/run/0', `/app/..${closed}`] })).toMatchObject(
      new Array(3).fill({ outcome: 'refused' }),
    );
    expect(await hostile.attack('writes', { paths: ['/app', '/proc/sys/kernel/core_pattern'] })).toMatchObject(
      new Array(2).fill({ outcome: 'refused' }),
    );
    expect(mounts()).toBe(before);
    await runner.close();
    rmSync(closed, { recursive: true });
  },
);

it('the arguments of the sandbox do not show in the list of processes', async () => {
  const runner = createSubprocessRunner();
  await startHostile({ runner, folder: folder.path, changes: { environment: { TOKEN: 'not-to-be-seen' } } });
  const text = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => commandLineOf(Number(pid)).replaceAll('\0', ' '))
    .join('\n');
  expect(text).toContain('bwrap --args 4');
  expect(text).not.toContain('not-to-be-seen');
  await runner.close();
});
