import { once } from 'node:events';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { ConnectorName } from '../../../src/manifest/names.ts';
import { bwrapNeeds } from '../../../src/runner/bwrap-limits.ts';
import { isRunning } from '../../../src/runner/process-tree.ts';
import type { ProcessNotice, Runner } from '../../../src/runner/runner.ts';
import { createSubprocessRunner } from '../../../src/runner/subprocess.ts';
import type { ResourceLimits } from '../../../src/sandbox/policy.ts';
import { hostileFolder, policy, startHostile } from './hostile-folder.ts';

const folder = hostileFolder();
// Where there are no cgroups for us, both are the watchdog.
const runners = { cgroup: createSubprocessRunner(), watchdog: createSubprocessRunner({ limits: 'watchdog' }) };

afterAll(async () => {
  for (const runner of Object.values(runners)) await runner.close();
  folder[Symbol.dispose]();
});

const mebibyte = 2 ** 20;
/** Far longer than the watchdog pauses on a busy machine. */
const noticeTimeoutMs = 20_000;

describe.each(['cgroup', 'watchdog'] as const)('limits held by the %s', (kind) => {
  const start = (options: Partial<Parameters<typeof startHostile>[0]> = {}) =>
    startHostile({ runner: runners[kind], folder: folder.path, ...options });

  it.each([
    ['python', 'private'],
    ['python', 'shared'],
    ['python', 'children'],
    ['node', 'private'],
  ] as const)('end a connector in %s that takes too much %s memory, and say so (attacks 45, 46)', async (language, memoryKind) => {
    const hostile = await start({ language });
    await expect(hostile.attack('memory', { kind: memoryKind, max: 600 * mebibyte, hold: 20 })).rejects.toThrow(/ended/);
    const { breach } = await hostile.process.exited;
    expect(breach).toMatchObject({
      code: 'memory_exceeded',
      message: expect.stringMatching(/^Connector hostile used \d+ MiB of memory, its limit is 128 MiB/),
    });
  });

  it('end a connector whose first thread ended while another takes too much memory', async () => {
    const hostile = await start();
    await expect(hostile.attack('survivor', { max: 300 * mebibyte, hold: 20 })).rejects.toThrow(/ended/);
    expect((await hostile.process.exited).breach).toMatchObject({ code: 'memory_exceeded' });
  });

  it('let one start programs that holds more than half of its memory, though each has all of that for a moment', async () => {
    const hostile = await start();
    expect(await hostile.attack('spawns', { hold: 80 * mebibyte, count: 1500 })).toMatchObject([{ outcome: 'succeeded' }]);
    hostile.process.kill();
    await hostile.process.exited;
  });

  it.each(['/tmp', '/dev/shm'])('end a connector that makes files without end in %s, and say so (attack 47)', async (path) => {
    const hostile = await start();
    await expect(hostile.attack('inodes', { path, max: 200_000, hold: 20 })).rejects.toThrow(/ended/);
    const { breach } = await hostile.process.exited;
    // Where memory is counted, the files may use that up first.
    if (breach?.code === 'memory_exceeded' && kind === 'cgroup') return;
    expect(breach).toMatchObject({
      code: 'disk_exceeded',
      message: expect.stringMatching(
        new RegExp(`^Connector hostile made \\d+ files in ${path}, over its limit of 2000; raise limits\\.tmpInodes`),
      ),
    });
  });

  it('tell of forks that were refused, and let the connector live (attack 44)', async () => {
    const notices: ProcessNotice[] = [];
    const hostile = await start({ notices });
    const attack = hostile.attack('forks', { max: 400, hold: 'told' });
    await vi.waitFor(() => expect(notices).toContainEqual(expect.objectContaining({ code: 'process_limit' })), noticeTimeoutMs);
    hostile.process.stdin.write('\n');
    expect(await attack).toMatchObject([{ outcome: 'refused', detail: expect.stringMatching(/^EAGAIN after (3\d|4\d)$/) }]);
    hostile.process.kill();
    await hostile.process.exited;
  });

  it('tell of a /tmp that is full (attack 47)', async () => {
    const notices: ProcessNotice[] = [];
    const hostile = await start({ notices });
    const attack = hostile.attack('disk', { path: '/tmp', max: 200 * mebibyte, hold: 'told' });
    await vi.waitFor(() => expect(notices).toContainEqual(expect.objectContaining({ code: 'disk_exceeded' })), noticeTimeoutMs);
    hostile.process.stdin.write('\n');
    expect(await attack).toMatchObject([{ outcome: 'refused', detail: expect.stringContaining('ENOSPC') }]);
    hostile.process.kill();
    await hostile.process.exited;
  });

  it('end a connector that writes too big a file, and say so', async () => {
    const hostile = await start({ limits: { fileBytesMax: 5 * mebibyte } });
    await expect(hostile.attack('big_file', { max: 20 * mebibyte })).rejects.toThrow(/ended/);
    expect(await hostile.process.exited).toMatchObject({ signal: 'SIGXFSZ', breach: { code: 'disk_exceeded' } });
  });

  it('end a connector that used up its CPU time, and say so (attack 48)', async () => {
    const hostile = await start({ limits: { cpuTimeMaxMs: 1000 } });
    await expect(hostile.attack('spin', { seconds: 60 })).rejects.toThrow(/ended/);
    expect(await hostile.process.exited).toMatchObject({ signal: 'SIGXCPU', breach: { code: 'cpu_exceeded' } });
  });
});

/** What a command of the hostile folder prints first; it may never end by itself. */
async function outputOf(runner: Runner, command: readonly string[], changes: Partial<ResourceLimits> = {}): Promise<string> {
  const source = { type: 'folder', folder: folder.path, command } as const;
  const limited = { ...policy, limits: { ...policy.limits, ...changes } };
  const started = await runner.start(
    { connector: 'hostile' as ConnectorName, policy: limited, source, onNotice: () => {} },
    new AbortController().signal,
  );
  const [output] = (await once(started.stdout, 'data')) as [Buffer];
  started.kill();
  await started.exited;
  return output.toString();
}

describe.each(['cgroup', 'watchdog'] as const)('limits held by the %s', (kind) => {
  it.each([
    ['the least that bwrap can be born with', bwrapNeeds.descriptors, bwrapNeeds.fileBytes],
    ['less than bwrap needs itself', 16, 1024],
  ])('may be %s', async (_, descriptorsMax, fileBytesMax) => {
    for (const who of ['1', 'self']) {
      const said = await outputOf(runners[kind], ['cat', `/proc/${who}/limits`], { descriptorsMax, fileBytesMax });
      expect(said).toMatch(new RegExp(`^Max open files +${descriptorsMax} +${descriptorsMax} `, 'm'));
      expect(said).toMatch(new RegExp(`^Max file size +${fileBytesMax} +${fileBytesMax} `, 'm'));
    }
  });

  it('are those of the first process too, which the connector could make run its code', async () => {
    const limitsOf = async (who: string) => {
      const lines = (await outputOf(runners[kind], ['cat', `/proc/${who}/limits`])).split('\n');
      return lines.filter((line) => /^Max (?:processes|open files|file size|core|locked|data)/.test(line)).map((line) => line.slice(0, 66));
    };
    const [first, own] = [await limitsOf('1'), await limitsOf('self')];
    expect(first).toHaveLength(6);
    // A cgroup that counts them holds that process, too, and all that it could be made to start.
    const isCounted = (await runners[kind].limits()).processes === 'hard (cgroup)';
    const held = (lines: readonly string[]) => lines.filter((line) => !isCounted || !line.startsWith('Max processes'));
    expect(held(first)).toEqual(held(own));
    if (!isCounted) return;
    const cgroupsOf = (who: string) => outputOf(runners[kind], ['cat', `/proc/${who}/cgroup`]);
    expect(await cgroupsOf('1')).toContain(':/\n');
    expect(await cgroupsOf('1')).toBe(await cgroupsOf('self'));
  });

  it.runIf(process.arch === 'x64')('hold when the first process runs its code', async () => {
    const said = await outputOf(runners[kind], ['/usr/bin/python3', 'first_process.py', '300']);
    if (!said.startsWith('refused')) expect(Number(said)).toBeLessThanOrEqual(policy.limits.pidsMax + 2);
  });
});

describe('a share of the CPU', () => {
  it.skipIf(process.getuid?.() !== 0)('is what its limit says, where there are cgroups (attack 48)', async () => {
    const hostile = await startHostile({ runner: runners.cgroup, folder: folder.path, limits: { cpusMax: 0.25 } });
    const [result] = await hostile.attack('spin', { seconds: 3 });
    expect(Number(result?.detail)).toBeLessThan(0.35);
    hostile.process.kill();
    await hostile.process.exited;
  });
});

describe('a limit that the kernel does not take', () => {
  it.skipIf(process.getuid?.() !== 0)('is told as that, where there are cgroups', async () => {
    await expect(startHostile({ runner: runners.cgroup, folder: folder.path, limits: { pidsMax: -9 } })).rejects.toMatchObject({
      code: 'sandbox_unavailable',
      message: expect.stringContaining('connector hostile cannot be set up (the limits of its cgroup: EINVAL'),
    });
  });
});

describe('the end of a connector', () => {
  it.each([
    // A connector that ignores SIGTERM ends by SIGKILL alone; a stopped one may die of either, as both are pending when it is woken.
    { attack: 'stubborn', signals: ['SIGKILL'] },
    { attack: 'stop', signals: ['SIGKILL', 'SIGTERM'] },
  ])('is certain when it does this: $attack (attack 49)', async ({ attack, signals }) => {
    const hostile = await startHostile({ runner: runners.cgroup, folder: folder.path });
    await hostile.attack(attack);
    const pid = Number(hostile.process.label.split(' ')[1]);
    hostile.process.terminate();
    hostile.process.kill();
    expect(signals).toContain((await hostile.process.exited).signal);
    expect(await isRunning(pid)).toBe(false);
  });

  it('comes by terminate for one that does not mind', async () => {
    const hostile = await startHostile({ runner: runners.cgroup, folder: folder.path });
    hostile.process.terminate();
    expect(await hostile.process.exited).toEqual({ exitCode: null, signal: 'SIGTERM' });
  });
});
