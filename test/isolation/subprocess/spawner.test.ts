import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { hasEnded, type OuterProcess, streamOf, untilEnded } from '../../../src/runner/outer-process.ts';
import { isRunning, processStat } from '../../../src/runner/process-tree.ts';
import {
  type PipePlan,
  pipeBytes,
  type Spawner,
  type SpawnRequest,
  spawnerCalls,
  spawnerWaits,
  startSpawner,
} from '../../../src/runner/spawner.ts';
import { keepSpawner } from '../../../src/runner/spawner-keeper.ts';
import { createSubprocessRunner } from '../../../src/runner/subprocess.ts';
import type { FilterArchitecture } from '../../../src/sandbox/syscalls.ts';
import { hostileFolder, startHostile } from './hostile-folder.ts';
import { makeSpare, spawnersOf, waitForSpares } from './waiting-bwraps.ts';

const architecture = process.arch as FilterArchitecture;
const isRoot = process.getuid?.() === 0;
const nullDescriptor = openSync('/dev/null', 'r+');
afterAll(() => closeSync(nullDescriptor));

async function started(): Promise<Spawner> {
  const spawner = await startSpawner({ architecture, nullDescriptor });
  if (spawner === undefined) throw new Error('There is no spawner.');
  return spawner;
}

const stdio: readonly PipePlan[] = [
  { number: 0, direction: 'input' },
  { number: 1, direction: 'output' },
  { number: 2, direction: 'output' },
];

const shell = (script: string, more: Partial<SpawnRequest> = {}): SpawnRequest => ({
  program: ['/bin/sh', '-c', script],
  user: undefined,
  owner: undefined,
  pipes: stdio,
  files: [],
  limits: [],
  ...more,
});

/** Once told to, sends a message without a listener, listeners with others, and then one as prelude.pl does it; says what it is told there. */
const sendsListeners = `
  my $go = <STDIN>;
  require '${fileURLToPath(new URL('../../../src/runner/namespace-helper/hand-over.pl', import.meta.url))}';
  open(my $channel, '+<&=', 3) or die;
  my $loopback = "\\x7f\\0\\0\\1";
  socket(my $listener, 2, 1, 0) or die;
  bind($listener, pack('S n a4 x8', 2, 0, $loopback)) && listen($listener, 8) or die;
  my $message = '{"cmd":"NODE_HANDLE","type":"net.Server","dgramType":"udp4","msg":{"index":4}}';
  syswrite($channel, "$message\\n");
  hand_over(${spawnerCalls[architecture][0]}, $channel, $listener, $_)
    for '{"id":0,"code":0}', qq({"ready":true}\\n$message), $message =~ s/index/code/r, $message;
  close $channel;
  socket(my $client, 2, 1, 0) or die;
  connect($client, pack('S n a4 x8', 2, unpack('x2 n', getsockname $listener), $loopback)) or die;
  print <$client>;
`;

/** As a bwrap that is killed amid its start: its child, in its group, would live on, and holds its pipes. */
const leavesOne = (rest: string) => `sleep 61 & echo $!; ${rest}`;

async function endOf(child: OuterProcess): Promise<readonly [number | null, string | null]> {
  await untilEnded(child);
  return [child.exitCode, child.signalCode];
}

const outputOf = (child: OuterProcess, descriptor = 1) => text(streamOf(child, descriptor) as Readable);

describe('a process that the spawner made', () => {
  let spawner: Spawner;
  beforeEach(async () => {
    spawner = await started();
  });
  afterEach(() => spawner.close());

  it('has an empty environment, the root folder, no signal ignored or held back, and nothing but what it was given', async () => {
    const script =
      'readlink /proc/$$/cwd; tr "\\\\0" " " </proc/$$/environ; echo; ls -m /proc/$$/fd; exec grep -E "^Sig(Blk|Ign)" /proc/self/status';
    const child = await spawner.spawn(shell(script, { pipes: [...stdio, { number: 5, direction: 'input' }], files: [nullDescriptor] }));
    expect((await outputOf(child)).split('\n')).toEqual([
      '/',
      '',
      '0, 1, 2, 5, 6',
      expect.stringMatching(/^SigBlk:\t0+$/),
      expect.stringMatching(/^SigIgn:\t0+$/),
      '',
    ]);
  });

  it('has its limits, and no way back from them', async () => {
    const limits = [
      { resource: 7, hard: 100 },
      { resource: 1, hard: 5 * 2 ** 20 },
    ];
    const child = await spawner.spawn(
      shell('ulimit -S -n; ulimit -H -n; ulimit -H -f; ulimit -H -c; ulimit -n 101', {
        limits,
        user: isRoot ? { uid: 65534, gid: 65534, name: 'nobody' } : undefined,
      }),
    );
    const [said, failed] = await Promise.all([outputOf(child), outputOf(child, 2)]);
    expect(said).toBe('100\n100\n10240\nunlimited\n');
    expect(failed).toContain('not permitted');
  });

  it('leaves what outlives it to the spawner, which waits for its end', async () => {
    // In a group of its own by the time that its parent ends: the others are killed.
    const own = 'setpgrp 0, 0; close $_ for *R, *W, *STDOUT, *STDERR; sleep 1';
    const program = `pipe R, W; if (my $pid = fork) { close W; <R>; print "$pid ", getppid } else { ${own} }`;
    const child = await spawner.spawn(shell(`exec perl -e '${program}'`));
    const [left = 0, parent] = (await outputOf(child)).split(' ').map(Number);
    await endOf(child);
    expect((await processStat(left))?.parent).toBe(parent);
    await expect.poll(() => existsSync(`/proc/${left}`), { timeout: 5000 }).toBe(false);
  });

  it('that cannot be limited does not begin', async () => {
    const child = await spawner.spawn(shell('echo here', { limits: [{ resource: 99, hard: 1 }] }));
    expect(await Promise.all([outputOf(child), outputOf(child, 2)])).toEqual(['', expect.stringContaining('limit 99: ')]);
    expect(await endOf(child)).toEqual([127, null]);
  });

  it('reads files of this process from their start, whatever was read of them here', async () => {
    const file = openSync(import.meta.filename, 'r');
    const before = readFileSync(file, 'utf8');
    const child = await spawner.spawn(shell('cat <&3', { files: [file] }));
    expect(await outputOf(child)).toBe(before);
    closeSync(file);
  });

  it('tells how it ended', async () => {
    expect(await endOf(await spawner.spawn(shell('exit 7')))).toEqual([7, null]);
    expect(await endOf(await spawner.spawn(shell('kill -TERM $$')))).toEqual([null, 'SIGTERM']);
  });

  it('is killed on demand, and not again once its number may be another’s', async () => {
    const child = await spawner.spawn(shell('trap "" TERM; echo there; exec sleep 61'));
    await new Promise((resolve) => streamOf(child, 1).once('data', resolve));
    child.kill('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(hasEnded(child)).toBe(false);
    child.kill('SIGKILL');
    expect(await endOf(child)).toEqual([null, 'SIGKILL']);
    child.kill('SIGKILL');
    expect(await endOf(await spawner.spawn(shell('exit 1')))).toEqual([1, null]);
  });

  it('that cannot be run ends, and says why', async () => {
    const child = await spawner.spawn({ ...shell(''), program: ['/nowhere/at all'] });
    expect(await outputOf(child, 2)).toBe('bulkhead: /nowhere/at all: No such file or directory\n');
    expect(await endOf(child)).toEqual([127, null]);
  });

  it('is refused when a file is not there, and takes no others with it', async () => {
    const before = readdirSync('/proc/self/fd').length;
    await expect(spawner.spawn(shell('', { files: [9999] }))).rejects.toThrow('descriptor 9999 of the proxy: No such file or directory');
    expect(await endOf(await spawner.spawn(shell('exit 2')))).toEqual([2, null]);
    await expect.poll(() => readdirSync('/proc/self/fd').length, { timeout: 5000 }).toBe(before);
  });

  it('gets words as they are, whatever is in them', async () => {
    const words = ['', ' ', 'a\tb\nc', '-', ',', '"$(id)"', 'ü'];
    const child = await spawner.spawn({ ...shell(''), program: ['/usr/bin/printf', '[%s]', ...words] });
    expect(await outputOf(child)).toBe(words.map((word) => `[${word}]`).join(''));
  });

  it('is one of many at the same time, each with streams of its own, and nothing stays', async () => {
    const before = readdirSync('/proc/self/fd').length;
    const children = await Promise.all(Array.from({ length: 40 }, (_, index) => spawner.spawn(shell(`read line; echo "$line ${index}"`))));
    children.forEach((child, index) => void streamOf(child, 0).end(`line ${index}\n`));
    const outputs = await Promise.all(children.map((child) => outputOf(child)));
    expect(outputs).toEqual(children.map((_, index) => `line ${index} ${index}\n`));
    expect(await Promise.all(children.map(endOf))).toEqual(children.map(() => [0, null]));
    await expect.poll(() => readdirSync('/proc/self/fd').length, { timeout: 5000 }).toBe(before);
    expect(readdirSync(`/proc/${spawnersOf()[0]}/fd`).length).toBeLessThanOrEqual(6);
  });

  it('has pipes that hold what was asked for, or sockets where that is more than it may have', async () => {
    const sized = (bytes: number) => ({ pipes: [...stdio, { number: 3, direction: 'output', bytes }] as const });
    const held = 'perl -e \'open my $pipe, ">&=3"; print 0 + fcntl($pipe, 1032, 0), " ", readlink "/proc/self/fd/3"\'';
    expect(await outputOf(await spawner.spawn(shell(held, sized(pipeBytes.message))))).toMatch(/^1048576 pipe:/);
    expect(await outputOf(await spawner.spawn(shell(held)))).toMatch(/^0 $/);
    const refused = await spawner.spawn(shell(`${held}; echo through >&3`, sized(2 ** 32 - 1)));
    expect(await outputOf(refused)).toMatch(/^0 socket:/);
    expect(await outputOf(refused, 3)).toBe('through\n');
  });

  it('reads and writes a message larger than its pipes, both ways at once', async () => {
    const child = await spawner.spawn(shell('exec cat'));
    const message = Buffer.alloc(5_000_000, 'message ');
    streamOf(child, 0).end(message);
    expect((await buffer(streamOf(child, 1))).equals(message)).toBe(true);
    expect(await endOf(child)).toEqual([0, null]);
  });

  it('finds its input at its end once that is ended here', async () => {
    const child = await spawner.spawn(shell('while read line; do echo "$line"; done; echo end'));
    streamOf(child, 0).write('one\n');
    await new Promise((resolve) => streamOf(child, 1).once('readable', resolve));
    streamOf(child, 0).end();
    expect(await outputOf(child)).toBe('one\nend\n');
  });

  it.runIf(isRoot)('may open its pipes by their names where they are its user’s', async () => {
    const user = { name: 'x', uid: 4711, gid: 4712 } as const;
    const child = await spawner.spawn(shell('echo there >/dev/stdout; echo here >/dev/stderr', { user, owner: user }));
    expect(await Promise.all([outputOf(child), outputOf(child, 2)])).toEqual(['there\n', 'here\n']);
    const other = await spawner.spawn(shell('echo there >/dev/stdout', { user }));
    expect(await outputOf(other, 2)).toContain('Permission denied');
  });

  it('passes on listeners over its channel, and nothing else that comes there', async () => {
    const before = readdirSync('/proc/self/fd').length;
    const child = await spawner.spawn({ ...shell(''), program: ['/usr/bin/perl', '-e', sendsListeners], channel: 3 });
    const taken = await new Promise<readonly [unknown, unknown]>((resolve) => {
      child.on('message', (message, handle) => void resolve([message, handle]));
      // As bwrap, which does nothing before it has its arguments.
      streamOf(child, 0).end('\n');
    });
    const [message, server] = taken as readonly [unknown, Server];
    expect(message).toEqual({ index: 4 });
    const accepted = once(server, 'connection');
    const [socket] = (await accepted) as [Socket];
    socket.end('from the one who took it');
    expect(await endOf(child)).toEqual([0, null]);
    expect(await outputOf(child)).toBe('from the one who took it');
    await new Promise((resolve) => server.close(resolve));
    await expect.poll(() => readdirSync('/proc/self/fd').length, { timeout: 5000 }).toBe(before);
    expect(readdirSync(`/proc/${spawnersOf()[0]}/fd`).length).toBeLessThanOrEqual(6);
  });

  it.runIf(isRoot)('is of the user that it is to be, with no other group', async () => {
    const child = await spawner.spawn(shell('id -u; id -g; id -G', { user: { name: 'x', uid: 4711, gid: 4712 } as never }));
    expect(await outputOf(child)).toBe('4711\n4712\n4712\n');
  });

  it('takes with it what is left in its group when it ends', async () => {
    const child = await spawner.spawn(shell(leavesOne('exit 3')));
    expect(await endOf(child)).toEqual([3, null]);
    const left = Number(await outputOf(child));
    await expect.poll(() => isRunning(left)).toBe(false);
  });

  it('ends with the spawner, though it would not by itself', async () => {
    const child = await spawner.spawn(shell(leavesOne('trap "" TERM HUP INT; while :; do sleep 61; done')));
    const left = Number(await new Promise((resolve) => streamOf(child, 1).once('data', resolve)));
    const asked = Promise.allSettled([0, 1].map(() => spawner.spawn(shell('exec sleep 61'))));
    process.kill(spawnersOf()[0] as number, 'SIGKILL');
    expect(await endOf(child)).toEqual([null, 'SIGKILL']);
    expect(await isRunning(child.pid as number)).toBe(false);
    await expect.poll(() => isRunning(left)).toBe(false);
    await asked;
    expect(spawner.state).toBe('ended');
    await expect(spawner.spawn(shell(''))).rejects.toThrow('the spawner has ended');
  });
});

it('closing ends the spawner, what it has made, and leaves no descriptor', async () => {
  const before = readdirSync('/proc/self/fd').length;
  const spawner = await started();
  const child = await spawner.spawn(shell('exec sleep 61'));
  const [pid] = spawnersOf();
  await spawner.close();
  expect(await endOf(child)).toEqual([null, 'SIGKILL']);
  expect(await processStat(pid as number)).toBeUndefined();
  expect(await isRunning(child.pid as number)).toBe(false);
  await expect.poll(() => readdirSync('/proc/self/fd').length, { timeout: 5000 }).toBeLessThanOrEqual(before);
});

it('nothing of it is left when the proxy is killed', async () => {
  const proxy = `
    const { startSpawner } = await import('${new URL('../../../src/runner/spawner.ts', import.meta.url)}');
    const spawner = await startSpawner({ architecture: '${architecture}', nullDescriptor: 0 });
    const request = ${JSON.stringify(shell(leavesOne('exec sleep 61')))};
    const child = await spawner.spawn(request);
    child.stdio[1].once('data', (left) => {
      console.log(child.pid, Number(left));
      process.kill(process.pid, 'SIGKILL');
    });`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', proxy], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  const pids = stdout.trim().split(' ').map(Number);
  expect(pids).toHaveLength(2);
  for (const pid of pids) await expect.poll(() => isRunning(pid)).toBe(false);
});

it('one that does not answer in time lives on for what it has made, beside the next one', async () => {
  const spawners = keepSpawner({ architecture, nullDescriptor }, { isWanted: true });
  const first = (await spawners.current()) as Spawner;
  const child = await first.spawn(shell('read line; exit 3'));
  const [pid = 0] = spawnersOf();
  process.kill(pid, 'SIGSTOP');
  const began = performance.now();
  await expect(first.spawn(shell('exec sleep 61'))).rejects.toThrow('the spawner has not answered in time');
  expect(performance.now() - began).toBeGreaterThanOrEqual(spawnerWaits.answerTimeoutMs - 5);
  expect([first.state, hasEnded(child)]).toEqual(['late', false]);
  const second = (await spawners.current()) as Spawner;
  expect(await endOf(await second.spawn(shell('exit 2')))).toEqual([2, null]);
  process.kill(pid, 'SIGCONT');
  // What came too late has been answered once the first of these is, and is to be killed before the second is made.
  for (const code of [4, 5]) expect(await endOf(await first.spawn(shell(`exit ${code}`)))).toEqual([code, null]);
  await expect.poll(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim()).toBe(String(child.pid));
  streamOf(child, 0).end();
  expect(await endOf(child)).toEqual([3, null]);
  await expect.poll(() => spawnersOf()).not.toContain(pid);
  expect(await spawners.current()).toBe(second);
  await spawners.close();
  expect(spawnersOf()).toEqual([]);
});

it('those that were late end when they are closed, whatever they have made', async () => {
  const spawners = keepSpawner({ architecture, nullDescriptor }, { isWanted: true });
  const first = (await spawners.current()) as Spawner;
  const child = await first.spawn(shell('exec sleep 61'));
  process.kill(spawnersOf()[0] as number, 'SIGSTOP');
  await expect(first.spawn(shell(''))).rejects.toThrow('the spawner has not answered in time');
  expect(await spawners.current()).not.toBe(first);
  await spawners.close();
  expect(await endOf(child)).toEqual([null, 'SIGKILL']);
  expect(spawnersOf()).toEqual([]);
});

it('one that stays silent is killed, and the end of what it had made is told', async () => {
  const spawner = await started();
  const child = await spawner.spawn(shell('exec sleep 61'));
  process.kill(spawnersOf()[0] as number, 'SIGSTOP');
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const late = expect(spawner.spawn(shell(''))).rejects.toThrow('the spawner has not answered in time');
  await vi.advanceTimersByTimeAsync(spawnerWaits.answerTimeoutMs);
  await late;
  await vi.advanceTimersByTimeAsync(spawnerWaits.silenceTimeoutMs - 1);
  expect(hasEnded(child)).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  vi.useRealTimers();
  expect(await endOf(child)).toEqual([null, 'SIGKILL']);
  await expect.poll(() => spawnersOf()).toEqual([]);
});

/** Runs this in a process of its own, which stops itself amid it, goes on when all waits are over, and prints what it found. */
async function foundAfterHalt(script: string): Promise<unknown> {
  const program = `
    const { startSpawner } = await import('${new URL('../../../src/runner/spawner.ts', import.meta.url)}');
    const starting = () => startSpawner({ architecture: '${architecture}', nullDescriptor: 0 });
    const request = ${JSON.stringify(shell('exec sleep 61'))};
    const halt = () => process.kill(process.pid, 'SIGSTOP');
    ${script}`;
  const proxy = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void proxy.kill('SIGKILL'));
  const said = text(proxy.stdout);
  await expect.poll(async () => (await processStat(proxy.pid as number))?.state, { timeout: 20_000 }).toBe('T');
  await new Promise((resolve) => setTimeout(resolve, Math.max(spawnerWaits.readyTimeoutMs, spawnerWaits.answerTimeoutMs) + 1000));
  proxy.kill('SIGCONT');
  return JSON.parse(await said);
}

it('what it has said counts, however long this process was halted before it could read that', async () => {
  const atStart = foundAfterHalt(`
    const later = starting();
    halt();
    const spawner = await later;
    console.log(JSON.stringify(spawner?.state ?? 'none'));
    await spawner?.close();`);
  const amidSpawns = foundAfterHalt(`
    const spawner = await starting();
    const running = await spawner.spawn(request);
    const asked = Array.from({ length: 8 }, () => spawner.spawn(request));
    halt();
    const statuses = (await Promise.allSettled(asked)).map(({ status }) => status);
    console.log(JSON.stringify({ state: spawner.state, statuses: [...new Set(statuses)], signal: running.signalCode }));
    await spawner.close();`);
  expect(await Promise.all([atStart, amidSpawns])).toEqual(['ready', { state: 'ready', statuses: ['fulfilled'], signal: null }]);
});

it('one that is stopped is closed all the same', async () => {
  const spawner = await started();
  process.kill(spawnersOf()[0] as number, 'SIGSTOP');
  await spawner.close();
  expect(spawnersOf()).toEqual([]);
});

it('there is none where Perl does not come up in time, and it is ended', async () => {
  for (;;) {
    const began = performance.now();
    const starting = startSpawner({ architecture, nullDescriptor });
    let [pid] = spawnersOf();
    // From the exec on.
    while (pid === undefined) [pid] = spawnersOf();
    process.kill(pid, 'SIGSTOP');
    const spawner = await starting;
    await spawner?.close();
    // It may have come up before that.
    if (spawner !== undefined) continue;
    expect(performance.now() - began).toBeGreaterThanOrEqual(spawnerWaits.readyTimeoutMs - 5);
    expect(spawnersOf()).toEqual([]);
    break;
  }
});

it('there is none, and no harm, where no descriptor is left', async () => {
  // Nothing can be started without one, so what gives them back is started before.
  const prlimit = `/usr/bin/prlimit --pid ${process.pid} --nofile`;
  const script = `old=$(${prlimit} --noheadings --output SOFT | tr -d ' '); ${prlimit}=3: && echo; read line; exec ${prlimit}=$old:`;
  const limited = spawn('/bin/sh', ['-c', script]);
  await once(limited.stdout, 'data');
  const spawner = await startSpawner({ architecture, nullDescriptor });
  limited.stdin.end('\n');
  await once(limited, 'exit');
  expect(spawner).toBeUndefined();
  expect(spawnersOf()).toEqual([]);
});

it('there is none where it could not open files of this process', async () => {
  expect(await startSpawner({ architecture, nullDescriptor: 9999 })).toBeUndefined();
  expect(spawnersOf()).toEqual([]);
});

describe('a runner with a spawner', () => {
  const folder = hostileFolder();
  afterAll(() => folder[Symbol.dispose]());

  it('has no bwrap in the group that a terminal interrupts, whoever spawned it', async () => {
    for (const keepsSpares of [true, false]) {
      const runner = createSubprocessRunner({ keepsSpares });
      const { process: started } = await startHostile({ runner, folder: folder.path });
      const outer = `${(await processStat(Number(started.label.split(' ')[1])))?.parent}`;
      expect(groupOf(outer)).not.toBe(groupOf(String(process.pid)));
      expect(groupOf(outer)).toBe(outer);
      await runner.close();
    }
  });

  it('that is killed tells the end of what that had made, goes on, and has another one afterwards', async () => {
    const runner = createSubprocessRunner();
    await makeSpare({ runner, folder: folder.path });
    const lost = await startHostile({ runner, folder: folder.path });
    const [spare] = await waitForSpares();
    const [first] = spawnersOf();
    expect(await parentOfOuter(lost.process.label)).toBe(first);
    process.kill(first as number, 'SIGKILL');
    const hostile = await startHostile({ runner, folder: folder.path });
    expect(await lost.process.exited).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
    expect(await isRunning(spare as number)).toBe(false);
    expect(await hostile.attack('scratch')).not.toEqual([]);
    await waitForSpares();
    const [second] = spawnersOf();
    expect(second).not.toBe(first);
    const third = await startHostile({ runner, folder: folder.path });
    expect(await parentOfOuter(third.process.label)).toBe(second);
    await runner.close();
    expect(spawnersOf()).toEqual([]);
  });
});

const headers = { x64: '/usr/include/x86_64-linux-gnu/asm/unistd_64.h', arm64: '/usr/include/asm-generic/unistd.h' } as const;

it.each(['x64', 'arm64'] as const)('the numbers of %s are those of the kernel’s headers', (name) => {
  if (!existsSync(headers[name])) return;
  const text = readFileSync(headers[name], 'latin1');
  const calls = ['sendmsg', 'recvmsg', 'signalfd4', 'rt_sigprocmask', 'prctl', 'dup3', 'prlimit64'];
  expect(calls.map((call) => Number(new RegExp(`^#define __NR_${call}\\s+(\\d+)`, 'm').exec(text)?.[1]))).toEqual(spawnerCalls[name]);
});

/** The spawner of a sandbox, of whose first process inside the label has the number. */
async function parentOfOuter(label: string): Promise<number | undefined> {
  const outer = await processStat(Number(label.split(' ')[1]));
  return (await processStat(outer?.parent ?? 0))?.parent;
}

function groupOf(pid: string): string | undefined {
  return readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ')[2];
}
