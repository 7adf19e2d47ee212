import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { release } from 'node:os';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { ProxyError } from '../errors.ts';
import { withAbort } from '../lib/time-limit.ts';
import { ownContainerId } from './own-container.ts';
import { type SshAccess, sshOptions } from './ssh-engine.ts';

/**
 * How long the engine may take over one request. Starting a container on a loaded machine takes seconds, and so does Podman's word on what it
 * can do: it asks the package manager whose each of its programs is. A pull has its own bound.
 */
export const engineWaits = {
  requestTimeoutMs: 15_000,
  startTimeoutMs: 60_000,
  probeTimeoutMs: 15_000,
  factsTimeoutMs: 30_000,
  /** For a container that is being made and no longer wanted. */
  givenUpTimeoutMs: 5_000,
} as const;

/** A container engine that speaks Docker's API: Docker itself, or Podman's service. */
export interface DockerEngine {
  /** As the deployer wrote it. */
  readonly address: string;
  readonly docker: Docker;
  /** Whether it may share this machine's kernel and files: only a local socket can. */
  readonly isUnixSocket: boolean;
  /**
   * One request with its own end. What the engine refused keeps its HTTP status; no answer becomes a ProxyError.
   * @throws ProxyError `engine_unavailable`; the signal's reason; an EngineRefusal
   */
  request<T>(options: EngineRequest<T>): Promise<T>;
  /** What it can do; asked once, and again after it was away. */
  facts(signal?: AbortSignal): Promise<EngineFacts>;
}

export interface EngineRequest<T> {
  /** For messages: `while W`. */
  readonly what: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
  readonly run: (docker: Docker, abortSignal: AbortSignal) => Promise<T>;
}

/** What dockerode throws when the engine answered, but no. */
export interface EngineRefusal extends Error {
  readonly statusCode: number;
}

export interface EngineFacts {
  readonly product: 'docker' | 'podman';
  readonly version: string;
  /** By Node's names: `x64`, `arm64`; anything else as the engine says it. */
  readonly architecture: string;
  readonly hasSeccomp: boolean;
  /** Whether its containers open only files that are labelled for them. */
  readonly hasSelinux: boolean;
  readonly isRootless: boolean;
  /** Whether user ids in its containers are others here: without root, or by userns-remap. */
  readonly mapsUsers: boolean;
  /** e.g. `v2, systemd`; `unknown` where the engine does not say. */
  readonly cgroup: string;
  readonly limits: { readonly memory: boolean; readonly swap: boolean; readonly pids: boolean; readonly cpu: boolean };
  /** Whether a named pipe made here is the same pipe in its containers; of Docker in a container it may say so and be wrong. */
  readonly sharesKernel: boolean;
}

/**
 * The engine at `unix:///path`, `tcp://host:port?certs=/folder` (ca.pem, cert.pem, key.pem) or `ssh://user@host[:port]` (keys from the agent
 * of `ssh`, hosts that ssh knows). Connects nothing yet.
 * @throws ProxyError `invalid_config` for any other address, and for plain TCP to another machine: that is root there for everybody on the way.
 */
export function connectEngine(address: string, ssh: SshAccess = {}): DockerEngine {
  const url = URL.parse(address);
  const options = url === null ? undefined : optionsOf(url, address, ssh);
  if (options === undefined) throw faultyAddress(address, 'is no address of a container engine');
  const docker = openLibrary(options);
  let known: Promise<EngineFacts> | undefined;
  const read = (): Promise<EngineFacts> => {
    // One question for all who ask; who gives up does not end it for the others.
    const asked = readFacts(request, isUnixSocket);
    asked.catch(() => {
      if (known === asked) known = undefined;
    });
    return asked;
  };
  const request = <T>(wanted: EngineRequest<T>) =>
    send(docker, address, wanted).catch((error: unknown) => {
      if (error instanceof ProxyError) known = undefined;
      throw error;
    });
  const isUnixSocket = url?.protocol === 'unix:';
  return {
    address,
    docker,
    isUnixSocket,
    request,
    facts(signal) {
      known ??= read();
      return signal === undefined ? known : withAbort(known, signal);
    },
  };
}

/**
 * The library takes what it is not told from variables: a protocol, a user, certificates, a time-out, all only where it finds DOCKER_HOST, and
 * throws where they are faulty. An address says all of it, so that variable is hidden meanwhile.
 */
function openLibrary(options: object): Docker {
  // Loaded by who has an engine only: it brings gRPC and SSH along, a tenth of a second and 36 MB.
  const Dockerode = createRequire(import.meta.url)('dockerode') as typeof Docker;
  const { env } = process;
  const hidden = env['DOCKER_HOST'];
  delete env['DOCKER_HOST'];
  try {
    return new Dockerode(options);
  } finally {
    if (hidden !== undefined) env['DOCKER_HOST'] = hidden;
  }
}

export function isRefusal(error: unknown): error is EngineRefusal {
  return error instanceof Error && typeof (error as Partial<EngineRefusal>).statusCode === 'number';
}

/** The engine's own words, without the library's decoration around them. */
export function refusalText(error: EngineRefusal): string {
  return error.message.replace(/^\(HTTP code \d+\) [^-]*- /, '').trim();
}

function optionsOf(url: URL, address: string, ssh: SshAccess): object | undefined {
  switch (url.protocol) {
    case 'unix:':
      return url.pathname.length > 1 && url.host === '' ? { socketPath: decodeURIComponent(url.pathname) } : undefined;
    case 'tcp:':
      return tcpOptions(url, address);
    case 'ssh:':
      return sshOptions(url, address, ssh);
    default:
      return undefined;
  }
}

function tcpOptions(url: URL, address: string): object {
  const certs = url.searchParams.get('certs');
  const target = { host: url.hostname, port: Number(url.port || 2376) };
  if (certs === null) {
    if (/^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(url.hostname)) return { ...target, protocol: 'http' };
    throw faultyAddress(address, 'is plain TCP to another machine, and whoever reaches that port is root there; add ?certs=/folder');
  }
  const [ca, cert, key] = ['ca.pem', 'cert.pem', 'key.pem'].map((file) => readCertificate(address, join(certs, file)));
  return { ...target, protocol: 'https', ca, cert, key };
}

function readCertificate(address: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw faultyAddress(address, `needs ${file}, which cannot be read`, cause);
  }
}

function faultyAddress(address: string, fault: string, cause?: unknown): ProxyError {
  const forms = 'unix:///var/run/docker.sock, tcp://host:2376?certs=/folder or ssh://user@host';
  return new ProxyError('invalid_config', `engine: ${address} ${fault}. Write ${forms}.`, { cause });
}

async function send<T>(docker: Docker, address: string, wanted: EngineRequest<T>): Promise<T> {
  const { what, timeoutMs = engineWaits.requestTimeoutMs, signal, run } = wanted;
  signal?.throwIfAborted();
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  const either = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
  try {
    // The library does not end every request on abort (an upgrade that never comes), so the wait has its own end too.
    return await Promise.race([run(docker, either), rejectOnAbort(either)]);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (isRefusal(error) || error instanceof ProxyError) throw error;
    const state = late.signal.aborted ? `did not answer within ${timeoutMs} ms` : `does not answer (${causeOf(error)})`;
    throw new ProxyError(
      'engine_unavailable',
      `The container engine at ${address} ${state}, while ${what}. Start it, or correct the engine’s address.`,
      {
        cause: error,
      },
    );
  } finally {
    clearTimeout(timer);
  }
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true }));
}

function causeOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}

const architectures: Readonly<Record<string, string>> = { x86_64: 'x64', amd64: 'x64', aarch64: 'arm64', arm64: 'arm64' };

/** What the library takes and its types leave out. */
interface Abortable {
  version(options: { readonly abortSignal: AbortSignal }): Promise<Docker.DockerVersion>;
  info(options: { readonly abortSignal: AbortSignal }): Promise<EngineInfo>;
}

interface EngineInfo {
  readonly Architecture: string;
  readonly KernelVersion: string;
  readonly SecurityOptions?: readonly string[];
  readonly MemoryLimit: boolean;
  readonly SwapLimit: boolean;
  readonly CpuCfsQuota: boolean;
  readonly PidsLimit?: boolean;
  readonly CgroupVersion?: string;
  readonly CgroupDriver?: string;
  readonly DockerRootDir?: string;
  readonly Rootless?: boolean;
}

function abortable(docker: Docker): Abortable {
  return docker as unknown as Abortable;
}

async function readFacts(request: DockerEngine['request'], isUnixSocket: boolean): Promise<EngineFacts> {
  const ask = { what: 'asking what it can do', timeoutMs: engineWaits.factsTimeoutMs };
  const [version, info] = await Promise.all([
    request({ ...ask, run: (docker, abortSignal) => abortable(docker).version({ abortSignal }) }),
    request({ ...ask, run: (docker, abortSignal) => abortable(docker).info({ abortSignal }) }),
  ]);
  const isPodman = (version as { Components?: { Name: string }[] }).Components?.some(({ Name }) => Name.startsWith('Podman')) ?? false;
  // Podman says it in a place of its own.
  const security: readonly string[] = [...(info.SecurityOptions ?? []), ...(info.Rootless ? ['name=rootless'] : [])];
  return {
    product: isPodman ? 'podman' : 'docker',
    version: version.Version,
    architecture: architectures[info.Architecture] ?? info.Architecture,
    hasSeccomp: security.some((option) => option.includes('seccomp')),
    hasSelinux: security.some((option) => option.includes('selinux')),
    isRootless: security.some((option) => option.includes('rootless')),
    mapsUsers: security.some((option) => /name=(rootless|userns)/.test(option)),
    cgroup: [info.CgroupVersion && `v${info.CgroupVersion}`, info.CgroupDriver].filter(Boolean).join(', ') || 'unknown',
    // Podman without root sets none on cgroups v1, and tells those of the machine.
    limits: isPodman && info.Rootless && info.CgroupVersion === '1' ? noLimits : limitsOf(info),
    sharesKernel:
      isUnixSocket && process.platform === 'linux' && info.KernelVersion === release() && (!isPodman || sharesDisk(info.DockerRootDir)),
  };
}

const noLimits: EngineFacts['limits'] = { memory: false, swap: false, pids: false, cpu: false };

function limitsOf({ MemoryLimit, SwapLimit, PidsLimit = true, CpuCfsQuota }: EngineInfo): EngineFacts['limits'] {
  return { memory: MemoryLimit, swap: SwapLimit, pids: PidsLimit, cpu: CpuCfsQuota };
}

/**
 * Whether the engine that keeps its images in that folder sees the same files. Docker refuses to mount a folder that it does not see; Podman
 * makes one, on its machine, and mounts that.
 */
function sharesDisk(folder: string | undefined): boolean {
  return folder !== undefined && ownContainerId() === undefined && existsSync(folder);
}
