import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { containerOptions, sidecarOptions } from '../../../../src/runner/container-options.ts';
import { createPayloadSchema } from '../../../../src/runner/engine-guard/create-payload.ts';
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

function isAllowed(payload: unknown): boolean {
  return v.safeParse(schema, JSON.parse(JSON.stringify(payload))).success;
}

const connector = { ...containerOptions({ ...plan, network: { type: 'none' }, seccomp }), name: 'bulkhead-x' };

describe('the guard takes what the runner makes', () => {
  it.each([
    ['a connector without network', connector],
    ['a connector of an engine with its own filter', containerOptions({ ...plan, network: { type: 'none' }, seccomp: undefined })],
    ['a connector that joins its sidecar', containerOptions({ ...plan, network: { type: 'sidecar', id: 'f'.repeat(64) }, seccomp })],
    [
      'a sidecar',
      sidecarOptions({
        ...{ product: 'docker', image: image.id, argument: '{}', labels, hasDns: true, seccomp, folder: undefined },
        programs: { relay: ['/node'] },
        hosts: [{ address: '127.0.0.2', name: 'smtp.example.com' }],
      }),
    ],
  ])('%s', (_, payload) => {
    expect(v.safeParse(schema, JSON.parse(JSON.stringify(payload))).issues?.map((issue) => v.getDotPath(issue))).toBeUndefined();
  });
});

describe('the guard refuses a container that', () => {
  const host = (change: object): object => ({ ...connector, HostConfig: { ...connector.HostConfig, ...change } });
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
    ['has a tmpfs elsewhere', host({ Tmpfs: { '/tmp': 'rw,noexec,nosuid,nodev', '/etc': 'rw' } })],
    ['has no label', { ...connector, Labels: {} }],
    ['is started by another program', { ...connector, Entrypoint: ['/bin/sh'] }],
    ['has its network configured', { ...connector, NetworkingConfig: { EndpointsConfig: { bridge: {} } } }],
  ])('%s', (_, payload) => {
    expect(isAllowed(payload)).toBe(false);
  });
});
