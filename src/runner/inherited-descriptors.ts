import { readdirSync, readFileSync } from 'node:fs';

/** What a child must not get of them. */
export interface InheritedDescriptors {
  readonly inherited: readonly number[];
  /** Open on /dev/null; covers each of them. */
  readonly nullDescriptor: number;
}

export type StdioEntry = 'pipe' | 'ignore' | 'ipc' | number;

/** The same stdio, in which none of the inherited descriptors is left. */
export function coverInherited(stdio: readonly StdioEntry[], { inherited, nullDescriptor }: InheritedDescriptors): StdioEntry[] {
  const covered = [...stdio];
  for (const descriptor of inherited) {
    while (covered.length <= descriptor) covered.push('ignore');
    if (covered[descriptor] === 'ignore') covered[descriptor] = nullDescriptor;
  }
  return covered;
}

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
