import { realpathSync, type Stats, statSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, normalize, relative } from 'node:path';
import { ProxyError } from '../errors.ts';
import type { SandboxUser } from './sandbox-user.ts';

/** Host paths that no connector gets, whole or in part: kernel interfaces, and the sockets of engines and other services. */
const refusedTrees = ['/proc', '/sys', '/dev', '/run', '/var/run', '/boot'] as const;

/** Places of the sandbox that a read-only path may not cover. */
const takenTrees = [
  ...['/etc/hosts', '/etc/resolv.conf', '/etc/nsswitch.conf', '/etc/passwd', '/etc/group'],
  ...['/app', '/data', '/opt/bulkhead', '/usr', '/bin', '/sbin', '/lib', '/lib64', '/tmp'],
] as const;

export interface BindRequest {
  /** Named in every refusal, e.g. `The folder of connector x`. */
  readonly what: string;
  readonly path: string;
  /** A path inside this folder must stay inside when its links are followed. */
  readonly containedIn?: string;
  readonly access: 'read' | 'write';
  /** Whose rights count; undefined: the proxy’s own. */
  readonly user: SandboxUser | undefined;
}

/** A path that may be mounted. */
export interface CheckedBind {
  readonly source: string;
  readonly isFolder: boolean;
  /** Whether a folder above it is closed to the user, e.g. a home: the path is then carried past it, see `carried-binds.ts`. */
  readonly isBehindClosedFolder: boolean;
}

/**
 * The real path to mount. Mounting follows links on the host, so they are followed here first, where it can be checked that they lead
 * nowhere else.
 * @throws ProxyError `sandbox_unavailable` with the repair.
 */
export async function checkBind(request: BindRequest): Promise<CheckedBind> {
  requireAbsolute(request);
  const fail = (error: NodeJS.ErrnoException) => unreadable(request, error);
  const real = await realpath(request.path).catch(fail);
  // Not of the path: a link in it may lead elsewhere by now.
  return judge(request, real, await stat(real).catch(fail));
}

/**
 * The same for what was read when the catalog was loaded, and as that: without the thread pool, whose way there and back is a quarter of a
 * cold start where other work keeps the cores (3 of 20 ms). A data folder may be on a disk far away; code seldom is.
 * @throws ProxyError `sandbox_unavailable` with the repair.
 */
export function checkCode(request: BindRequest): CheckedBind {
  requireAbsolute(request);
  const look = () => {
    try {
      const real = realpathSync.native(request.path);
      return [real, statSync(real)] as const;
    } catch (error) {
      return unreadable(request, error as NodeJS.ErrnoException);
    }
  };
  const [real, found] = look();
  return judge(request, real, found);
}

function requireAbsolute(request: BindRequest): void {
  if (!isAbsolute(request.path)) refuse(request, 'is not an absolute path.');
}

function unreadable(request: BindRequest, { code }: NodeJS.ErrnoException): never {
  return refuse(request, `cannot be read (${code}).`);
}

function refuse({ what, path }: BindRequest, reason: string): never {
  throw new ProxyError('sandbox_unavailable', `${what}, ${path}, ${reason}`);
}

function judge(request: BindRequest, real: string, found: Stats): CheckedBind {
  const { path, containedIn, user } = request;
  if (containedIn !== undefined && real !== path && isWithin(path, containedIn) && !isWithin(real, containedIn)) {
    refuse(
      request,
      `is a symbolic link that leaves the connector’s folder, to ${real}; put the files into the folder, or name the real path in the config.`,
    );
  }
  if (real === '/' || refusedTrees.some((tree) => isWithin(real, tree)))
    refuse(request, 'is never given to a connector: it holds the machine’s own interfaces.');
  if (!isFileOrFolder(found.mode)) refuse(request, 'is neither a file nor a folder; sockets and devices are never given to a connector.');
  checkRights(request, real, found);
  return {
    source: real,
    isFolder: (found.mode & fileTypeMask) === fileTypes.folder,
    // Not in the thread pool: the kernel has just come through them.
    isBehindClosedFolder: user !== undefined && !foldersAbove(real).every((folder) => may(statSync(folder), bits.search, user)),
  };
}

/** A path shown read-only at the place it has on the host. */
export async function checkReadOnlyPath(request: Omit<BindRequest, 'access'>): Promise<CheckedBind & { readonly target: string }> {
  const target = normalize(request.path).replace(/(.)\/$/, '$1');
  if (
    takenTrees.some((tree) => target === tree || isWithin(tree, target) || (tree !== '/usr' && tree !== '/tmp' && isWithin(target, tree)))
  ) {
    throw new ProxyError('sandbox_unavailable', `${request.what}, ${request.path}, would cover a place of the sandbox itself.`);
  }
  return { ...(await checkBind({ ...request, access: 'read' })), target };
}

export function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith('../') && !isAbsolute(way);
}

const fileTypeMask = 0o170_000;
const fileTypes = { folder: 0o040_000, file: 0o100_000 } as const;

function isFileOrFolder(mode: number): boolean {
  const type = mode & fileTypeMask;
  return type === fileTypes.folder || type === fileTypes.file;
}

const bits = { read: 4, write: 2, search: 1 } as const;

function foldersAbove(path: string): readonly string[] {
  const folder = dirname(path);
  return folder === path ? [] : [folder, ...foldersAbove(folder)];
}

/** Access lists are not read: a mode that says no is enough. */
function checkRights(request: BindRequest, real: string, found: Rights): void {
  const { access, user } = request;
  const wanted = bits.read | (access === 'write' ? bits.write : 0);
  if (user === undefined || may(found, wanted, user)) return;
  const repair = access === 'write' ? `chown ${user.name} ${real}` : `chmod -R o+rX ${real}`;
  refuse(request, `cannot be ${access === 'write' ? 'written' : 'read'} by the user ${user.name}. Say \`${repair}\`.`);
}

type Rights = Pick<Stats, 'uid' | 'gid' | 'mode'>;

function may({ uid, gid, mode }: Rights, wanted: number, user: SandboxUser): boolean {
  const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0;
  return ((mode >> shift) & wanted) === wanted;
}
