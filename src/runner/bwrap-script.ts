import type { ListenerPlan } from '../egress/listener-plan.ts';
import { withOwnEnvironment } from '../egress/proxy-environment.ts';
import { ProxyError } from '../errors.ts';
import type { ResourceLimits } from '../sandbox/policy.ts';
import type { FilterArchitecture } from '../sandbox/syscalls.ts';
import { listenerSteps, preludeCalls } from './namespace-prelude.ts';
import { systemPath } from './plain-start.ts';
import { descriptors, inside, type NetworkPlan, type SandboxPlan } from './sandbox-plan.ts';

/** What the script writes to the ready descriptor when nothing is left to go wrong but the connector’s own program. */
export const readyMark = 'r';

/**
 * Perl as the first program of a sandbox that has listeners; see namespace-helper/prelude.pl. It begins with an environment of PATH only:
 * no word of the connector may influence it, or its code would run with the capabilities that listeners below port 1024 need, or without limits.
 */
export function perlScript(plan: SandboxPlan, architecture: FilterArchitecture): string {
  const { network, policy, counted, command } = plan;
  const { sendmsg, prctl, capset, prlimit64 } = preludeCalls[architecture];
  return script([
    `${network.helper.program}${sendmsg} ${prctl} ${capset} ${prlimit64}`,
    ...listenerSteps(network),
    ...limitsOf(policy.limits, counted).map(({ name, soft, hard }) => `limit ${resources[name]} ${soft} ${hard}`),
    ...Object.entries(environmentOf(plan)).map(([name, value]) => `variable ${name} ${hex(value)}`),
    `folder ${hex(inside.connector)}`,
    `ready ${descriptors.ready} ${readyMark}`,
    `become ${command.map(hex).join()}`,
  ]);
}

function hex(word: string): string {
  return Buffer.from(word).toString('hex');
}

/** The same without Perl: a shell around a Node that makes the listeners; it goes on as the connector’s script. */
export function nodeScript({ listeners, localRoutes }: NetworkPlan): string {
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
  return script([
    ...limitLines(limitsOf(plan.policy.limits, plan.counted)),
    ...Object.entries(environmentOf(plan)).map(([name, value]) => `export ${name}=${quote(value)}`),
    // cd leaves it behind; the environment is the connector’s alone.
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

/** @throws ProxyError `invalid_config` for what cannot be a variable. */
function environmentOf({ network, policy }: SandboxPlan): Readonly<Record<string, string>> {
  const base = { PATH: `${inside.nodeFolder}:${systemPath}`, HOME: '/tmp', LANG: 'C.UTF-8', PWD: inside.connector };
  const environment = { ...base, ...network.environment };
  const own = withOwnEnvironment(environment, policy.environment);
  for (const [name, value] of Object.entries(own)) {
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !value.includes('\0')) continue;
    throw new ProxyError(
      'invalid_config',
      `The environment variable ${JSON.stringify(name)} cannot be set: a name has letters, digits and _, a value no NUL.`,
    );
  }
  return own;
}

/** Address space that one process may make beyond the memory limit: V8 reserves hundreds of megabytes for every thread’s code, and uses few. */
const dataSlackBytes = 2 ** 31;
/** So that the cgroup, which tells of what it refused, is reached first. */
const pidsSlack = 8;

/** As <asm-generic/resource.h> numbers them; prlimit(1) has the same names. */
const resources = { cpu: 0, fsize: 1, data: 2, core: 4, nproc: 6, nofile: 7, memlock: 8 } as const;

interface ResourceLimit {
  readonly name: keyof typeof resources;
  readonly soft: number;
  readonly hard: number;
}

/**
 * Limits of each process, the first one included. RLIMIT_DATA is only a backstop where no cgroup counts the whole tree: it lies far above
 * the memory limit so that the watchdog, which can say what happened, comes first.
 */
function limitsOf(limits: ResourceLimits, counted: SandboxPlan['counted']): readonly ResourceLimit[] {
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

function limitLines(limits: readonly ResourceLimit[]): readonly string[] {
  const lineOf = ({ name, soft, hard }: ResourceLimit): string => {
    if (name === 'nproc') return `{ ulimit -p ${hard} || ulimit -u ${hard}; } 2>/dev/null`;
    const [letter, unit] = ulimits[name];
    const inUnits = (value: number): number => Math.ceil(value / unit);
    return `ulimit -S -${letter} ${inUnits(soft)} && ulimit -H -${letter} ${inUnits(hard)}`;
  };
  return [
    // bwrap’s own process inside is of the connector’s user, so that its memory can be written and its limits are the connector’s to use.
    `/usr/bin/prlimit --pid 1 ${limits.map(({ name, hard }) => `--${name}=${hard}:${hard}`).join(' ')}`,
    ...limits.map(lineOf),
  ].map((line) => `${line} || exit 118`);
}
