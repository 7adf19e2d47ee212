import type { ListenerPlan } from '../egress/listener-plan.ts';
import { withOwnEnvironment } from '../egress/proxy-environment.ts';
import { ProxyError } from '../errors.ts';
import type { FilterArchitecture } from '../sandbox/syscalls.ts';
import { limitLines, limitsOf, resources } from './bwrap-limits.ts';
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

/**
 * Sets the limits, then the connector’s environment, then becomes its program. In this order: LD_PRELOAD must not meet a shell without limits.
 * `isLimited`: bwrap was limited before it began, and its own process inside with it.
 */
export function connectorScript(plan: SandboxPlan, isLimited: boolean): string {
  return script([
    ...limitLines(limitsOf(plan.policy.limits, plan.counted), isLimited),
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
