import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, readlink, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { EgressGateway, EgressSession } from '../egress/gateway.ts';
import { ProxyError } from '../errors.ts';
import { networkRule } from '../manifest/host-pattern.ts';
import type { ConnectorName } from '../manifest/names.ts';
import type { SandboxPolicy } from '../sandbox/policy.ts';
import { syscallNumber } from '../sandbox/syscalls.ts';
import { createSubprocessRunner, type LimitStrength, type SubprocessRunner, type SubprocessRunnerOptions } from './subprocess.ts';

/** What one protection is worth on this machine, found by trying to get around it. */
export interface ControlReport {
  /** e.g. `host loopback`; the same words on every machine. */
  readonly control: string;
  readonly state: 'enforced' | 'not enforced' | 'not available';
  /** What the attempt came to, or why there was none. */
  readonly detail: string;
  /** What to do about it; absent where there is nothing to do. */
  readonly repair?: string;
  /** Whether the config promises it: `serve` refuses to start without. */
  readonly isRequired: boolean;
}

const mebibyte = 2 ** 20;

/**
 * Small limits, so that reaching them is quick. The probe itself takes less than 8 MiB of memory with pages of 4 KiB, as every x64 has; others
 * may have larger ones.
 */
const probeLimits: SandboxPolicy['limits'] = {
  memoryBytesMax: (process.arch === 'x64' ? 16 : 32) * mebibyte,
  cpusMax: 1,
  pidsMax: 16,
  descriptorsMax: 64,
  fileBytesMax: 64 * mebibyte,
  tmpBytesMax: 2 * mebibyte,
  tmpInodesMax: 1000,
};
const memoryTriedMebibytes = 128;
/** What the sandbox with rules alone tells, unless no cgroup counts processes. */
const triedWithRules = ['number of processes', 'network rules'] as const;
/** The whole probe; on a quiet machine it takes a quarter of a second. */
const probeTimeoutMs = 20_000;

export interface ProbeOptions extends Omit<SubprocessRunnerOptions, 'egress' | 'keepsSpares'> {
  /** Called for each of the two sandboxes when it runs, or cannot be started. */
  readonly onStarted?: () => void;
}

/**
 * Tries the forbidden things from inside a real sandbox, without network and with rules. Never throws: a sandbox that cannot be had
 * is a report too.
 */
export async function probeSandbox({ onStarted = () => {}, ...options }: ProbeOptions = {}): Promise<readonly ControlReport[]> {
  const stage = await setStage();
  const runner = createSubprocessRunner({ ...options, egress: listeningOnly, keepsSpares: false });
  try {
    const scene = { runner, stage, onStarted };
    const limits = await runner.limits();
    // It takes long, as memory does. A cgroup is the same in both; a limit of each process is set by a shell in this one and by Perl in the other.
    const triesForks = limits['processes'] !== 'hard (cgroup)';
    const bare = runProbe({ ...scene, network: { type: 'none' }, memoryMebibytes: memoryTriedMebibytes, triesForks });
    const rules = [networkRule('127.0.0.1:443')];
    const ruled = runProbe({ ...scene, network: { type: 'rules', rules }, memoryMebibytes: 0, triesForks: true });
    const ruledOrWhy = ruled.catch((error: unknown) =>
      triedWithRules.map((control) => ({ control, isHeld: false, detail: ProxyError.from(error).message })),
    );
    const attempts = (await Promise.all([bare, ruledOrWhy])).flat();
    return [available, ...merge(attempts), ...limitReports(limits)];
  } catch (error) {
    return [{ control: 'sandbox', state: 'not available', detail: ProxyError.from(error).message, isRequired: true }];
  } finally {
    await runner.close();
    await stage.close();
  }
}

/** @throws ProxyError `sandbox_unavailable` that names every promised control that does not hold. */
export function requireControls(reports: readonly ControlReport[]): void {
  const lost = reports.filter(({ state, isRequired }) => isRequired && state !== 'enforced');
  if (lost.length === 0) return;
  const list = lost.map(({ control, state, detail, repair }) => `${control} ${state}: ${detail}${repair ? `; ${repair}` : ''}`).join('. ');
  throw new ProxyError('sandbox_unavailable', `Connectors cannot be confined as the config promises. ${list}`);
}

const available: ControlReport = { control: 'sandbox', state: 'enforced', detail: 'bubblewrap starts', isRequired: true };

/** A gateway that lets nothing out: all that is tried is whether a listener inside reaches us. */
const listeningOnly: EgressGateway = {
  open: ({ network }): EgressSession => ({
    listeners: network.type === 'rules' ? [{ transport: 'tcp', address: '0.0.0.0', port: 443, role: 'host' }] : [],
    hosts: [],
    localRoutes: [],
    environment: {},
    accept: (_index, socket) => void socket.destroy(),
    answerDns: async () => undefined,
    close: () => {},
  }),
  close: async () => {},
};

/** See namespaces(7); a sandbox has one of its own of each. */
const namespaceTypes = ['ipc', 'mnt', 'net', 'pid', 'user', 'uts'] as const;

interface Stage {
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** The probe’s folder, and around it what it must not reach: a neighbour’s folder, a port and a socket of the host. */
async function setStage(): Promise<Stage> {
  const root = await mkdtemp(join(tmpdir(), 'bulkhead-probe-'));
  const [folder, neighbour] = [join(root, 'probe'), join(root, 'neighbour')];
  await Promise.all([mkdir(folder), mkdir(neighbour)]);
  await copyFile(new URL('./probe/probe.pl', import.meta.url), join(folder, 'probe.pl'));
  await writeFile(join(neighbour, 'secret'), '');
  await Promise.all([root, folder, neighbour].map((path) => chmod(path, 0o755)));
  const abstract = `bulkhead-probe-${randomUUID()}`;
  const servers = await Promise.all([listen({ host: '127.0.0.1', port: 0 }), listen({ path: `\0${abstract}` })]);
  const architecture = process.arch === 'arm64' ? 'arm64' : 'x64';
  const namespaces = await Promise.all(namespaceTypes.map(async (type) => `${type}=${await readlink(`/proc/self/ns/${type}`)}`));
  return {
    folder,
    environment: {
      PROBE_PORT: String((servers[0].address() as AddressInfo).port),
      PROBE_ABSTRACT: abstract,
      PROBE_NEIGHBOUR: neighbour,
      PROBE_NAMESPACES: namespaces.join(' '),
      PROBE_CALLS: `${syscallNumber('unshare', architecture)} ${syscallNumber('ptrace', architecture)}`,
    },
    async close() {
      for (const server of servers) server.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

async function listen(options: object): Promise<Server> {
  const server = createServer((socket) => socket.destroy()).listen(options);
  await once(server, 'listening');
  return server;
}

const perlRepair =
  'run scripts/setup, or say `apt-get install perl-base` (Debian, Ubuntu), `dnf install perl-interpreter` (Fedora), `apk add perl` (Alpine)';

interface Attempt {
  readonly control: string;
  readonly isHeld: boolean;
  readonly detail: string;
}

interface ProbeRun {
  readonly runner: SubprocessRunner;
  readonly stage: Stage;
  readonly onStarted: () => void;
  readonly network: SandboxPolicy['network'];
  readonly memoryMebibytes: number;
  readonly triesForks: boolean;
}

async function runProbe({ runner, stage, onStarted, network, memoryMebibytes, triesForks }: ProbeRun): Promise<readonly Attempt[]> {
  const environment = {
    ...stage.environment,
    ...(network.type === 'rules' ? { PROBE_LISTENER: '1' } : {}),
    ...(triesForks ? { PROBE_FORKS: '1' } : {}),
    ...(memoryMebibytes > 0 ? { PROBE_MEMORY: String(memoryMebibytes) } : {}),
  };
  const starting = runner.start(
    {
      connector: 'probe' as ConnectorName,
      policy: { sandbox: 'enforced', network, limits: probeLimits, environment },
      source: { type: 'folder', folder: stage.folder, command: ['/usr/bin/perl', 'probe.pl'] },
      onNotice: () => {},
    },
    AbortSignal.timeout(probeTimeoutMs),
  );
  const probe = await starting.finally(onStarted);
  const timer = setTimeout(() => probe.kill(), probeTimeoutMs);
  const [output, complaint, { breach }] = await Promise.all([text(probe.stdout), text(probe.stderr), probe.exited]);
  clearTimeout(timer);
  const attempts = output.split('\n').filter(Boolean).map(readAttempt);
  const tried = attempts.filter(({ control }) => control !== 'memory');
  if (tried.length === 0)
    throw new ProxyError('sandbox_unavailable', `The probe said nothing (${complaint.trim()}). It needs perl: ${perlRepair}.`);
  tried.push(...untold(attempts, memoryMebibytes > 0 ? 'memory' : 'network rules', breach?.message ?? complaint.trim()));
  if (memoryMebibytes === 0) return tried;
  const isStopped = breach?.code === 'memory_exceeded';
  return [...tried, { control: 'memory', isHeld: isStopped, detail: breach?.message ?? `took ${memoryMebibytes} MiB and was not stopped` }];
}

/** What ends the probe before its last attempt leaves controls untried that nobody would miss in the report: so that is told as one. */
function untold(attempts: readonly Attempt[], last: string, reason: string): readonly Attempt[] {
  if (attempts.some(({ control }) => control === last)) return [];
  return [{ control: 'probe', isHeld: false, detail: `ended before it had tried everything${reason === '' ? '' : ` (${reason})`}` }];
}

function readAttempt(line: string): Attempt {
  const [control = '', state, detail = ''] = line.split('\t');
  return { control, isHeld: state === 'held', detail };
}

/** A control holds when it held in every sandbox that tried it. */
function merge(attempts: readonly Attempt[]): readonly ControlReport[] {
  const byControl = Map.groupBy(attempts, ({ control }) => control);
  return [...byControl].map(([control, tries]) => {
    const broken = tries.find(({ isHeld }) => !isHeld);
    const { detail } = broken ?? tries[0] ?? { detail: '' };
    return { control, state: broken === undefined ? 'enforced' : 'not enforced', detail, isRequired: true };
  });
}

const cgroupRepair = 'run the proxy as root, or under systemd with Delegate=yes';
const repairs: Partial<Record<LimitStrength, string>> = {
  none: cgroupRepair,
  'soft (watchdog)': cgroupRepair,
  'hard (cgroup), swap not counted': 'boot with swapaccount=1, or without swap',
};

/** Pure. Which mechanism holds the limits; a soft one is told, not refused. */
export function limitReports(limits: Readonly<Record<string, LimitStrength>>): readonly ControlReport[] {
  return Object.entries(limits).map(([name, strength]) => {
    const repair = repairs[strength];
    return {
      control: `limit of ${name}`,
      ...(strength === 'none'
        ? ({ state: 'not available', detail: 'no cgroup can be made' } as const)
        : ({ state: 'enforced', detail: strength } as const)),
      ...(repair === undefined ? {} : { repair }),
      isRequired: false,
    };
  });
}
