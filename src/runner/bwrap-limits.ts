import type { ResourceLimits } from '../sandbox/policy.ts';
import type { SandboxPlan } from './sandbox-plan.ts';
import type { HardLimit } from './spawner.ts';

/** Address space that one process may make beyond the memory limit: V8 reserves hundreds of megabytes for every thread’s code, and uses few. */
const dataSlackBytes = 2 ** 31;
/** So that the cgroup, which tells of what it refused, is reached first. */
const pidsSlack = 8;

/** As <asm-generic/resource.h> numbers them; prlimit(1) has the same names. */
export const resources = { cpu: 0, fsize: 1, data: 2, core: 4, nproc: 6, nofile: 7, memlock: 8 } as const;

export interface ResourceLimit {
  readonly name: keyof typeof resources;
  readonly soft: number;
  readonly hard: number;
}

/**
 * Limits of each process, the first one included. RLIMIT_DATA is only a backstop where no cgroup counts the whole tree: it lies far above
 * the memory limit so that the watchdog, which can say what happened, comes first.
 */
export function limitsOf(limits: ResourceLimits, counted: SandboxPlan['counted']): readonly ResourceLimit[] {
  const cpuSeconds = limits.cpuTimeMaxMs === undefined ? undefined : Math.ceil(limits.cpuTimeMaxMs / 1000);
  const hard = {
    ...{ core: 0, memlock: 0, nofile: limits.descriptorsMax, fsize: limits.fileBytesMax },
    nproc: limits.pidsMax + (counted.pids ? pidsSlack : 0),
    ...(counted.memory ? {} : { data: 2 * limits.memoryBytesMax + dataSlackBytes }),
  };
  const both = Object.entries(hard).map(([name, value]) => ({ name, soft: value, hard: value }) as ResourceLimit);
  // The kernel tells the process at the soft limit (SIGXCPU) and kills it at the hard one.
  return cpuSeconds === undefined ? both : [...both, { name: 'cpu', soft: cpuSeconds, hard: cpuSeconds + 1 }];
}

/** Letter and bytes a unit of `ulimit`, as POSIX and every shell have them; the number of processes is -p in dash and busybox, -u in bash. */
const ulimits = { cpu: ['t', 1], fsize: ['f', 512], data: ['d', 1024], core: ['c', 1], nofile: ['n', 1], memlock: ['l', 1] } as const;

/** Of a shell inside, for itself and, unless that is limited, for bwrap’s own process. Any that fails ends the start. */
export function limitLines(limits: readonly ResourceLimit[], isLimited: boolean): readonly string[] {
  const lineOf = ({ name, soft, hard }: ResourceLimit): string => {
    if (name === 'nproc') return `{ ulimit -p ${hard} || ulimit -u ${hard}; } 2>/dev/null`;
    const [letter, unit] = ulimits[name];
    const inUnits = (value: number): number => Math.ceil(value / unit);
    return `ulimit -S -${letter} ${inUnits(soft)} && ulimit -H -${letter} ${inUnits(hard)}`;
  };
  // bwrap’s own process inside is of the connector’s user, so that its memory can be written and its limits are the connector’s to use.
  const first = `/usr/bin/prlimit --pid 1 ${limits.map(({ name, hard }) => `--${name}=${hard}:${hard}`).join(' ')}`;
  const lines = isLimited ? limits.filter((limit) => !isHeldAhead(limit)).map(lineOf) : [first, ...limits.map(lineOf)];
  return lines.map((line) => `${line} || exit 118`);
}

/** With less, bwrap itself could not write its files inside, or open what it mounts. */
export const bwrapNeeds = { fileBytes: 2 ** 20, descriptors: 64 } as const;

/**
 * What bwrap is limited to when it is spawned, for all that it starts: a program less inside, a millisecond. None where its own process
 * inside must be limited there: where bwrap could not work so itself, and where the number of processes has to be held by a limit, which
 * outside counts those of all sandboxes of its user.
 */
export function limitsAhead(limits: ResourceLimits, counted: SandboxPlan['counted']): readonly HardLimit[] {
  const isEnough = limits.fileBytesMax >= bwrapNeeds.fileBytes && limits.descriptorsMax >= bwrapNeeds.descriptors;
  if (!isEnough || !counted.pids || !counted.memory) return [];
  const held = limitsOf(limits, counted).filter(({ name }) => name !== 'nproc');
  return held.map(({ name, hard }) => ({ resource: resources[name], hard }));
}

function isHeldAhead({ name, soft, hard }: ResourceLimit): boolean {
  return name !== 'nproc' && soft === hard;
}
