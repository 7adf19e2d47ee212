import type { CgroupEvents } from '../sandbox/cgroup.ts';
import type { ResourceLimits } from '../sandbox/policy.ts';
import type { ProcessExit } from './runner.ts';

export type LimitBreach = NonNullable<ProcessExit['breach']>;

/** `reachedBytes` undefined: nobody knows. */
export function memoryBreach(connector: string, { memoryBytesMax }: ResourceLimits, reachedBytes: number | undefined): LimitBreach {
  const limit = describeBytes(memoryBytesMax);
  const what =
    reachedBytes === undefined
      ? `went over its limit of ${limit} of memory`
      : `used ${describeBytes(reachedBytes)} of memory, its limit is ${limit},`;
  return { code: 'memory_exceeded', message: `Connector ${connector} ${what} and was stopped; raise limits.memory, or use less.` };
}

/** What the end of a process says of a limit: the kernel’s own counts first, then the signals that limits send. */
export function breachOfExit(
  connector: string,
  limits: ResourceLimits,
  signal: string | null,
  events?: CgroupEvents,
): LimitBreach | undefined {
  if (events !== undefined && events.oomKills > 0) return memoryBreach(connector, limits, events.memoryPeakBytes);
  if (signal === 'SIGXCPU') {
    const message = `Connector ${connector} used its ${limits.cpuTimeMaxMs} ms of CPU time and was stopped; raise limits.cpuTime, or compute less.`;
    return { code: 'cpu_exceeded', message };
  }
  if (signal === 'SIGXFSZ') {
    const limit = describeBytes(limits.fileBytesMax);
    return {
      code: 'disk_exceeded',
      message: `Connector ${connector} wrote a file over its limit of ${limit} and was stopped; raise limits.file, or write less.`,
    };
  }
  return undefined;
}

const mebibyte = 2 ** 20;

export function describeBytes(bytes: number): string {
  return bytes >= mebibyte ? `${Math.round(bytes / mebibyte)} MiB` : `${Math.ceil(bytes / 1024)} KiB`;
}
