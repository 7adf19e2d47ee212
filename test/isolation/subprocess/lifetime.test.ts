import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { commandLineOf, isRunning } from '../../../src/runner/process-tree.ts';
import { createSubprocessRunner } from '../../../src/runner/subprocess.ts';
import { hostileFolder, policy, startHostile } from './hostile-folder.ts';
import { childCommands, waitForSpares } from './waiting-bwraps.ts';

const folder = hostileFolder();
afterAll(() => folder[Symbol.dispose]());

describe.each(['SIGTERM', 'SIGKILL'] as const)('a proxy that gets %s while 20 connectors are busy', (signal) => {
  it('leaves no process and, once another proxy has started, no cgroup', async () => {
    const proxy = spawn(process.execPath, [join(import.meta.dirname, 'busy-proxy.ts'), folder.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(proxy.stdout, 'data')) as [Buffer];
    const { pids, spares } = JSON.parse(line.toString()) as { pids: number[]; spares: number[] };
    expect(pids).toHaveLength(20);
    expect(spares).toHaveLength(2);
    // Each has itself, a daemon that ignores SIGTERM, and the one that spins.
    const all = processesOfSandboxes(pids);
    expect(all.length).toBeGreaterThanOrEqual(60);
    proxy.kill(signal);
    await once(proxy, 'exit');
    await expect.poll(() => countRunning([...all, ...spares]), { timeout: 20_000 }).toBe(0);
    await startAndStop();
    expect(cgroupsOf(proxy.pid ?? 0)).toEqual([]);
  }, 120_000);
});

describe('a connector that ends by itself', () => {
  it('leaves no process, no cgroup and no descriptor', async () => {
    const runner = createSubprocessRunner();
    const start = async () => {
      const hostile = await startHostile({ runner, folder: folder.path });
      await hostile.attack('stubborn');
      const all = processesOfSandboxes([Number(hostile.process.label.split(' ')[1])]);
      hostile.process.stdin.end();
      await hostile.process.exited;
      return all;
    };
    await start();
    await waitForSpares();
    const before = readdirSync('/proc/self/fd').length;
    for (let run = 0; run < 5; run++) {
      const all = await start();
      // Without a cgroup nobody can wait for the last of a tree: the kernel tells of the end of the first a moment before it.
      await expect.poll(() => countRunning(all), { timeout: 5000 }).toBe(0);
    }
    await expect.poll(() => readdirSync('/proc/self/fd').length, { timeout: 5000 }).toBeLessThanOrEqual(before);
    await runner.close();
    expect(cgroupsOf(process.pid)).toEqual([]);
  });

  it('whose start is aborted throws the reason', async () => {
    const runner = createSubprocessRunner();
    const abort = new AbortController();
    const started = runner.start(
      {
        connector: 'x' as never,
        policy,
        source: { type: 'folder', folder: folder.path, command: ['sleep', '60'] },
        onNotice: () => {},
      },
      abort.signal,
    );
    abort.abort(new Error('no longer needed'));
    await expect(started).rejects.toThrow('no longer needed');
    await runner.close();
  });

  // A proxy that was stopped just then waited for ever for an exit that it had seen already.
  it('that becomes ready after its abort, and the end of its bwrap, is over all the same', async () => {
    // What is inside comes a moment after bwrap's end to what it was about to do.
    await giveUpStart('( while kill -0 $$ 2>&-; do sleep 0.01; done; sleep 0.2; printf r >&5; sleep 0.2 ) &');
    expect(childCommands()).toEqual([]);
  });

  // bubblewrap's child waits for its parent's word before it asks the kernel to end it with its parent.
  it('whose bwrap is killed before it has let go of its child leaves neither, and holds up nobody', async () => {
    const bwrapPath = await giveUpStart("( trap '' TERM HUP; while :; do sleep 0.1; done ) &");
    await expect.poll(() => processesWith(bwrapPath), { timeout: 1000 }).toEqual([]);
    expect(cgroupsOf(process.pid)).toEqual([]);
  });

  it('whose start is given up while it floods its output leaves no descriptor to a proxy that lives on', async () => {
    const waiting = 'while :; do sleep 0.1; done';
    const descriptorsAfter = async (childScript: string): Promise<number> => {
      let count = Number.NaN;
      await giveUpStart(childScript, async () => {
        // The next one waits already.
        await expect.poll(childCommands, { timeout: 5000 }).toContain(waitingBwrap);
        await waitForSpares(0);
        count = readdirSync('/proc/self/fd').length;
      });
      return count;
    };
    const before = await descriptorsAfter(`( ${waiting} ) &`);
    expect(await descriptorsAfter(`( head -c 600000 /dev/zero; ${waiting} ) &`)).toBeLessThanOrEqual(before);
  });
});

const waitingBwrap = ['sleep', '61', ''].join('\0');

/** Gives a start up while its bwrap, of which the script makes the child, waits for ever. `look`: at what there is then. */
async function giveUpStart(childScript: string, look = async (): Promise<void> => {}): Promise<string> {
  const bwrapPath = join(folder.path, `bwrap-${randomUUID()}`);
  const script = ['#!/bin/sh', childScript, `echo '{ "child-pid": '$!' }' >&6`, 'exec sleep 61', ''].join('\n');
  writeFileSync(bwrapPath, script, { mode: 0o755 });
  const runner = createSubprocessRunner({ bwrapPath });
  const abort = new AbortController();
  const spec = { connector: 'x' as never, policy, source: { type: 'folder', folder: folder.path, command: ['true'] } } as const;
  const failure = expect(runner.start({ ...spec, onNotice: () => {} }, abort.signal)).rejects.toThrow('no longer needed');
  await expect.poll(childCommands, { timeout: 5000 }).toContain(waitingBwrap);
  // A program that it starts is called as it for a moment.
  await expect.poll(() => processesWith(bwrapPath), { timeout: 5000 }).toHaveLength(1);
  abort.abort(new Error('no longer needed'));
  await failure;
  await look();
  await runner.close();
  return bwrapPath;
}

async function startAndStop(): Promise<void> {
  const runner = createSubprocessRunner();
  const hostile = await startHostile({ runner, folder: folder.path });
  hostile.process.kill();
  await hostile.process.exited;
  await runner.close();
}

/** All processes that share a pid namespace with one of these. */
function processesOfSandboxes(pids: readonly number[]): readonly number[] {
  const children = (pid: number): readonly number[] => {
    const below = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
    return [pid, ...below.flatMap(children)];
  };
  return pids.flatMap(children);
}

function processesWith(word: string): readonly string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => commandLineOf(Number(pid)).includes(word));
}

async function countRunning(pids: readonly number[]): Promise<number> {
  const running = await Promise.all(pids.map(isRunning));
  return running.filter(Boolean).length;
}

function cgroupsOf(pid: number): readonly string[] {
  const path = /^\d+:memory:(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'latin1'))?.[1];
  if (path === undefined) return [];
  return readdirSync(join('/sys/fs/cgroup/memory', path)).filter((name) => name.startsWith(`bulkhead.${pid}.`));
}
