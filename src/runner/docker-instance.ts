import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { chmod, lstat, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProxyError } from '../errors.ts';
import { ownContainerId } from './own-container.ts';

/**
 * One running proxy, as its containers name it. It is alive as long as its lock is held, and the kernel lets go of a lock when its
 * process dies: a process id could be another's by then.
 */
export interface DockerInstance {
  readonly name: string;
  readonly space: LockSpace;
  /**
   * A fresh folder that the proxy may share with one container: others may pass through it, not list it.
   * @throws ProxyError `sandbox_unavailable` when another user has made, or may write to, the folder that it would be in
   */
  makeFolder(): Promise<string>;
  /** Whether the instance of that name, in the same lock space, holds its lock. */
  isAlive(name: string): Promise<boolean>;
  /** Removes this user's folders of instances of the same lock space that are dead. */
  removeLeftFolders(): Promise<void>;
  /** Lets the lock go and removes its folders. Idempotent. */
  close(): Promise<void>;
}

/** Where a lock can be seen from. Between two spaces nothing can be told by locks. */
export interface LockSpace {
  /** This boot of this machine, and the network namespace: abstract sockets end at both. */
  readonly id: string;
  /** The machine's id; in a container, whose image may have brought that along, and without one, this boot. */
  readonly machine: string;
  readonly host: string;
}

export interface InstanceOptions {
  /** 1 to 40 of a-z, 0-9 and `-`; default: random. */
  readonly name?: string;
  /** Where folders shared with containers are made. */
  readonly stateFolder?: string;
}

/** Takes the lock of an instance. @throws ProxyError `invalid_config` when another live proxy has that name. */
export async function lockInstance({
  name = randomBytes(6).toString('hex'),
  stateFolder = tmpdir(),
}: InstanceOptions = {}): Promise<DockerInstance> {
  const lock = await takeLock(name);
  const space = lockSpace();
  const prefix = folderPrefix(space);
  const own = join(stateFolder, `${prefix}${name}`);
  return {
    name,
    space,
    async makeFolder() {
      await ensureFolder(own);
      const folder = await mkdtemp(join(own, 'container-'));
      await chmod(folder, 0o711);
      return folder;
    },
    isAlive: async (other) => other === name || (await isLocked(other)),
    async removeLeftFolders() {
      for (const entry of await readdir(stateFolder)) {
        if (!entry.startsWith(prefix) || entry === `${prefix}${name}`) continue;
        const left = join(stateFolder, entry);
        if (!(await isOwnFolder(left)) || (await isLocked(entry.slice(prefix.length)))) continue;
        await rm(left, { recursive: true, force: true }).catch(() => {});
      }
    },
    async close() {
      if (await isOwnFolder(own)) await rm(own, { recursive: true, force: true });
      await new Promise<void>((resolve) => lock.close(() => resolve()));
    },
  };
}

/** With the lock space in it: a proxy in another one may share the temporary folder, and its lock cannot be seen from here. */
function folderPrefix({ id }: LockSpace): string {
  return `bulkhead-docker-${createHash('sha256').update(id).digest('hex').slice(0, 12)}-`;
}

/** Each time: what cleans up temporary folders takes one that was idle for days, and then its name is free to whoever is first. */
async function ensureFolder(path: string): Promise<void> {
  await mkdir(path, { mode: 0o711, recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  if (!(await isOwnFolder(path)))
    throw new ProxyError(
      'sandbox_unavailable',
      `The folder ${path} is not Bulkhead’s alone: another user made it, or may write to it. Remove it.`,
    );
}

/**
 * Whether it is a folder of this user that nobody else can write to. Its name tells nothing, since anybody can make one in /tmp; and what is
 * removed by its path from a folder of somebody else is what that one has put at the path by then.
 */
async function isOwnFolder(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  return found?.isDirectory() === true && found.uid === process.geteuid?.() && (found.mode & 0o022) === 0;
}

/** Abstract on Linux: no file to leave behind, and any user of the machine can see it. */
function lockPath(name: string): string {
  return process.platform === 'linux' ? `\0dev.bulkhead.instance.${name}` : `/tmp/bulkhead-instance-${name}.sock`;
}

async function takeLock(name: string): Promise<Server> {
  if (process.platform !== 'linux' && !(await isLocked(name))) await rm(lockPath(name), { force: true });
  const server = createServer((socket) => socket.destroy());
  server.unref();
  return await new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new ProxyError('invalid_config', `Another Bulkhead runs here as instance ${name}; give this one another name.`, { cause })),
    );
    server.listen(lockPath(name), () => resolve(server));
  });
}

async function isLocked(name: string): Promise<boolean> {
  const socket = connect(lockPath(name));
  return await new Promise<boolean>((resolve) => {
    // Refused is free. Anything else, such as a full queue, means that somebody listens.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT'));
    socket.once('connect', () => resolve(true));
  }).finally(() => socket.destroy());
}

function lockSpace(): LockSpace {
  const boot = firstLine('/proc/sys/kernel/random/boot_id') ?? 'unknown';
  const machine = (ownContainerId() === undefined ? firstLine('/etc/machine-id') : undefined) ?? boot;
  return { id: `${boot}/${networkNamespace()}`, machine, host: hostname() };
}

function firstLine(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').split('\n')[0] || undefined;
  } catch {
    return undefined;
  }
}

function networkNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/net');
  } catch {
    return 'unknown';
  }
}
