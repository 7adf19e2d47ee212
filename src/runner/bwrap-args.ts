import type { ResourceLimits } from '../sandbox/policy.ts';
import type { FilterArchitecture } from '../sandbox/syscalls.ts';
import { connectorScript, nodeScript, perlScript } from './bwrap-script.ts';
import { inside, type MachinePath, type SandboxPlan } from './sandbox-plan.ts';

/** A word of bwrap’s arguments, or content that it reads from a descriptor whose number takes the word’s place. */
export type BwrapWord = string | { readonly content: string | Uint8Array } | { readonly type: 'status' };

/** Inside, whoever the process is outside. */
const insideUser = '65534';
const insideHostName = 'connector';
const devices = ['null', 'zero', 'full', 'random', 'urandom'] as const;
const deviceFolderBytesMax = 65_536;
/** Shared memory is memory; few programs need any. */
const sharedMemoryBytesMax = 2 ** 20;

/**
 * The arguments of one sandbox: a pure function of its plan. Facts and reasons: docs/isolation.md.
 * bwrap reads them from a descriptor, so that nothing of them shows in a list of processes. `isLimited`: it has its `limitsAhead` already.
 */
export function bwrapArguments(plan: SandboxPlan, architecture: FilterArchitecture, isLimited: boolean): readonly BwrapWord[] {
  return [
    ...namespaces(plan),
    ...machineFiles(plan),
    ...networkFiles(plan),
    ...userFiles,
    ...deviceFolder,
    ...scratchFolders(plan.policy.limits),
    ...connectorFolders(plan),
    ...programs(plan, architecture, isLimited),
    ...['--remount-ro', '/dev', '--remount-ro', '/', '--chdir', '/', '--clearenv', '--setenv', 'PATH', '/usr/bin:/bin'],
    ...['--seccomp', { content: plan.filter }, '--json-status-fd', { type: 'status' } as const],
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

function namespaces(plan: SandboxPlan): readonly BwrapWord[] {
  return [
    ...['--unshare-all', '--unshare-user', ...(plan.network.isHostShared ? ['--share-net'] : [])],
    ...['--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--uid', insideUser, '--gid', insideUser, '--hostname', insideHostName],
    // --disable-userns puts the command into a second namespace that does not own the network: the helper could not bind below 1024.
    ...(needsHelper(plan) ? helperCapabilities(plan).flatMap((name) => ['--cap-add', name]) : ['--disable-userns']),
  ];
}

/** Until start.sh gives them up: ports below 1024, no more user namespaces, giving up, and routes for rules that name addresses. */
function helperCapabilities({ network }: SandboxPlan): readonly string[] {
  return ['CAP_NET_BIND_SERVICE', 'CAP_SYS_RESOURCE', 'CAP_SETPCAP', ...(network.localRoutes.length > 0 ? ['CAP_NET_ADMIN'] : [])];
}

function machineFiles({ machine }: SandboxPlan): readonly BwrapWord[] {
  return [
    ...['--ro-bind', '/usr', '/usr'],
    ...machine.rootEntries.flatMap((entry) => show('--ro-bind', entry)),
    ...machine.systemPaths.flatMap((entry) => show('--ro-bind-try', entry)),
  ];
}

function show(bind: '--ro-bind' | '--ro-bind-try', { path, link }: MachinePath): readonly BwrapWord[] {
  return link === undefined ? [bind, path, path] : ['--symlink', link, path];
}

function networkFiles({ network }: SandboxPlan): readonly BwrapWord[] {
  if (network.isHostShared)
    return ['/etc/hosts', '/etc/resolv.conf', '/etc/nsswitch.conf'].flatMap((path) => ['--ro-bind-try', path, path]);
  const hosts = network.hosts.map(({ address, name }) => `${address} ${name}\n`).join('');
  return [
    // Its own name too: mail clients and JVMs look it up, and would be told of a denial that nobody can make sense of.
    ...file('/etc/hosts', `127.0.0.1 localhost ${insideHostName}\n${hosts}`),
    // Answered by the gateway’s responder where there is one; else refused at once.
    ...file('/etc/resolv.conf', 'nameserver 127.0.0.1\noptions timeout:5 attempts:1\n'),
    ...file('/etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n'),
  ];
}

function scratchFolders({ tmpBytesMax }: ResourceLimits): readonly BwrapWord[] {
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
