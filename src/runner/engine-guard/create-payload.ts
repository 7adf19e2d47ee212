import * as v from 'valibot';
import { labelNames, ownerLabel } from '../container-labels.ts';
import { coverOptions } from '../image-volumes.ts';

/**
 * The most that one container may be given, whatever the proxy asks for: below a machine, above what a connector takes. `descriptorsMax` and
 * `tmpInodesMax` are the config's own bounds.
 */
export const guardedLimits = {
  memoryBytesMax: 64 * 1024 ** 3,
  cpusMax: 64,
  pidsMax: 8192,
  descriptorsMax: 1_048_576,
  fileBytesMax: 1024 ** 4,
  cpuTimeMaxS: 366 * 24 * 3600,
  tmpBytesMax: 64 * 1024 ** 3,
  tmpInodesMax: 10_000_000,
  /** /tmp, and one over each volume of the image. */
  tmpfsMax: 65,
  shmBytesMax: 1024 * 1024,
} as const;

/**
 * What may be asked of an engine when a container is made: the shape that container-options.ts gives a hardened connector or sidecar, and
 * nothing besides. Strict at every level, because the engine reads keys in any case and would obey the ones that we do not know.
 */
export function createPayloadSchema(seccomp: string) {
  const shared = hostKeys(seccomp);
  const connectorHost = v.strictObject({ ...shared, ...connectorKeys });
  const sidecarHost = v.strictObject({ ...shared, ...sidecarKeys });
  const connector = payloadOf(
    v.pipe(
      connectorHost,
      v.check((given) => hasNoSwap(given), 'must give no swap'),
    ),
  );
  const sidecar = payloadOf(
    v.pipe(
      sidecarHost,
      v.check((given) => hasNoSwap(given), 'must give no swap'),
    ),
  );
  return v.lazy((input) => (roleOf(input) === 'sidecar' ? sidecar : connector));
}

/** As far as it is there: what has no role is judged as a connector. */
function roleOf(input: unknown): unknown {
  return (input as { readonly Labels?: Readonly<Record<string, unknown>> | null } | null | undefined)?.Labels?.[labelNames.role];
}

/** Of HostConfig, what a connector and a sidecar share. */
function hostKeys(seccomp: string) {
  return {
    ...lifetime,
    ...limits,
    ReadonlyRootfs: v.literal(true),
    CapDrop: v.strictTuple([v.literal('ALL')]),
    Privileged: v.literal(false),
    SecurityOpt: v.strictTuple([
      v.literal('no-new-privileges:true'),
      v.literal(`seccomp=${seccomp}`, 'must be the filter of this release'),
    ]),
    IpcMode: v.literal('private'),
    CgroupnsMode: v.literal('private'),
    Mounts: v.exactOptional(v.pipe(v.array(v.unknown()), v.maxLength(0, 'must be empty: no bind mount is allowed here'))),
    Dns: v.exactOptional(v.strictTuple([v.literal('127.0.0.1')])),
    DnsOptions: v.exactOptional(texts),
  };
}

/** MemorySwap is the sum of both. */
function hasNoSwap({ Memory, MemorySwap }: { readonly Memory: number; readonly MemorySwap: number }): boolean {
  return Memory === MemorySwap;
}

function payloadOf<Host extends v.GenericSchema>(hostConfig: Host) {
  return v.strictObject({
    Image: v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/)),
    Cmd: v.exactOptional(texts),
    User: v.pipe(v.string(), v.regex(/^[1-9]\d*:[1-9]\d*$/, 'must be a user and a group, and not root')),
    Env: v.exactOptional(texts),
    Labels: v.objectWithRest({ [labelNames.owner]: v.literal(ownerLabel) }, v.string()),
    Hostname: v.exactOptional(v.literal('connector')),
    ...attachment,
    HostConfig: hostConfig,
    name: v.exactOptional(v.string()),
  });
}

const texts = v.array(v.string());

function between(min: number, max: number) {
  return v.pipe(v.number(), v.safeInteger(), v.minValue(min, `must be at least ${min}`), v.maxValue(max, `must be at most ${max}`));
}

const lifetime = {
  Init: v.literal(true),
  AutoRemove: v.literal(false),
  RestartPolicy: v.strictObject({ Name: v.literal('no') }),
  LogConfig: v.strictObject({ Type: v.literal('none'), Config: v.strictObject({}) }),
};

const limits = {
  PidsLimit: between(1, guardedLimits.pidsMax),
  Memory: between(1, guardedLimits.memoryBytesMax),
  MemorySwap: between(1, guardedLimits.memoryBytesMax),
  NanoCpus: between(1, guardedLimits.cpusMax * 1e9),
  ShmSize: between(1, guardedLimits.shmBytesMax),
  OomScoreAdj: between(0, 1000),
};

const ulimitsMax = {
  nofile: guardedLimits.descriptorsMax,
  fsize: guardedLimits.fileBytesMax,
  core: 0,
  memlock: 0,
  msgqueue: 0,
  cpu: guardedLimits.cpuTimeMaxS,
} as const;

type UlimitName = keyof typeof ulimitsMax;

/** One that is missing would be the engine's own, which is none. One that is there twice is within its bound twice. */
function ulimits(required: readonly UlimitName[], optional: readonly UlimitName[] = []) {
  const one = (name: UlimitName) =>
    v.strictObject({ Name: v.literal(name), Soft: between(0, ulimitsMax[name]), Hard: between(0, ulimitsMax[name]) });
  return v.pipe(
    v.array(v.variant('Name', [...required, ...optional].map(one))),
    v.check((given) => required.every((name) => given.some(({ Name }) => Name === name)), `must have ${required.join(', ')}`),
  );
}

/** One spelling: of options that contradict each other the last wins, and a size or a number of 0 is none. */
const tmpfsPattern = /^rw,noexec,nosuid,nodev,size=([1-9]\d*),nr_inodes=([1-9]\d*),uid=[1-9]\d*,gid=[1-9]\d*,mode=0700$/;

const tmpfs = v.pipe(
  v.string(),
  v.check((text) => {
    const [, size, inodes] = tmpfsPattern.exec(text) ?? [];
    return size !== undefined && Number(size) <= guardedLimits.tmpBytesMax && Number(inodes) <= guardedLimits.tmpInodesMax;
  }, `must be a bounded tmpfs without rights, of at most ${guardedLimits.tmpBytesMax} bytes and ${guardedLimits.tmpInodesMax} files`),
);

/** Over a volume that the image declares, of which the engine would else make a writable folder on its disk. */
const cover = v.literal(coverOptions.docker);

const connectorKeys = {
  Ulimits: ulimits(['nofile', 'fsize', 'core', 'memlock', 'msgqueue'], ['cpu']),
  Tmpfs: v.pipe(
    v.objectWithRest({ '/tmp': tmpfs }, cover),
    v.maxEntries(guardedLimits.tmpfsMax, `must have at most ${guardedLimits.tmpfsMax} folders`),
  ),
  NetworkMode: v.pipe(v.string(), v.regex(/^(none|container:[0-9a-f]{64})$/, 'must be none or a sidecar’s')),
};

/** Its root is read-only and it has no /tmp, so that it writes no file. */
const sidecarKeys = {
  Ulimits: ulimits(['nofile']),
  NetworkMode: v.literal('none'),
  ExtraHosts: v.exactOptional(v.array(v.pipe(v.string(), v.regex(/^[^:]+:127(\.\d{1,3}){3}$/)))),
  Sysctls: v.exactOptional(v.strictObject({ 'net.ipv4.ip_unprivileged_port_start': v.literal('0') })),
};

const attachment = {
  Tty: v.literal(false),
  OpenStdin: v.boolean(),
  StdinOnce: v.boolean(),
  AttachStdin: v.boolean(),
  AttachStdout: v.boolean(),
  AttachStderr: v.boolean(),
  StopTimeout: v.number(),
  Healthcheck: v.strictObject({ Test: v.strictTuple([v.literal('NONE')]) }),
};
