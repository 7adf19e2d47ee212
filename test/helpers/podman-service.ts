import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pause } from '../../src/lib/pause.ts';
import { connectEngine, type DockerEngine } from '../../src/runner/docker-engine.ts';

/** Podman's API service of one test alone, with images and containers of its own. */
export interface PodmanService extends AsyncDisposable {
  readonly address: string;
  readonly engine: DockerEngine;
  /** Copies an image of another engine to it. */
  bring(from: DockerEngine, image: string): Promise<void>;
}

const readyTimeoutMs = 60_000;

export function isPodmanInstalled(): boolean {
  return spawnSync('podman', ['--version'], { stdio: 'ignore' }).status === 0;
}

/** `user`: whose it is, by id; default: root’s. */
export async function startPodmanService({ user = 0 }: { readonly user?: number } = {}): Promise<PodmanService> {
  const folder = await mkdtemp(join(tmpdir(), 'bulkhead-podman-'));
  // Its sockets have no room for a long path.
  const runFolder = mkdtempSync('/run/bulkhead-podman-');
  for (const own of [folder, runFolder]) await chown(own, user, user);
  const address = `unix://${folder}/podman.sock`;
  const engine = connectEngine(address);
  // crun refuses machines that have both versions of cgroups; runc, which Docker brings, runs on all.
  const storage = [
    '--root',
    `${folder}/data`,
    '--runroot',
    runFolder,
    '--runtime',
    'runc',
    ...(user === 0 ? [] : ['--storage-driver', 'vfs']),
  ];
  const log = openSync(join(folder, 'log'), 'a');
  const child = spawn('podman', [...storage, 'system', 'service', '--time=0', address], {
    // A group of its own: without root it goes on in a child.
    ...{ cwd: folder, stdio: ['ignore', log, log], uid: user, gid: user, detached: user !== 0 },
    ...(user !== 0 && { env: { PATH: process.env['PATH'], HOME: folder, XDG_RUNTIME_DIR: runFolder } }),
  });
  closeSync(log);
  await untilReady(engine, child, join(folder, 'log'));
  return {
    address,
    engine,
    async bring(from, image) {
      const saved = await from.docker.getImage(image).get();
      const loaded = (await engine.docker.loadImage(saved as NodeJS.ReadableStream)) as Readable;
      for await (const _ of loaded);
    },
    async [Symbol.asyncDispose]() {
      for (const { Id } of await engine.docker.listContainers({ all: true })) await engine.docker.getContainer(Id).remove({ force: true });
      const exited = once(child, 'exit');
      if (child.pid !== undefined) process.kill(user === 0 ? child.pid : -child.pid, 'SIGTERM');
      await exited;
      // Without root, a process of its own keeps its namespaces.
      const keeper = join(runFolder, 'libpod/tmp/pause.pid');
      if (existsSync(keeper)) process.kill(Number(readFileSync(keeper, 'utf8')));
      // Layers that are still mounted could not be removed.
      spawnSync('podman', [...storage, 'unmount', '--all'], { stdio: 'ignore' });
      for (const left of [runFolder, folder]) spawnSync('sh', ['-c', 'umount "$0"/*/* 2>/dev/null; umount "$0"/* 2>/dev/null; :', left]);
      await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
      await rm(runFolder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}

async function untilReady(engine: DockerEngine, child: ChildProcess, log: string): Promise<void> {
  const until = performance.now() + readyTimeoutMs;
  for (;;) {
    const answer: unknown = await engine.docker.ping().catch(() => undefined);
    if (answer !== undefined) return;
    if (child.exitCode !== null || performance.now() > until) throw new Error(`podman did not start:\n${readFileSync(log, 'utf8')}`);
    await pause(200);
  }
}
