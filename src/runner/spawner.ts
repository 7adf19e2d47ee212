import { type ChildProcess, type SendHandle, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { settlesWithin } from '../lib/pause.ts';
import type { FilterArchitecture } from '../sandbox/syscalls.ts';
import { type OuterProcess, SpawnedProcess, signalNames } from './outer-process.ts';
import type { SandboxUser } from './sandbox-user.ts';

export interface SpawnRequest {
  readonly program: readonly string[];
  readonly user: SandboxUser | undefined;
  /** Numbers, ascending, at which it has sockets whose other ends are ours. */
  readonly pipes: readonly number[];
  /** Descriptors of ours that it has at the numbers after those, for reading from their start. */
  readonly files: readonly number[];
}

/** A small process that spawns in place of this one; see spawner/spawner.pl. */
export interface Spawner {
  /** It ended, and whatever it had spawned with it. */
  readonly hasEnded: boolean;
  /** With an empty environment, in the root folder. Rejects when the spawner cannot, or has ended. */
  spawn(request: SpawnRequest): Promise<OuterProcess>;
  /** Ends it, and waits for that. What it spawned ends with it. */
  close(): Promise<void>;
}

export interface SpawnerHost {
  readonly architecture: FilterArchitecture;
  /** One of ours that is open on /dev/null: whether the spawner can open it tells whether it could open files. */
  readonly nullDescriptor: number;
}

/** Numbers of sendmsg, signalfd4, rt_sigprocmask, prctl and dup3, from the same tables as sandbox/syscalls.ts. */
export const spawnerCalls = { x64: [46, 289, 14, 157, 292], arm64: [211, 74, 135, 167, 24] } as const;

const program = fileURLToPath(new URL('./spawner/spawner.pl', import.meta.url));
/** How long Perl may take to be there, and then to answer. One that took longer is killed, and this process spawns by itself. */
export const spawnerWaits = { readyTimeoutMs: 5000, answerTimeoutMs: 5000 } as const;

/** Undefined: it cannot be had here, for want of Perl, of descriptors or memory, or of the right to read this process’s descriptors. */
export async function startSpawner(host: SpawnerHost): Promise<Spawner | undefined> {
  const child = trySpawn(host);
  if (child === undefined) return undefined;
  const spawner = new PerlSpawner(child);
  if ((await settlesWithin(spawner.ready, spawnerWaits.readyTimeoutMs)) && !spawner.hasEnded) return spawner;
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
  readonly pipe?: number;
  readonly pid?: number;
  readonly error?: string;
  readonly code?: number;
  readonly signal?: number;
}

class PerlSpawner implements Spawner {
  readonly #child: ChildProcess;
  readonly #processes = new Map<number, SpawnedProcess>();
  readonly #requested = new Map<number, PromiseWithResolvers<OuterProcess> & { readonly timer: NodeJS.Timeout }>();
  readonly #ended: Promise<unknown>;
  readonly #isReady = Promise.withResolvers<void>();
  #ids = 0;
  hasEnded = false;

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

  get ready(): Promise<void> {
    return this.#isReady.promise;
  }

  spawn({ program, user, pipes, files }: SpawnRequest): Promise<OuterProcess> {
    if (this.hasEnded) return Promise.reject(new Error('the spawner has ended'));
    const id = this.#ids++;
    const asked = Promise.withResolvers<OuterProcess>();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), spawnerWaits.answerTimeoutMs);
    this.#requested.set(id, { ...asked, timer });
    this.#processes.set(id, new SpawnedProcess((signal) => this.#say('kill', id, signal.replace('SIG', ''))));
    this.#child.channel?.ref();
    const { uid = '-', gid = '-' } = user ?? {};
    this.#say('spawn', id, uid, gid, pipes.join(), files.join() || '-', program.map((word) => Buffer.from(word).toString('hex')).join());
    return asked.promise;
  }

  async close(): Promise<void> {
    this.#child.ref();
    // Nothing of it need be saved, and it may be stopped.
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #say(...words: readonly (string | number)[]): void {
    if (!this.hasEnded) this.#child.stdin?.write(`${words.join(' ')}\n`);
  }

  #take(report: Report, handle: SendHandle): void {
    if (report.ready) {
      this.#isReady.resolve();
      return;
    }
    const { id, pipe, pid, error } = report;
    const process = this.#processes.get(id);
    if (process === undefined) (handle as unknown as { close(): void } | undefined)?.close();
    // As Node makes those of its own children: nothing is read from stdin.
    else if (pipe !== undefined) process.stdio[pipe] = new Socket({ handle, readable: pipe > 0 } as object);
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

  #settle(id: number): PromiseWithResolvers<OuterProcess> | undefined {
    const asked = this.#requested.get(id);
    this.#requested.delete(id);
    clearTimeout(asked?.timer);
    return asked;
  }

  #forget(id: number): void {
    this.#processes.delete(id);
    if (this.#processes.size === 0) this.#child.channel?.unref();
  }

  /** The kernel kills what it spawned. */
  #lose(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.#isReady.resolve();
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

/** At most one spawner, made when it is wanted and made anew when it ended. */
export interface SpawnerKeeper {
  /** The one that is there; undefined: spawn without. */
  current(): Spawner | undefined;
  /** Has one started, unless it cannot be had. */
  prepare(): Promise<void>;
  close(): Promise<void>;
}

export function keepSpawner(host: SpawnerHost, { isWanted }: { readonly isWanted: boolean }): SpawnerKeeper {
  let spawner: Spawner | undefined;
  let starting: Promise<void> | undefined;
  let isPossible = isWanted;
  const start = async (): Promise<void> => {
    spawner = await startSpawner(host);
    isPossible = spawner !== undefined;
    starting = undefined;
  };
  const current = () => (spawner?.hasEnded ? undefined : spawner);
  return {
    current,
    async prepare() {
      if (!isPossible || current() !== undefined) return;
      starting ??= start();
      await starting;
    },
    async close() {
      isPossible = false;
      await starting;
      await spawner?.close();
    },
  };
}
