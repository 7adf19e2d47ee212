import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { processesOf, removeFolder } from './cgroup-folder.ts';

export type Controller = 'memory' | 'pids' | 'cpu';
const controllers: readonly Controller[] = ['memory', 'pids', 'cpu'];

/** Where this proxy may make cgroups: one folder a controller (version 1), or the same folder for all (version 2). */
export interface CgroupTree {
  readonly version: 1 | 2;
  readonly folders: ReadonlyMap<Controller, string>;
}

export interface CgroupSources {
  /** For tests: /proc/self. */
  readonly self?: string;
}

/**
 * Finds where cgroups may be made below the proxy’s own (so that whatever bounds the proxy bounds its connectors too), and makes
 * the proxy’s folder there. Undefined: there is no such place, or not for memory, which is what matters most.
 */
export function findCgroupTree(owner: CgroupOwner, { self = '/proc/self' }: CgroupSources = {}): CgroupTree | undefined {
  return delegatedTree(self, owner) ?? privilegedTree(self, owner);
}

/** Names one runner for ever: pids come back, start times do not, and a process may have several runners. */
export interface CgroupOwner {
  readonly pid: number;
  readonly startTicks: string;
  readonly runner: string;
}

const folderPattern = /^bulkhead\.(\d+)\.(\d+)\.([0-9a-z]+)$/;

function ownFolder({ pid, startTicks, runner }: CgroupOwner): string {
  return `bulkhead.${pid}.${startTicks}.${runner}`;
}

function privilegedTree(self: string, owner: CgroupOwner): CgroupTree | undefined {
  const folders = new Map<Controller, string>();
  for (const controller of controllers) {
    const parent = ownCgroup(self, controller);
    const folder = parent && join(parent, ownFolder(owner));
    if (folder !== undefined && tryMakeFolder(folder)) folders.set(controller, folder);
  }
  return folders.has('memory') ? { version: 1, folders } : undefined;
}

/**
 * Version 2, where the proxy’s own cgroup was handed to it (systemd’s Delegate=yes, or a container’s). A cgroup that
 * has processes cannot hand controllers on, so the proxy first moves itself, and whatever is with it, into a leaf.
 */
function delegatedTree(self: string, owner: CgroupOwner): CgroupTree | undefined {
  const parent = ownCgroup(self, undefined);
  if (parent === undefined) return undefined;
  const root = parent.endsWith('/bulkhead-proxy') ? dirname(parent) : parent;
  try {
    const available = readFileSync(join(root, 'cgroup.controllers'), 'latin1').trim().split(' ');
    const wanted = controllers.filter((controller) => available.includes(controller));
    if (!wanted.includes('memory')) return undefined;
    const enable = wanted.map((controller) => `+${controller}`).join(' ');
    handOn(root, enable);
    const folder = join(root, ownFolder(owner));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'cgroup.subtree_control'), enable);
    return { version: 2, folders: new Map(wanted.map((controller) => [controller, folder])) };
  } catch {
    return undefined;
  }
}

/** How often processes are moved that were forked meanwhile. */
const movesMax = 20;

/** Throws what the kernel says, at the latest when there were new processes each time. */
export function handOn(root: string, enable: string): void {
  for (let moves = 1; ; moves++) {
    // The machine’s own root may have processes, and some, the kernel’s threads, cannot leave it. It alone has no such file.
    if (existsSync(join(root, 'cgroup.type'))) moveProcesses(root, join(root, 'bulkhead-proxy'));
    try {
      writeFileSync(join(root, 'cgroup.subtree_control'), enable);
      return;
    } catch (error) {
      if (codeOf(error) !== 'EBUSY' || moves === movesMax) throw error;
    }
  }
}

function moveProcesses(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const pid of processesOf(from)) {
    try {
      writeFileSync(join(to, 'cgroup.procs'), pid);
    } catch (error) {
      // It has ended since.
      if (codeOf(error) !== 'ESRCH') throw error;
    }
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

function tryMakeFolder(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true });
    return true;
  } catch {
    return false;
  }
}

/** The folder of the proxy’s own cgroup; of version 2 when no controller is named. See cgroups(7), proc_pid_mountinfo(5). */
function ownCgroup(self: string, controller: Controller | undefined): string | undefined {
  const path = readFileSync(join(self, 'cgroup'), 'latin1')
    .split('\n')
    .map((line) => /^\d+:([^:]*):(.*)$/.exec(line))
    .find((match) => (controller === undefined ? match?.[1] === '' : match?.[1]?.split(',').includes(controller)))?.[2];
  if (path === undefined) return undefined;
  for (const line of readFileSync(join(self, 'mountinfo'), 'latin1').split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root = '', mountPoint = ''] = before.split(' ');
    const [type, , options = ''] = after.split(' ');
    const isIt = controller === undefined ? type === 'cgroup2' : type === 'cgroup' && options.split(',').includes(controller);
    if (isIt) return join(mountPoint, root === '/' ? path : path.startsWith(root) ? path.slice(root.length) : '/');
  }
  return undefined;
}

/** Removes the cgroups of runners that have died, or of this one. Others may do the same at the same time. */
export async function removeCgroups(tree: CgroupTree, isMine: (owner: CgroupOwner) => boolean | Promise<boolean>): Promise<void> {
  for (const parent of new Set([...tree.folders.values()].map((folder) => dirname(folder)))) {
    for (const name of readdirSync(parent)) {
      const [, pid, startTicks, runner] = folderPattern.exec(name) ?? [];
      if (pid === undefined || startTicks === undefined || runner === undefined) continue;
      if (!(await isMine({ pid: Number(pid), startTicks, runner }))) continue;
      const folder = join(parent, name);
      await Promise.all(foldersIn(folder).map((child) => removeFolder(join(folder, child))));
      await removeFolder(folder);
    }
  }
}

function foldersIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}
