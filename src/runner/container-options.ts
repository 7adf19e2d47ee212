import type { ContainerCreateOptions, HostConfig } from 'dockerode';
import { withOwnEnvironment } from '../egress/proxy-environment.ts';
import type { SandboxPolicy } from '../sandbox/policy.ts';
import { engineFolders, volumeCovers } from './image-volumes.ts';

/** Who a connector is inside its container: no user of the image, and never root. */
export const connectorUser = { uid: 10_001, gid: 10_001 } as const;

/** Where a connector finds its writable folder, and its named pipes where it has any. */
export const containerPaths = { data: '/data', stdio: '/run/bulkhead' } as const;

/** Bytes of /dev/shm, which tmpfs sizes do not count. */
const shmBytesMax = 1024 * 1024;

export interface ContainerPlan {
  readonly policy: SandboxPolicy;
  readonly image: ImageProgram;
  readonly labels: Readonly<Record<string, string>>;
  readonly user: { readonly uid: number; readonly gid: number };
  readonly network: ContainerNetwork;
  /** Proxy variables of the egress session. The policy's own environment wins. */
  readonly egressEnvironment: Readonly<Record<string, string>>;
  /** A profile's JSON text or, for Podman, the path of the file that holds it. Without a sandbox it is not used. */
  readonly seccomp: string;
  readonly stdio: ContainerStdio;
  readonly product: 'docker' | 'podman';
}

/** What an image would run. `id` rather than a tag: what was inspected is what runs. */
export interface ImageProgram {
  readonly id: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** Paths for which the engine would make a folder on its disk. */
  readonly volumes: readonly string[];
}

/** `sidecar`: the namespace of that container, which has loopback only. */
export type ContainerNetwork = { readonly type: 'none' } | { readonly type: 'host' } | { readonly type: 'sidecar'; readonly id: string };

/** `pipes`: stdin and stdout are named pipes of a host folder; stderr, and the end of the container, come by attach in both. */
export type ContainerStdio = { readonly type: 'attach' } | { readonly type: 'pipes'; readonly folder: string };

/** The create payload of a connector: every rule of its policy, and nothing that the policy does not say. */
export function containerOptions(plan: ContainerPlan): ContainerCreateOptions {
  const { policy, image, labels, user, network, egressEnvironment } = plan;
  const isEnforced = policy.sandbox === 'enforced';
  return {
    Image: image.id,
    ...programOf(plan),
    ...(isEnforced && { User: `${user.uid}:${user.gid}` }),
    Env: environmentOf({ HOME: '/tmp', ...withOwnEnvironment(egressEnvironment, policy.environment) }),
    Labels: { ...labels },
    // Whoever joins a namespace has its owner's host name.
    ...(network.type === 'none' && { Hostname: 'connector' }),
    ...attachment({ stdin: plan.stdio.type === 'attach' }),
    HostConfig: {
      ...lifetime,
      ...limitsOf(plan),
      ...(isEnforced && { ...hardening(plan.seccomp), Tmpfs: tmpfsOf(plan) }),
      Mounts: mountsOf(plan),
      ...networkOf(network),
    },
  };
}

/** Of a sidecar's image: the relay and, for rules with literal addresses, what routes those to loopback and then becomes the relay. */
export interface SidecarPrograms {
  readonly relay: readonly string[];
  readonly router?: readonly string[];
}

export interface SidecarPlan {
  readonly image: string;
  /** The relay's plan, as its only argument. */
  readonly argument: string;
  readonly programs: SidecarPrograms;
  readonly labels: Readonly<Record<string, string>>;
  readonly hosts: readonly { readonly address: string; readonly name: string }[];
  readonly hasDns: boolean;
  readonly seccomp: string;
  /** Host folder with the proxy's socket, for a relay that does not speak over its stdin and stdout. */
  readonly folder: string | undefined;
  readonly product: 'docker' | 'podman';
}

/** Not the connector's user: nothing of the one is the other's. */
export const sidecarUser = { uid: connectorUser.uid + 1, gid: connectorUser.gid + 1 } as const;

/** The relay's own limits: it holds windows of bytes for a bounded number of connections, and opens no file. */
const sidecarLimits = { memoryBytesMax: 192 * 1024 * 1024, pidsMax: 32, descriptorsMax: 1024 } as const;

/** The create payload of a sidecar: a namespace with loopback only, its hosts file, and the relay in it. */
export function sidecarOptions(plan: SidecarPlan): ContainerCreateOptions {
  const { image, argument, programs, labels, hosts, hasDns, seccomp, folder, product } = plan;
  const { memoryBytesMax, pidsMax, descriptorsMax } = sidecarLimits;
  const { router } = programs;
  return {
    Image: image,
    // The image's entrypoint is the relay.
    ...(router !== undefined && { Entrypoint: [...router] }),
    Cmd: router === undefined ? [argument] : [...programs.relay, argument],
    User: router === undefined ? `${sidecarUser.uid}:${sidecarUser.gid}` : '0:0',
    Labels: { ...labels },
    Hostname: 'connector',
    ...attachment({ stdin: folder === undefined }),
    HostConfig: {
      ...lifetime,
      ...hardening(seccomp),
      ...(product === 'podman' && { Tmpfs: volumeCovers(engineFolders.podman, { product, taken: [] }) }),
      // For the router's first milliseconds; it gives all of it up. An init would keep it, and the relay has no children to reap.
      ...(router !== undefined && { CapAdd: ['NET_ADMIN', 'SETUID', 'SETGID'], Init: false }),
      NetworkMode: 'none',
      // Listeners below 1024, such as https and dns, without any capability.
      Sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0' },
      ExtraHosts: hosts.map(({ name, address }) => `${name}:${address}`),
      // Without a responder names are answered by nothing, and at once.
      ...noNameServer,
      ...(hasDns && { DnsOptions: ['timeout:5', 'attempts:2'] }),
      Memory: memoryBytesMax,
      MemorySwap: memoryBytesMax,
      PidsLimit: pidsMax,
      NanoCpus: 1e9,
      Ulimits: [...processUlimit(product), ulimit('nofile', descriptorsMax)],
      ...(folder !== undefined && { Mounts: [{ Type: 'bind', Source: folder, Target: containerPaths.stdio, ReadOnly: true }] }),
    },
  };
}

/** Everything about a container that ends by itself, logs nowhere and is removed by whoever made it. */
export const lifetime: HostConfig = {
  Init: true,
  // Removed by hand: an engine that removes by itself takes OOMKilled and the exit code along.
  AutoRemove: false,
  RestartPolicy: { Name: 'no' },
  LogConfig: { Type: 'none', Config: {} },
};

export function hardening(seccomp: string): HostConfig {
  return {
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
    Privileged: false,
    SecurityOpt: ['no-new-privileges:true', `seccomp=${seccomp}`],
    OomScoreAdj: 500,
    ShmSize: shmBytesMax,
    IpcMode: 'private',
    CgroupnsMode: 'private',
  } as HostConfig;
}

/** `OpenStdin` with `StdinOnce`: stdin ends when the one attached client goes, which is what a killed proxy leaves. */
export function attachment({ stdin }: { readonly stdin: boolean }): Partial<ContainerCreateOptions> {
  return {
    Tty: false,
    OpenStdin: stdin,
    StdinOnce: stdin,
    AttachStdin: stdin,
    AttachStdout: true,
    AttachStderr: true,
    StopTimeout: 2,
    Healthcheck: { Test: ['NONE'] },
  } as Partial<ContainerCreateOptions>;
}

export function environmentOf(variables: Readonly<Record<string, string>>): string[] {
  return Object.entries(variables).map(([name, value]) => `${name}=${value}`);
}

/**
 * Opens the pipes in place of stdin and stdout and becomes the image's program; needs a shell in the image. The empty line in between
 * goes to the attach stream and says that stdin is open: until then our end must not close, or what is in it would be lost.
 */
const pipesScript = 'exec <"$0/stdin" && echo && exec "$@" >"$0/stdout"';

function programOf({ image, stdio }: ContainerPlan): Partial<ContainerCreateOptions> {
  // Unsaid, the image's own: an Entrypoint in the payload would drop its Cmd.
  if (stdio.type === 'attach') return {};
  return { Entrypoint: ['/bin/sh', '-c', pipesScript, containerPaths.stdio], Cmd: [...image.entrypoint, ...image.command] };
}

function limitsOf({ policy: { limits }, product }: ContainerPlan): HostConfig {
  return {
    PidsLimit: limits.pidsMax,
    Memory: limits.memoryBytesMax,
    // The sum of memory and swap: no swap.
    MemorySwap: limits.memoryBytesMax,
    NanoCpus: Math.round(limits.cpusMax * 1e9),
    Ulimits: [
      ...processUlimit(product),
      ulimit('nofile', limits.descriptorsMax),
      ulimit('fsize', limits.fileBytesMax),
      ulimit('core', 0),
      ulimit('memlock', 0),
      ulimit('msgqueue', 0),
      ...(limits.cpuTimeMaxMs === undefined ? [] : [cpuUlimit(Math.ceil(limits.cpuTimeMaxMs / 1000))]),
    ],
  };
}

function ulimit(Name: string, value: number) {
  return { Name, Soft: value, Hard: value };
}

/** At the hard limit the kernel kills before it says why: a second more for SIGXCPU to end it by name. */
function cpuUlimit(seconds: number) {
  return { Name: 'cpu', Soft: seconds, Hard: seconds + 1 };
}

/**
 * No nproc for Docker: it counts all processes of the uid, which every connector shares; PidsLimit counts this container's. Podman fills a
 * million in, which fails where it may not raise limits, so there it gets what no machine has.
 */
function processUlimit(product: ContainerPlan['product']) {
  return product === 'podman' ? [ulimit('nproc', 32_768)] : [];
}

function tmpfsOf(plan: ContainerPlan): Record<string, string> {
  const { product, image } = plan;
  const taken = ['/tmp', ...mountsOf(plan).map(({ Target }) => Target)];
  return { ...volumeCovers([...engineFolders[product], ...image.volumes], { product, taken }), '/tmp': tmpOf(plan) };
}

/**
 * uid and gid rather than mode 1777: runc 1.1 copies the mode of the image's own /tmp over the one asked for. Podman refuses nr_inodes
 * (and uid), so there the memory limit alone bounds them: the kernel charges what a tmpfs's inodes take to the container.
 */
function tmpOf({ policy: { limits }, user: { uid, gid }, product }: ContainerPlan): string {
  const common = `rw,noexec,nosuid,nodev,size=${limits.tmpBytesMax}`;
  if (product === 'podman') return `${common},mode=1777`;
  return `${common},nr_inodes=${limits.tmpInodesMax},uid=${uid},gid=${gid},mode=0700`;
}

/**
 * Mounts rather than Binds: Docker refuses a source that is not there, and does not make it. What is mounted below a read-only path is left
 * out: engines make the topmost mount read-only, and before Docker 25 only that.
 */
function mountsOf({ policy, stdio }: ContainerPlan): NonNullable<HostConfig['Mounts']> {
  const bind = (Source: string, Target: string, ReadOnly: boolean) =>
    ({
      Type: 'bind',
      Source,
      Target,
      ReadOnly,
      BindOptions: { Propagation: 'rprivate', ...(ReadOnly && { NonRecursive: true }) },
    }) as const;
  return [
    ...(policy.readOnlyPaths ?? []).map((path) => bind(path, path, true)),
    ...(policy.dataFolder === undefined ? [] : [bind(policy.dataFolder, containerPaths.data, false)]),
    // Read-only is about the folder: a named pipe in it can still be written to.
    ...(stdio.type === 'attach' ? [] : [bind(stdio.folder, containerPaths.stdio, true)]),
  ];
}

/** What a namespace without any network answers to names: nothing, at once. Without it the host's name servers are written in. */
export const noNameServer: HostConfig = { Dns: ['127.0.0.1'], DnsOptions: ['timeout:1', 'attempts:1'] };

function networkOf(network: ContainerNetwork): HostConfig {
  switch (network.type) {
    case 'none':
      return { NetworkMode: 'none', ...noNameServer };
    case 'host':
      return { NetworkMode: 'host' };
    case 'sidecar':
      return { NetworkMode: `container:${network.id}` };
  }
}
