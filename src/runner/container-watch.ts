import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CgroupEvents, readCgroupEvents } from '../sandbox/cgroup.ts';
import { type DockerEngine, isRefusal } from './docker-engine.ts';
import type { LimitBreach } from './limit-breach.ts';
import type { LimitWatch } from './limit-watch.ts';
import type { ProcessSpec } from './runner.ts';

export interface ContainerWatch {
  /** Settles when the container is to be ended for a limit that it went over. */
  readonly breach: Promise<LimitBreach>;
  stop(): void;
}

export interface ContainerWatchOptions {
  readonly engine: DockerEngine;
  readonly id: string;
  readonly spec: ProcessSpec;
  readonly watch: LimitWatch;
}

/**
 * Watches a container's limits as a sandbox's are watched: notices of refused forks and a full /tmp, an end when the kernel killed one of
 * its processes for memory. Only where the engine's processes are seen from here: its API tells none of this without a cost that counts.
 */
export function watchContainer({ engine, id, spec, watch }: ContainerWatchOptions): ContainerWatch {
  const { promise: breach, resolve } = Promise.withResolvers<LimitBreach>();
  let isStopped = false;
  let remove = () => {};
  const begin = async () => {
    const pid = await localPid(engine, id);
    if (pid === undefined || isStopped) return;
    const { connector, policy, onNotice } = spec;
    const cgroup = { events: await eventsReader(pid) };
    if (!isStopped) remove = watch.add({ limits: policy.limits, connector, cgroup, pid, onNotice, onBreach: resolve });
  };
  void begin().catch(() => {});
  return {
    breach,
    stop() {
      isStopped = true;
      remove();
    },
  };
}

/** The first process of a container by its number here; undefined where the number means another process, or none. */
async function localPid(engine: DockerEngine, id: string): Promise<number | undefined> {
  if (!(await engine.facts()).sharesKernel) return undefined;
  try {
    const { State } = await engine.request({
      what: 'asking for the first process of a container',
      run: (docker, abortSignal) => docker.getContainer(id).inspect({ abortSignal } as object),
    });
    const cgroups = State.Pid > 0 ? await readFile(`/proc/${State.Pid}/cgroup`, 'latin1').catch(() => '') : '';
    // Through another pid namespace the number would be a stranger's.
    return cgroups.includes(id) ? State.Pid : undefined;
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}

const root = '/sys/fs/cgroup';

/** Reads the counts of a process's cgroup, of either version. */
async function eventsReader(pid: number): Promise<() => CgroupEvents> {
  const lines = (await readFile(`/proc/${pid}/cgroup`, 'latin1')).split('\n').map((line) => /^\d+:([^:]*):(.*)$/.exec(line));
  const folderOf = (controller: string): { readonly isV1: boolean; readonly folder: string } => {
    const own = lines.find((match) => match?.[1]?.split(',').includes(controller))?.[2];
    const unified = lines.find((match) => match?.[1] === '')?.[2] ?? '';
    return own === undefined ? { isV1: false, folder: join(root, unified) } : { isV1: true, folder: join(root, controller, own) };
  };
  const [memory, pids] = [folderOf('memory'), folderOf('pids')];
  return () => readCgroupEvents({ version: memory.isV1 ? 1 : 2, memory: memory.folder, pids: pids.folder });
}
