import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { containerOptions, sidecarOptions } from '../../../../src/runner/container-options.ts';
import { createPayloadSchema, guardedLimits } from '../../../../src/runner/engine-guard/create-payload.ts';
import type { SandboxPolicy } from '../../../../src/sandbox/policy.ts';

const seccomp = '{"defaultAction":"SCMP_ACT_ALLOW"}';
const schema = createPayloadSchema(seccomp);
const limits = {
  memoryBytesMax: 2 ** 28,
  cpusMax: 1,
  pidsMax: 64,
  descriptorsMax: 256,
  fileBytesMax: 1e6,
  tmpBytesMax: 1e6,
  tmpInodesMax: 100,
};
const policy: SandboxPolicy = { sandbox: 'enforced', network: { type: 'none' }, limits, environment: { GREETING: 'hello' } };
const timed: SandboxPolicy = { ...policy, limits: { ...limits, cpuTimeMaxMs: 60_000 } };
const { memoryBytesMax, cpusMax, pidsMax, descriptorsMax, fileBytesMax, tmpBytesMax, tmpInodesMax } = guardedLimits;
const largest: SandboxPolicy = {
  ...policy,
  limits: { memoryBytesMax, cpusMax, pidsMax, descriptorsMax, fileBytesMax, tmpBytesMax, tmpInodesMax },
};
const labels = { 'dev.bulkhead.owner': 'bulkhead', 'dev.bulkhead.role': 'connector' };
const image = { id: `sha256:${'0'.repeat(64)}`, entrypoint: ['node', 'main.ts'], command: [], volumes: ['/scratch'] };
const plan = {
  product: 'docker',
  policy,
  image,
  labels,
  user: { uid: 10_001, gid: 10_001 },
  egressEnvironment: {},
  stdio: { type: 'attach' },
} as const;

const cover = 'ro,noexec,nosuid,nodev,size=65536,nr_inodes=512,mode=0555';
function covered(folders: Readonly<Record<string, string>>): object {
  return { ...connector, HostConfig: { ...connector.HostConfig, Tmpfs: { ...connector.HostConfig?.Tmpfs, ...folders } } };
}

function isAllowed(payload: unknown): boolean {
  return v.safeParse(schema, JSON.parse(JSON.stringify(payload))).success;
}

const sidecar = sidecarOptions({
  ...{ product: 'docker', image: image.id, argument: '{}', hasDns: true, seccomp, folder: undefined },
  labels: { ...labels, 'dev.bulkhead.role': 'sidecar' },
  programs: { relay: ['/node'] },
  hosts: [{ address: '127.0.0.2', name: 'smtp.example.com' }],
});
const connector = { ...containerOptions({ ...plan, network: { type: 'none' }, seccomp }), name: 'bulkhead-x' };

describe('the guard takes what the runner makes', () => {
  it.each([
    ['a connector without network', connector],
    ['a connector that joins its sidecar', containerOptions({ ...plan, network: { type: 'sidecar', id: 'f'.repeat(64) }, seccomp })],
    ['a connector with the volumes of its image covered', covered({ '/var/lib/x': cover })],
    ['a sidecar', sidecar],
    ['a connector with a limit of CPU time', containerOptions({ ...plan, policy: timed, network: { type: 'none' }, seccomp })],
    ['a connector of the largest limits', containerOptions({ ...plan, policy: largest, network: { type: 'none' }, seccomp })],
  ])('%s', (_, payload) => {
    expect(v.safeParse(schema, JSON.parse(JSON.stringify(payload))).issues?.map((issue) => v.getDotPath(issue))).toBeUndefined();
  });
});

describe('the guard refuses a container that', () => {
  const host = (change: object): object => ({ ...connector, HostConfig: { ...connector.HostConfig, ...change } });
  const tmp = (options: string): object => host({ Tmpfs: { '/tmp': options } });
  const sizes = 'size=1000000,nr_inodes=100';
  const ulimits = connector.HostConfig?.Ulimits ?? [];
  const { Tmpfs: _, ...withoutTmpfs } = connector.HostConfig ?? {};
  it.each([
    ['mounts the host', host({ Mounts: [{ Type: 'bind', Source: '/', Target: '/host' }] })],
    ['binds the host', host({ Binds: ['/:/host'] })],
    ['binds the host, in other letters', host({ binds: ['/:/host'] })],
    ['has a second HostConfig in other letters', { ...connector, hostconfig: { Privileged: true } }],
    ['takes another’s volumes', host({ VolumesFrom: ['db'] })],
    ['is privileged', host({ Privileged: true })],
    ['adds a capability', host({ CapAdd: ['SYS_ADMIN'] })],
    ['keeps capabilities', host({ CapDrop: [] })],
    ['may gain privileges', host({ SecurityOpt: [`seccomp=${seccomp}`] })],
    ['has no filter of system calls', host({ SecurityOpt: ['no-new-privileges:true', 'seccomp=unconfined'] })],
    ['leaves the filter to the engine', host({ SecurityOpt: ['no-new-privileges:true'] })],
    ['has a second filter', host({ SecurityOpt: ['no-new-privileges:true', `seccomp=${seccomp}`, 'seccomp=unconfined'] })],
    ['has another filter', host({ SecurityOpt: ['no-new-privileges:true', 'seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[]}'] })],
    ['runs as root', { ...connector, User: '0:0' }],
    ['runs as the image’s user', { ...connector, User: '' }],
    ['is on a network', host({ NetworkMode: 'bridge' })],
    ['is on the host’s network', host({ NetworkMode: 'host' })],
    ['joins a container by name', host({ NetworkMode: 'container:db' })],
    ['sees the host’s processes', host({ PidMode: 'host' })],
    ['shares memory', host({ IpcMode: 'host' })],
    ['has a device', host({ Devices: [{ PathOnHost: '/dev/sda' }] })],
    ['has another runtime', host({ Runtime: 'evil' })],
    ['is in another cgroup', host({ CgroupParent: '/' })],
    ['has no limit of memory', host({ Memory: 0 })],
    ['sets a kernel parameter', host({ Sysctls: { 'kernel.core_pattern': '|/x' } })],
    ['has a writable root', host({ ReadonlyRootfs: false })],
    ['writes a log', host({ LogConfig: { Type: 'syslog', Config: {} } })],
    ['comes back', host({ RestartPolicy: { Name: 'always' } })],
    ['publishes a port', host({ PortBindings: { '80/tcp': [{ HostPort: '80' }] } })],
    ['has more memory than the guard gives', host({ Memory: memoryBytesMax + 1, MemorySwap: memoryBytesMax + 1 })],
    ['has swap', host({ MemorySwap: 2 ** 29 })],
    ['has more processes than the guard gives', host({ PidsLimit: pidsMax + 1 })],
    ['has more CPUs than the guard gives', host({ NanoCpus: cpusMax * 1e9 + 1 })],
    ['has a large /dev/shm', host({ ShmSize: 2 ** 21 })],
    ['has no ulimits', host({ Ulimits: [] })],
    ['may dump core', host({ Ulimits: ulimits.filter(({ Name }) => Name !== 'core') })],
    ['may lock memory', host({ Ulimits: [...ulimits, { Name: 'memlock', Soft: 1, Hard: 1 }] })],
    ['has unlimited files', host({ Ulimits: [...ulimits, { Name: 'nofile', Soft: -1, Hard: -1 }] })],
    ['has a ulimit that no connector has', host({ Ulimits: [...ulimits, { Name: 'rtprio', Soft: 99, Hard: 99 }] })],
    ['has no tmpfs', { ...connector, HostConfig: withoutTmpfs }],
    ['runs programs of /tmp', tmp(`rw,noexec,nosuid,nodev,exec,suid,dev,${sizes},uid=1,gid=1,mode=0700`)],
    ['runs programs of /tmp by a last word', tmp(`rw,noexec,nosuid,nodev,${sizes},uid=1,gid=1,mode=0700,exec`)],
    ['has a /tmp without a size', tmp('rw,noexec,nosuid,nodev,nr_inodes=100,uid=1,gid=1,mode=0700')],
    ['has a /tmp of size 0, which is none', tmp('rw,noexec,nosuid,nodev,size=0,nr_inodes=100,uid=1,gid=1,mode=0700')],
    ['has a larger /tmp than the guard gives', tmp(`rw,noexec,nosuid,nodev,size=${tmpBytesMax + 1},nr_inodes=9,uid=1,gid=1,mode=0700`)],
    ['is a connector with a sidecar’s kernel parameter', host({ Sysctls: sidecar.HostConfig?.Sysctls })],
    ['is a sidecar with a /tmp', { ...sidecar, HostConfig: { ...sidecar.HostConfig, Tmpfs: connector.HostConfig?.Tmpfs } }],
    ['is a sidecar without ulimits', { ...sidecar, HostConfig: { ...sidecar.HostConfig, Ulimits: [] } }],
    ['is a sidecar that joins another', { ...sidecar, HostConfig: { ...sidecar.HostConfig, NetworkMode: `container:${'f'.repeat(64)}` } }],
    ['may write to the volumes of its image', covered({ '/var/lib/x': cover.replace('ro', 'rw') })],
    ['has more than enough folders', covered(Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`/v${index}`, cover])))],
    ['has a tmpfs elsewhere', host({ Tmpfs: { '/etc': 'rw' } })],
    ['has no label', { ...connector, Labels: {} }],
    ['is started by another program', { ...connector, Entrypoint: ['/bin/sh'] }],
    ['has its network configured', { ...connector, NetworkingConfig: { EndpointsConfig: { bridge: {} } } }],
  ])('%s', (_, payload) => {
    expect(isAllowed(payload)).toBe(false);
  });
});
