import type { ListenerPlan } from '../egress/listener-plan.ts';
import { withOwnEnvironment } from '../egress/proxy-environment.ts';
import { ProxyError } from '../errors.ts';
import type { ResourceLimits } from '../sandbox/policy.ts';
import type { FilterArchitecture } from '../sandbox/syscalls.ts';
import { perlPrelude } from './namespace-prelude.ts';
import { systemPath } from './plain-start.ts';
import { descriptors, inside, type NetworkPlan, type SandboxPlan } from './sandbox-plan.ts';

/** What the script writes to the ready descriptor when nothing is left to go wrong but the connector’s own program. */
export const readyMark = 'r';

/**
 * Runs with the few capabilities that listeners below port 1024 need, and an environment of PATH only: no word of the connector may
 * influence it, or its code would run with them. It gives them up and goes on as the connector’s script.
 */
export function startScript({ network }: SandboxPlan, architecture: FilterArchitecture): string {
  return network.helper.interpreter === 'perl' ? perlPrelude(network, architecture) : nodePrelude(network);
}

/** The same in a shell, around a Node that makes the listeners. */
function nodePrelude({ listeners, localRoutes }: NetworkPlan): string {
  const words = [...localRoutes.map((route) => `route:${route}`), ...listeners.map(listenerWord)];
  return script([
    `NODE_CHANNEL_FD=${descriptors.ipc} ${[`${inside.nodeFolder}/node`, inside.helper, ...words].map(quote).join(' ')} || exit 121`,
    `exec ${descriptors.ipc}>&-`,
    // A user namespace would give its maker capabilities again; no connector needs one.
    'echo 0 >/proc/sys/user/max_user_namespaces || exit 120',
    `exec /usr/bin/setpriv --ambient-caps=-all --inh-caps=-all --bounding-set=-all -- /bin/sh ${inside.connectorScript}`,
  ]);
}

/** Sets the limits, then the connector’s environment, then becomes its program. In this order: LD_PRELOAD must not meet a shell without limits. */
export function connectorScript(plan: SandboxPlan): string {
  const environment = { PATH: `${inside.nodeFolder}:${systemPath}`, HOME: '/tmp', LANG: 'C.UTF-8', ...plan.network.environment };
  return script([
    ...limitLines(plan.policy.limits, plan.counted),
    ...Object.entries(withOwnEnvironment(environment, plan.policy.environment)).map(exportLine),
    // bwrap and cd leave these two behind; the environment is the connector’s alone.
    `cd ${quote(inside.connector)} || exit 119; unset OLDPWD`,
    `printf ${readyMark} >&${descriptors.ready}; exec ${descriptors.ready}>&-`,
    `exec ${plan.command.map(quote).join(' ')}`,
  ]);
}

/** One word for any shell, whatever is in it. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

function script(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}

function listenerWord({ transport, address, port }: ListenerPlan): string {
  return `${transport}:${address}:${port}`;
}

function exportLine([name, value]: [string, string]): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || value.includes('\0')) {
    throw new ProxyError(
      'invalid_config',
      `The environment variable ${JSON.stringify(name)} cannot be set: a name has letters, digits and _, a value no NUL.`,
    );
  }
  return `export ${name}=${quote(value)}`;
}

/** Address space that one process may make beyond the memory limit: V8 reserves hundreds of megabytes for every thread’s code, and uses few. */
const dataSlackBytes = 2 ** 31;
/** So that the cgroup, which tells of what it refused, is reached first. */
const pidsSlack = 8;
const blockBytes = 512;
const kibibyte = 1024;

/**
 * Limits of each process, the first one included, hard and soft alike. RLIMIT_DATA is only a backstop where no cgroup counts the whole tree: it lies far above
 * the memory limit so that the watchdog, which can say what happened, comes first.
 */
function limitLines(limits: ResourceLimits, counted: SandboxPlan['counted']): readonly string[] {
  const data = 2 * limits.memoryBytesMax + dataSlackBytes;
  const processes = limits.pidsMax + (counted.pids ? pidsSlack : 0);
  const cpuSeconds = limits.cpuTimeMaxMs === undefined ? undefined : Math.ceil(limits.cpuTimeMaxMs / 1000);
  const hard = {
    ...{ core: 0, memlock: 0, nofile: limits.descriptorsMax, fsize: limits.fileBytesMax, nproc: processes },
    ...(counted.memory ? {} : { data }),
    ...(cpuSeconds === undefined ? {} : { cpu: cpuSeconds + 1 }),
  };
  return [
    // bwrap’s own process inside is of the connector’s user, so that its memory can be written and its limits are the connector’s to use.
    `/usr/bin/prlimit --pid 1 ${Object.entries(hard)
      .map(([name, value]) => `--${name}=${value}:${value}`)
      .join(' ')}`,
    'ulimit -c 0 && ulimit -l 0',
    `ulimit -n ${limits.descriptorsMax}`,
    `ulimit -f ${Math.ceil(limits.fileBytesMax / blockBytes)}`,
    ...(counted.memory ? [] : [`ulimit -d ${Math.ceil(data / kibibyte)}`]),
    // The kernel tells the process at the soft limit (SIGXCPU) and kills it at the hard one.
    ...(cpuSeconds === undefined ? [] : [`ulimit -S -t ${cpuSeconds} && ulimit -H -t ${cpuSeconds + 1}`]),
    // The number of processes is -p in dash and busybox, -u in bash.
    `{ ulimit -p ${processes} || ulimit -u ${processes}; } 2>/dev/null`,
  ].map((line) => `${line} || exit 118`);
}
