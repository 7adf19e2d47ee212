import { readFileSync } from 'node:fs';
import type { EgressSession } from '../egress/gateway.ts';
import { isThroughGateway } from '../manifest/network.ts';
import { type BindRequest, checkBind, checkCode, checkReadOnlyPath } from './bind-source.ts';
import { type StartedSandbox, startSandbox } from './bwrap-start.ts';
import { type CarriedBinds, createCarriedBinds } from './carried-binds.ts';
import { breachOfExit, type LimitBreach } from './limit-breach.ts';
import { hasEnded } from './outer-process.ts';
import { commandOf, folderOf } from './plain-start.ts';
import { endFromShellCode, handleOf } from './process-handle.ts';
import { processStat, signalIfAlive } from './process-tree.ts';
import type { ConnectorProcess, ProcessExit, ProcessSpec } from './runner.ts';
import type { NetworkPlan, SandboxPlan } from './sandbox-plan.ts';
import type { SubprocessHost } from './subprocess-host.ts';

/** How long bwrap may take to notice that everything inside has ended, before it is killed too. */
const outerKillTimeoutMs = 1000;

/**
 * Starts a connector in a bubblewrap sandbox, with a session of the egress gateway and a guard of its limits.
 * @throws ProxyError `sandbox_unavailable` when anything that the policy promises cannot be had.
 */
export async function startSandboxed(host: SubprocessHost, spec: ProcessSpec, signal: AbortSignal): Promise<ConnectorProcess> {
  const session = openSession(host, spec);
  try {
    const carried = createCarriedBinds();
    const plan = await makePlan(host, spec, session, carried);
    const { architecture, spares } = host;
    const { connector } = spec;
    return guard(
      host,
      spec,
      session,
      await startSandbox({ connector, plan, architecture, spares, session, carried: carried.sources, signal }),
    );
  } catch (error) {
    session?.close();
    throw error;
  }
}

function openSession({ egress }: SubprocessHost, { connector, policy, onNotice, invocations }: ProcessSpec): EgressSession | undefined {
  if (!isThroughGateway(policy.network)) return undefined;
  return egress?.open({
    connector,
    network: policy.network,
    onDenied: ({ message }) => onNotice({ code: 'egress_denied', message }),
    invocations: () => invocations?.() ?? [],
  });
}

async function makePlan(
  host: SubprocessHost,
  spec: ProcessSpec,
  session: EgressSession | undefined,
  carried: CarriedBinds,
): Promise<SandboxPlan> {
  const { policy, connector } = spec;
  const { user } = host;
  const folder = folderOf(spec);
  const check = { user, containedIn: folder } as const;
  const realFolder = checkCode({ ...check, what: `The folder of connector ${connector}`, path: folder, access: 'read' });
  const support = supportBinds(spec, check);
  const [dataFolder, readOnlyBinds] = await Promise.all([
    policy.dataFolder === undefined
      ? undefined
      : checkBind({ ...check, what: `The data folder of connector ${connector}`, path: policy.dataFolder, access: 'write' }),
    Promise.all(
      (policy.readOnlyPaths ?? []).map((path) => checkReadOnlyPath({ ...check, what: `A read-only path of connector ${connector}`, path })),
    ),
  ]);
  return {
    policy,
    command: commandOf(spec),
    folder: carried.place(realFolder),
    ...(dataFolder === undefined ? {} : { dataFolder: carried.place(dataFolder) }),
    readOnlyBinds: [...readOnlyBinds, ...support].map((bind) => ({ source: carried.place(bind), target: bind.target })),
    machine: { ...host.machine, nodePath: carried.place(host.node) },
    network: networkPlan(host, policy.network.type === 'unsafe-host', session),
    counted: host.counted,
    filter: host.filter,
  };
}

function supportBinds({ source, connector }: ProcessSpec, check: Pick<BindRequest, 'user' | 'containedIn'>) {
  if (source.type !== 'folder' || source.support === undefined) return [];
  const { source: path, target } = source.support;
  const checked = checkCode({ ...check, what: `Bulkhead’s own part of connector ${connector}`, path, access: 'read' });
  return [{ ...checked, target }];
}

function networkPlan({ helper }: SubprocessHost, isHostShared: boolean, session: EgressSession | undefined): NetworkPlan {
  const { listeners = [], localRoutes = [], hosts = [], environment = {} } = session ?? {};
  return { isHostShared, listeners, localRoutes, hosts, environment, helper };
}

function guard(host: SubprocessHost, spec: ProcessSpec, session: EgressSession | undefined, started: StartedSandbox): ConnectorProcess {
  const { child, output, innerPid, cgroup, releaseListeners } = started;
  const { connector, policy, onNotice } = spec;
  let breach: LimitBreach | undefined;
  const kill = () => killSandbox(started);
  const unwatch = host.watch.add({
    limits: policy.limits,
    connector,
    cgroup,
    pid: innerPid,
    onNotice,
    onBreach: (found) => {
      breach ??= found;
      kill();
    },
  });
  const finish = async (): Promise<Partial<ProcessExit>> => {
    unwatch();
    releaseListeners();
    session?.close();
    const events = cgroup?.events();
    await cgroup?.remove();
    const end = child.signalCode === null ? endFromShellCode(child.exitCode) : { exitCode: null, signal: child.signalCode };
    breach ??= breachOfExit(connector, policy.limits, end.signal, events);
    return { ...end, ...(breach === undefined ? {} : { breach }) };
  };
  return handleOf({ child, output, label: `pid ${innerPid}`, terminate: () => terminateSandbox(innerPid), kill, finish });
}

/** The connector’s program is a child of bwrap’s first process inside, which would not hand the signal on. */
function terminateSandbox(innerPid: number): void {
  for (const pid of childrenOf(innerPid)) signalIfAlive(pid, 'SIGTERM');
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/**
 * Kills the first process inside: the kernel then kills everything inside, and bwrap, which still waits for it, reaps it and ends.
 * Were bwrap killed first, its orphan would, without a spawner, go to whoever is process 1 here, and that may not reap.
 */
function killSandbox({ child, innerPid }: StartedSandbox): void {
  if (hasEnded(child)) return;
  const timer = setTimeout(() => child.kill('SIGKILL'), outerKillTimeoutMs);
  child.once('exit', () => clearTimeout(timer));
  void processStat(innerPid).then((stat) => {
    // The number is its own only as long as bwrap is its parent.
    if (stat?.parent === child.pid) signalIfAlive(innerPid, 'SIGKILL');
    else child.kill('SIGKILL');
  });
}
