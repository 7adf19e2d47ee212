import { type ChildProcess, type SendHandle, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { setImmediate as nextRound } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { settlesWithin } from '../lib/pause.ts';
import type { FilterArchitecture } from '../sandbox/syscalls.ts';
import { lendingSocket } from './lending-socket.ts';
import { SpawnedProcess, signalNames } from './outer-process.ts';
import type { SandboxUser } from './sandbox-user.ts';

export interface SpawnRequest {
  readonly program: readonly string[];
  /** Whom it runs as; undefined: as this process. */
  readonly user: SandboxUser | undefined;
  /** Who may open its pipes by their names in /proc; undefined: this process’s user. */
  readonly owner: SandboxUser | undefined;
  readonly pipes: readonly PipePlan[];
  /** Number at which it has a socket for prelude.pl, whose listeners the process tells of as messages. */
  readonly channel?: number | undefined;
  /** Descriptors of ours that it has at the numbers after those, for reading from their start. */
  readonly files: readonly number[];
  /** Of it and of all that it starts. */
  readonly limits: readonly HardLimit[];
}

/** Of a resource, by its number in <asm-generic/resource.h>; see prlimit(2). The soft limit is the same. */
export interface HardLimit {
  readonly resource: number;
  readonly hard: number;
}

export interface PipePlan {
  /** Its number in the new process. */
  readonly number: number;
  readonly direction: 'input' | 'output';
  /** What it holds until its other end is read; default `pipeBytes.other`. */
  readonly bytes?: number;
}

/**
 * `message` is the most that Linux gives to users by default (fs.pipe-max-size): what holds a large body whole costs the fewest wake-ups.
 * `other` is its default. Whose pipes hold 64 MiB together already (fs.pipe-user-pages-soft), gets sockets instead.
 */
export const pipeBytes = { message: 2 ** 20, other: 2 ** 16 } as const;

/** A small process that spawns in place of this one; see spawner/spawner.pl. */
export interface Spawner {
  /**
   * `late`: a spawn was not answered in time. It lives on for what it had spawned, and ends with the last of that; whoever wants to spawn has
   * another one. `ended`: whatever it had spawned ended with it.
   */
  readonly state: 'starting' | 'ready' | 'late' | 'ended';
  /** With an empty environment, in the root folder. Rejects when the spawner cannot, has not in time, or has ended. */
  spawn(request: SpawnRequest): Promise<SpawnedProcess>;
  /** Ends it, and waits for that. What it spawned ends with it. */
  close(): Promise<void>;
}

export interface SpawnerHost {
  readonly architecture: FilterArchitecture;
  /** One of ours that is open on /dev/null: whether the spawner can open it tells whether it could open files. */
  readonly nullDescriptor: number;
}

/** Numbers of sendmsg, recvmsg, signalfd4, rt_sigprocmask, prctl, dup3 and prlimit64, from the same tables as sandbox/syscalls.ts. */
export const spawnerCalls = { x64: [46, 47, 289, 14, 157, 292, 302], arm64: [211, 212, 74, 135, 167, 24, 261] } as const;

const program = fileURLToPath(new URL('./spawner/spawner.pl', import.meta.url));
/**
 * How long Perl may take to be there, and then to answer; what is not spawned by then, this process spawns by itself. One that is late and
 * says nothing for `silenceTimeoutMs` more would not tell how its processes end either, and is killed with them.
 */
export const spawnerWaits = { readyTimeoutMs: 5000, answerTimeoutMs: 5000, silenceTimeoutMs: 30_000 } as const;

/** Undefined: it cannot be had here, for want of Perl, of descriptors or memory, or of the right to read this process’s descriptors. */
export async function startSpawner(host: SpawnerHost): Promise<Spawner | undefined> {
  const child = trySpawn(host);
  if (child === undefined) return undefined;
  const spawner = new PerlSpawner(child);
  await settlesWithin(spawner.settled, spawnerWaits.readyTimeoutMs);
  await spawner.readAhead();
  if (spawner.state === 'ready') return spawner;
  await spawner.close();
  return undefined;
}

/** Node throws some failures, and tells of others in an event. */
function trySpawn(host: SpawnerHost): ChildProcess | undefined {
  try {
    return spawnPerl(host);
  } catch {
    return undefined;
  }
}

function spawnPerl({ architecture, nullDescriptor }: SpawnerHost): ChildProcess {
  const numbers = [...spawnerCalls[architecture], nullDescriptor].map(String);
  return spawn('/usr/bin/perl', [program, ...numbers], {
    env: {},
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore', 'ipc'],
    // Not in the group that a terminal interrupts: what runs may end in peace.
    detached: true,
  });
}

interface Report {
  readonly ready?: true;
  readonly id: number;
  readonly input?: number;
  readonly output?: number;
  readonly index?: number;
  readonly pid?: number;
  readonly error?: string;
  readonly code?: number;
  readonly signal?: number;
}

function userWord(user: SandboxUser | undefined): string {
  return user === undefined ? '-' : `${user.uid}:${user.gid}`;
}

function pipeWord({ number, direction, bytes = pipeBytes.other }: PipePlan): string {
  return `${number}${direction === 'input' ? '<' : '>'}${bytes}`;
}

class PerlSpawner implements Spawner {
  readonly #child: ChildProcess;
  readonly #processes = new Map<number, SpawnedProcess>();
  readonly #requested = new Map<number, PromiseWithResolvers<SpawnedProcess> & { readonly timer: NodeJS.Timeout }>();
  readonly #ended: Promise<unknown>;
  readonly #settled = Promise.withResolvers<void>();
  #ids = 0;
  #reports = 0;
  /** Runs while it is late and silent. */
  #silence: NodeJS.Timeout | undefined;
  state: Spawner['state'] = 'starting';

  constructor(child: ChildProcess) {
    this.#child = child;
    child.on('error', () => this.#lose());
    child.stdin?.on('error', () => {});
    child.on('message', (report, handle) => this.#take(report as Report, handle));
    this.#ended = once(child, 'exit').then(
      () => this.#lose(),
      () => {},
    );
    child.unref();
    // Without descriptors left, Node makes no streams.
    (child.stdin as Socket | undefined)?.unref();
    child.channel?.unref();
  }

  /** Once it is ready, or has ended. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  /** Reads all that has come: when this process was halted, timers run before that, of which a round of the loop reads a report or two. */
  async readAhead(): Promise<void> {
    for (let before = -1; before !== this.#reports; ) {
      before = this.#reports;
      await nextRound();
    }
  }

  spawn({ program, user, owner, pipes, channel, files, limits }: SpawnRequest): Promise<SpawnedProcess> {
    if (this.state === 'ended') return Promise.reject(new Error('the spawner has ended'));
    const id = this.#ids++;
    const asked = Promise.withResolvers<SpawnedProcess>();
    const timer = setTimeout(() => void this.#giveUp(id), spawnerWaits.answerTimeoutMs);
    this.#requested.set(id, { ...asked, timer });
    this.#processes.set(id, new SpawnedProcess((signal) => this.#say('kill', id, signal.replace('SIG', ''))));
    this.#child.channel?.ref();
    const limitWords = limits.map(({ resource, hard }) => `${resource}:${hard}`);
    const words = program.map((word) => Buffer.from(word).toString('hex'));
    const lists = [pipes.map(pipeWord), [channel ?? '-'], files, limitWords, words].map((list) => list.join() || '-');
    this.#say('spawn', id, userWord(user), userWord(owner), ...lists);
    return asked.promise;
  }

  async close(): Promise<void> {
    this.#child.ref();
    // Nothing of it need be saved, and it may be stopped.
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #say(...words: readonly (string | number)[]): void {
    if (this.state !== 'ended') this.#child.stdin?.write(`${words.join(' ')}\n`);
  }

  #take(report: Report, handle: SendHandle): void {
    this.#reports++;
    clearTimeout(this.#silence);
    this.#silence = undefined;
    if (report.ready) {
      this.state = 'ready';
      this.#settled.resolve();
      return;
    }
    const { id, input, output, index, pid, error } = report;
    const process = this.#processes.get(id);
    if (process === undefined) this.#dismiss(report, handle);
    else if (input !== undefined) process.stdio[input] = new Socket({ handle, readable: false, writable: true } as object);
    else if (output !== undefined) process.stdio[output] = lendingSocket({ handle });
    else if (index !== undefined) process.emit('message', { index }, handle);
    else if (pid !== undefined) {
      process.pid = pid;
      this.#settle(id)?.resolve(process);
    } else if (error !== undefined) {
      process.abandon();
      this.#settle(id)?.reject(new Error(error));
      this.#forget(id);
    } else {
      this.#forget(id);
      process.end(report.code ?? null, signalNames.get(report.signal ?? 0) ?? null);
    }
  }

  /** Of a process that comes too late: nobody waits for it any more. */
  #dismiss({ id, pid }: Report, handle: SendHandle): void {
    (handle as unknown as { close(): void } | undefined)?.close();
    if (pid !== undefined) this.#say('kill', id, 'KILL');
  }

  async #giveUp(id: number): Promise<void> {
    await this.readAhead();
    const asked = this.#settle(id);
    if (asked === undefined) return;
    this.state = 'late';
    this.#silence ??= setTimeout(() => void this.#endIfSilent(), spawnerWaits.silenceTimeoutMs).unref();
    this.#processes.get(id)?.abandon();
    this.#forget(id);
    asked.reject(new Error('the spawner has not answered in time'));
  }

  async #endIfSilent(): Promise<void> {
    await this.readAhead();
    if (this.#silence !== undefined) this.#child.kill('SIGKILL');
  }

  #settle(id: number): PromiseWithResolvers<SpawnedProcess> | undefined {
    const asked = this.#requested.get(id);
    this.#requested.delete(id);
    clearTimeout(asked?.timer);
    return asked;
  }

  #forget(id: number): void {
    this.#processes.delete(id);
    if (this.#processes.size > 0) return;
    this.#child.channel?.unref();
    if (this.state === 'late') this.#child.kill('SIGKILL');
  }

  /** The kernel kills what it spawned. */
  #lose(): void {
    if (this.state === 'ended') return;
    this.state = 'ended';
    this.#settled.resolve();
    clearTimeout(this.#silence);
    for (const [id, { reject, timer }] of this.#requested) {
      clearTimeout(timer);
      this.#processes.get(id)?.abandon();
      this.#processes.delete(id);
      reject(new Error('the spawner has ended'));
    }
    this.#requested.clear();
    for (const process of this.#processes.values()) void process.lose();
    this.#processes.clear();
  }
}
