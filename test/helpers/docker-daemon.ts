import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pause } from '../../src/lib/pause.ts';
import { connectEngine, type DockerEngine } from '../../src/runner/docker-engine.ts';

/** A dockerd of one test alone, that may be killed and started again; its images are its own. */
export interface OwnDaemon extends AsyncDisposable {
  readonly address: string;
  readonly engine: DockerEngine;
  start(): Promise<void>;
  kill(signal: NodeJS.Signals): Promise<void>;
}

const readyTimeoutMs = 60_000;
/** Of the network: with --bridge=none it removes docker0, which may be another daemon's. Of mounts: those of a killed one go with it. */
const ownNamespaces = ['--net', '--mount', '--propagation', 'private'];

/** Needs root, as dockerd does. Everything that it makes is in one folder. */
export async function startOwnDaemon(): Promise<OwnDaemon> {
  const folder = await mkdtemp(join(tmpdir(), 'bulkhead-dockerd-'));
  const address = `unix://${folder}/docker.sock`;
  const engine = connectEngine(address);
  const args = [
    '-H',
    address,
    '--data-root',
    `${folder}/data`,
    '--exec-root',
    `${folder}/exec`,
    '--pidfile',
    `${folder}/pid`,
    '--bridge=none',
    '--iptables=false',
  ];
  let daemon: ChildProcess | undefined;
  const isUp = () => daemon !== undefined && daemon.exitCode === null && daemon.signalCode === null;
  const start = async () => {
    await mkdir(join(folder, 'exec'), { recursive: true });
    const log = openSync(join(folder, 'log'), 'a');
    const until = performance.now() + readyTimeoutMs;
    while (!(isUp() && (await answers(engine)))) {
      if (performance.now() > until) throw new Error(`dockerd did not start:\n${readFileSync(join(folder, 'log'), 'utf8').slice(-2000)}`);
      if (!isUp()) {
        // One that was killed leaves its pid file, and a containerd that takes a moment to follow it; a start in that moment fails.
        await rm(join(folder, 'pid'), { force: true });
        daemon = spawn('unshare', [...ownNamespaces, 'dockerd', ...args], { stdio: ['ignore', log, log] });
      }
      await pause(300);
    }
    closeSync(log);
  };
  const kill = async (signal: NodeJS.Signals) => {
    if (daemon === undefined || !isUp()) return;
    const exited = once(daemon, 'exit');
    daemon.kill(signal);
    await exited;
  };
  await start();
  return {
    address,
    engine,
    start,
    kill,
    async [Symbol.asyncDispose]() {
      // Only a daemon that stops by itself unmounts what it mounted and ends its containers.
      await start();
      for (const { Id } of await engine.docker.listContainers({ all: true })) await engine.docker.getContainer(Id).remove({ force: true });
      await kill('SIGTERM');
      await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}

async function answers(engine: DockerEngine): Promise<boolean> {
  try {
    await engine.docker.ping();
    return true;
  } catch {
    return false;
  }
}
