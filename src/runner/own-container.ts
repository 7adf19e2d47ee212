import { readFileSync } from 'node:fs';

/** What engines mount into every container, out of a folder with its id for a name. */
const mountedFiles = ['/etc/hostname', '/etc/hosts', '/etc/resolv.conf'];

/**
 * The id of the container that this process runs in, as far as its mounts tell; undefined outside of one. Whoever shares the network of
 * another container has that one's files, and is taken for it: when that ends, the network of both is gone.
 */
export function ownContainerId(): string | undefined {
  try {
    return containerIdOf(readFileSync('/proc/self/mountinfo', 'utf8'));
  } catch {
    return undefined;
  }
}

/** Pure. Of the text of `/proc/PID/mountinfo`. */
export function containerIdOf(mountinfo: string): string | undefined {
  const mounts = mountinfo.split('\n').map((line) => line.split(' '));
  const roots = mounts.filter(([, , , , target = '']) => mountedFiles.includes(target)).map(([, , , root = '']) => root);
  // Docker: …/containers/ID/hostname; Podman: …/overlay-containers/ID/userdata/hostname. The last one, where engines run in containers.
  return roots.map((root) => /.*containers\/([0-9a-f]{64})\//.exec(root)?.[1]).find((id) => id !== undefined);
}
