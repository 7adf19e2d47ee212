import { readdirSync, readFileSync } from 'node:fs';

const closeOnExec = 0o2_000_000;

/**
 * Descriptors above stdio that this process got from whoever started it and that would leak into every child: Node marks its own
 * close-on-exec, but nobody marked these. Look before anything is spawned.
 */
export function findInheritedDescriptors(): readonly number[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((descriptor) => descriptor > 2 && isInherited(descriptor));
}

function isInherited(descriptor: number): boolean {
  try {
    const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0;
  } catch {
    // Closed since it was listed.
    return false;
  }
}
