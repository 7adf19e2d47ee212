import type { FilterArchitecture } from '../sandbox/syscalls.ts';
import { connectorScript, nodeScript, perlScript } from './bwrap-script.ts';
import { inside, type MachineLayout, type MachinePath, type NetworkPlan, type SandboxPlan } from './sandbox-plan.ts';

/** A word of bwrap’s arguments, or content that it reads from a descriptor whose number takes the word’s place. */
export type BwrapWord = string | { readonly content: string | Uint8Array } | { readonly type: 'status' };

/** Inside, whoever the process is outside. */
const insideUser = '65534';
const insideHostName = 'connector';
const devices = ['null', 'zero', 'full', 'random', 'urandom'] as const;
const deviceFolderBytesMax = 65_536;
/** Shared memory is memory; few programs need any. */
const sharedMemoryBytesMax = 2 ** 20;

/** What the first of a sandbox's arguments are made of: nothing of a connector, so that its bwrap can be told them while it waits. */
export interface KindOfSandbox extends Pick<SandboxPlan, 'filter'> {
  readonly machine: Pick<MachineLayout, 'rootEntries' | 'systemPaths'>;
  readonly isHostShared: boolean;
  /** What its first program needs to make listeners and routes; empty: it makes none. */
  readonly capabilities: readonly string[];
  readonly tmpBytesMax: number;
}

export function kindOf({ machine, filter, network, policy }: SandboxPlan): KindOfSandbox {
  const { isHostShared } = network;
  return { machine, filter, isHostShared, capabilities: helperCapabilities(network), tmpBytesMax: policy.limits.tmpBytesMax };
}

/**
 * The first arguments of a sandbox; `ownArguments` come behind them. Facts and reasons: docs/isolation.md.
 * bwrap reads them from a descriptor, so that nothing of them shows in a list of processes.
 */
export function argumentsAhead(kind: KindOfSandbox): readonly BwrapWord[] {
  return [
    ...namespaces(kind),
    ...machineFiles(kind),
    ...networkFiles(kind),
    ...userFiles,
    ...deviceFolder,
    ...scratchFolders(kind),
    ...['--seccomp', { content: kind.filter }, '--json-status-fd', { type: 'status' } as const],
  ];
}

/** The rest: a pure function of the plan. `isLimited`: bwrap has its `limitsAhead` already. */
export function ownArguments(plan: SandboxPlan, architecture: FilterArchitecture, isLimited: boolean): readonly BwrapWord[] {
  return [
    ...hostsFile(plan),
    ...connectorFolders(plan),
    ...programs(plan, architecture, isLimited),
    ...['--remount-ro', '/dev', '--remount-ro', '/', '--chdir', '/', '--clearenv', '--setenv', 'PATH', '/usr/bin:/bin'],
  ];
}

/** The first program of the sandbox; it cannot be among the arguments that are read from a descriptor. */
export function firstProgram(plan: SandboxPlan): readonly string[] {
  if (!needsHelper(plan)) return ['/bin/sh', inside.connectorScript];
  return [plan.network.helper.interpreter === 'perl' ? '/usr/bin/perl' : '/bin/sh', inside.startScript];
}

export function needsHelper({ network }: SandboxPlan): boolean {
  return network.listeners.length > 0;
}

function namespaces({ isHostShared, capabilities }: KindOfSandbox): readonly BwrapWord[] {
  return [
    ...['--unshare-all', '--unshare-user', ...(isHostShared ? ['--share-net'] : [])],
    ...['--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--uid', insideUser, '--gid', insideUser, '--hostname', insideHostName],
    // --disable-userns puts the command into a second namespace that does not own the network: the helper could not bind below 1024.
    ...(capabilities.length > 0 ? capabilities.flatMap((name) => ['--cap-add', name]) : ['--disable-userns']),
  ];
}

/** Until start.sh gives them up: ports below 1024, no more user namespaces, giving up, and routes for rules that name addresses. */
function helperCapabilities({ listeners, localRoutes }: NetworkPlan): readonly string[] {
  if (listeners.length === 0) return [];
  return ['CAP_NET_BIND_SERVICE', 'CAP_SYS_RESOURCE', 'CAP_SETPCAP', ...(localRoutes.length > 0 ? ['CAP_NET_ADMIN'] : [])];
}

function machineFiles({ machine }: KindOfSandbox): readonly BwrapWord[] {
  return [
    ...['--ro-bind', '/usr', '/usr'],
    ...machine.rootEntries.flatMap((entry) => show('--ro-bind', entry)),
    ...machine.systemPaths.flatMap((entry) => show('--ro-bind-try', entry)),
  ];
}

function show(bind: '--ro-bind' | '--ro-bind-try', { path, link }: MachinePath): readonly BwrapWord[] {
  return link === undefined ? [bind, path, path] : ['--symlink', link, path];
}

function networkFiles({ isHostShared }: KindOfSandbox): readonly BwrapWord[] {
  if (isHostShared) return ['/etc/hosts', '/etc/resolv.conf', '/etc/nsswitch.conf'].flatMap((path) => ['--ro-bind-try', path, path]);
  return [
    // Answered by the gateway’s responder where there is one; else refused at once.
    ...file('/etc/resolv.conf', 'nameserver 127.0.0.1\noptions timeout:5 attempts:1\n'),
    ...file('/etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n'),
  ];
}

function hostsFile({ network }: SandboxPlan): readonly BwrapWord[] {
  if (network.isHostShared) return [];
  const hosts = network.hosts.map(({ address, name }) => `${address} ${name}\n`).join('');
  // Its own name too: mail clients and JVMs look it up, and would be told of a denial that nobody can make sense of.
  return file('/etc/hosts', `127.0.0.1 localhost ${insideHostName}\n${hosts}`);
}

function scratchFolders({ tmpBytesMax }: KindOfSandbox): readonly BwrapWord[] {
  const scratch = (path: string, bytes: number) => ['--perms', '1777', '--size', String(bytes), '--tmpfs', path];
  return [...scratch('/tmp', tmpBytesMax), ...scratch('/dev/shm', sharedMemoryBytesMax)];
}

function connectorFolders({ folder, dataFolder, readOnlyBinds }: SandboxPlan): readonly BwrapWord[] {
  return [
    // Before /app and /data, so that nothing listed can cover them.
    ...readOnlyBinds.flatMap(({ source, target }) => ['--ro-bind', source, target]),
    ...['--ro-bind', folder, inside.connector],
    ...(dataFolder === undefined ? [] : ['--bind', dataFolder, inside.data]),
  ];
}

function programs(plan: SandboxPlan, architecture: FilterArchitecture, isLimited: boolean): readonly BwrapWord[] {
  const { helper } = plan.network;
  const node = ['--ro-bind', plan.machine.nodePath, `${inside.nodeFolder}/node`];
  if (!needsHelper(plan)) return [...node, ...file(inside.connectorScript, connectorScript(plan, isLimited))];
  if (helper.interpreter === 'perl') return [...node, ...file(inside.startScript, perlScript(plan, architecture))];
  const listens = [...file(inside.startScript, nodeScript(plan.network)), ...file(inside.helper, helper.program)];
  return [...node, ...listens, ...file(inside.connectorScript, connectorScript(plan, isLimited))];
}

function file(path: string, content: string): readonly BwrapWord[] {
  return ['--perms', '0444', '--file', { content }, path];
}

const userFiles: readonly BwrapWord[] = [
  ...file('/etc/passwd', `connector:x:${insideUser}:${insideUser}::/tmp:/usr/sbin/nologin\n`),
  ...file('/etc/group', `connector:x:${insideUser}:\n`),
];

/** By hand: bwrap’s --dev brings terminals, and a second user namespace (see `namespaces`). */
const deviceFolder: readonly BwrapWord[] = [
  ...['--size', String(deviceFolderBytesMax), '--tmpfs', '/dev'],
  ...devices.flatMap((name) => ['--dev-bind', `/dev/${name}`, `/dev/${name}`]),
  ...['--symlink', '/proc/self/fd', '/dev/fd'],
  ...['stdin', 'stdout', 'stderr'].flatMap((name, number) => ['--symlink', `/proc/self/fd/${number}`, `/dev/${name}`]),
  ...['--proc', '/proc'],
];
