import { posix } from 'node:path';
import { escapeUnprintable } from '../protocol/breach.ts';
import type { SandboxPolicy } from '../sandbox/policy.ts';

/**
 * Volumes of an image. For each path that an image declares as one, an engine makes a folder on its own disk, writable and bounded by nothing.
 * No policy grants that, so each gets an empty folder to read only, as the rest of the root is: most images that declare volumes have them from
 * a base image and write to none. Writable ones of bounded size would have to share the bytes of /tmp, which no engine lets them do.
 */

/** Far more than any image has; each is a mount at every start. */
const volumesMax = 64;
/** Enough for the folders that other mounts need in it. */
const coverBytesMax = 64 * 1024;
const coverInodesMax = 512;

/** What engines put there themselves. */
const systemFolders = ['/proc', '/sys', '/dev'] as const;

/** Where an engine mounts writable folders of any size over a read-only root, whatever it is asked for, unless something is mounted there already. */
export const engineFolders = { docker: [], podman: ['/run', '/tmp', '/var/tmp'] } as const;

export interface CoverOptions {
  readonly product: 'docker' | 'podman';
  /** Where something else is mounted already: an engine makes no volume there. */
  readonly taken: readonly string[];
}

/** The tmpfs over each volume by its path, for a create payload. */
export function volumeCovers(volumes: readonly string[], { product, taken }: CoverOptions): Record<string, string> {
  const free = volumes.filter((path) => !taken.includes(path));
  return Object.fromEntries(free.map((path) => [path, coverOptions[product]]));
}

/** Podman refuses nr_inodes, and would fill the tmpfs with what the image has there. Bounded all the same: read-only comes last of a mount. */
export const coverOptions = {
  docker: `ro,noexec,nosuid,nodev,size=${coverBytesMax},nr_inodes=${coverInodesMax},mode=0555`,
  podman: `ro,noexec,nosuid,nodev,size=${coverBytesMax},mode=0555,notmpcopyup`,
} as const;

/** The paths as an engine reads them: it drops `.`, `..` and slashes that say nothing, and takes two spellings for one. */
export function volumePaths(written: readonly string[]): readonly string[] {
  return [...new Set(written.map((path) => posix.normalize(path).replace(/(.)\/+$/, '$1')))].toSorted();
}

/** Why an image with these volumes cannot run, with the repair; undefined when it can. `mounted`: host folders, by their places inside. */
export function volumeFault(volumes: readonly string[], mounted: readonly string[]): string | undefined {
  const repair = 'build it without that VOLUME';
  if (volumes.length > volumesMax)
    return `declares ${volumes.length} volumes, of which at most ${volumesMax} can be covered; build it with fewer`;
  for (const path of volumes) {
    const name = `declares the volume “${escapeUnprintable(path.slice(0, 200))}”`;
    if (!path.startsWith('/') || path === '/' || /\p{Cc}|\ufffd/u.test(path))
      return `${name}, which is no folder that can be covered; ${repair}`;
    if (systemFolders.some((folder) => isWithin(folder, path))) return `${name}, where the engine keeps a folder of its own; ${repair}`;
    // Its mount point would be made in the host's folder, by root.
    const outer = mounted.find((folder) => folder !== path && isWithin(folder, path));
    if (outer !== undefined) return `${name} within ${outer}, which is a folder of the host; ${repair}`;
  }
  return undefined;
}

/** Where a policy shows folders of the host. */
export function hostFolders({ dataFolder, readOnlyPaths = [] }: SandboxPolicy, places: { readonly data: string; readonly stdio: string }) {
  return [...readOnlyPaths.map((path) => posix.normalize(path)), places.stdio, ...(dataFolder === undefined ? [] : [places.data])];
}

function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
