import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, watch } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** A server in a process of its own. */
export interface ServerProcess extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** From the spawn until it answered. */
  readonly startMs: number;
  signal(name: NodeJS.Signals): void;
}

interface StartOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Where its stderr goes; default: nowhere. */
  readonly logFile?: string;
}

const startTimeoutMs = 60_000;

/** Servers that do not notice when this process goes. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGTERM');
});

/** A run that is interrupted ends what it started, and removes its files. */
export function endOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
}

/** For servers of `bench/servers`, which tell their URL on stdout. */
export async function startAnnounced(file: string, args: readonly string[] = []): Promise<ServerProcess> {
  const began = performance.now();
  const child = spawn(process.execPath, [file, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const [line] = (await Promise.race([once(lines, 'line'), endOf(child)])) as [string];
  const { url } = JSON.parse(line) as { url: string };
  return handleOf(child, url, performance.now() - began);
}

/** For servers that listen on the port they are given: ready when `path` answers with 200. */
export async function startOnPort(options: StartOptions & { readonly path: string; readonly port: number }): Promise<ServerProcess> {
  const { command, args, cwd, environment, logFile, path, port } = options;
  const log = logFile === undefined ? undefined : openSync(logFile, 'a');
  const began = performance.now();
  const child = spawn(command, args, {
    stdio: ['ignore', 'ignore', log ?? 'ignore'],
    env: { ...process.env, ...environment },
    ...(cwd ? { cwd } : {}),
  });
  if (log !== undefined) closeSync(log);
  running.add(child);
  child.once('exit', () => running.delete(child));
  const url = `http://127.0.0.1:${port}`;
  await Promise.race([untilReady(url + path, logFile), endOf(child)]).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  return handleOf(child, url, performance.now() - began);
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Asks when the log grows, without one every 20 ms: whoever asks takes time from the start that is measured. A connection every 5 ms took 100 ms of
 * the CPU, and made a start with 300 connectors 8 to 11 % slower; requests that are refused cost more than connections.
 */
export async function untilReady(url: string, logFile?: string): Promise<void> {
  using log = logFile === undefined ? undefined : watchGrowth(logFile);
  for (const end = performance.now() + startTimeoutMs; performance.now() < end; await (log?.next() ?? sleep(askEveryMs))) {
    if (!(await isListening(url))) continue;
    const status = await fetch(url).then(
      (response) => response.body?.cancel().then(() => response.status) ?? response.status,
      () => 0,
    );
    if (status === 200 || status === 404 || status === 405) return;
  }
  throw new Error(`${url} did not answer within ${startTimeoutMs / 1000} s.`);
}

const askEveryMs = 20;
/** For a server that says nothing when it is ready. */
const askSilentEveryMs = 100;

/** `next` resolves when the file has grown since it was last asked, or after a while. */
function watchGrowth(file: string): { next(): Promise<void> } & Disposable {
  let grown = Promise.withResolvers<void>();
  const watcher = watch(file, () => grown.resolve());
  return {
    async next() {
      await Promise.race([grown.promise, sleep(askSilentEveryMs, undefined, { ref: false })]);
      grown = Promise.withResolvers();
    },
    [Symbol.dispose]: () => watcher.close(),
  };
}

async function isListening(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  return await once(socket, 'connect')
    .then(
      () => true,
      () => false,
    )
    .finally(() => socket.destroy());
}

async function endOf(child: ChildProcess): Promise<never> {
  await once(child, 'exit');
  throw new Error(`${child.spawnargs.slice(0, 3).join(' ')} ended before it was ready (code ${child.exitCode}).`);
}

function handleOf(child: ChildProcess, url: string, startMs: number): ServerProcess {
  const exited = once(child, 'exit');
  return {
    url,
    startMs,
    pid: child.pid as number,
    signal: (name) => void child.kill(name),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      const kill = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
      await exited;
      clearTimeout(kill);
    },
  };
}

const stopTimeoutMs = 30_000;
