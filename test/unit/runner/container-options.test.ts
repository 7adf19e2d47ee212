import { describe, expect, test } from 'vitest';
import { type ContainerPlan, containerOptions, sidecarOptions } from '../../../src/runner/container-options.ts';
import type { SandboxPolicy } from '../../../src/sandbox/policy.ts';

const policy: SandboxPolicy = {
  sandbox: 'enforced',
  network: { type: 'none' },
  limits: {
    memoryBytesMax: 268_435_456,
    cpusMax: 0.5,
    cpuTimeMaxMs: 2500,
    pidsMax: 48,
    descriptorsMax: 100,
    fileBytesMax: 1000,
    tmpBytesMax: 2000,
    tmpInodesMax: 30,
  },
  environment: { A: 'b', HTTPS_PROXY: 'own' },
  dataFolder: '/srv/data',
  readOnlyPaths: ['/opt/runtime'],
};

const plan: ContainerPlan = {
  policy,
  image: { id: 'sha256:abc', entrypoint: ['node'], command: ['main.ts'], volumes: [] },
  labels: { 'dev.bulkhead.role': 'connector' },
  user: { uid: 10_001, gid: 10_002 },
  network: { type: 'none' },
  egressEnvironment: { HTTP_PROXY: 'http://127.0.0.1:3128', HTTPS_PROXY: 'theirs' },
  seccomp: '{"a":1}',
  stdio: { type: 'attach' },
  product: 'docker',
};

describe('every rule of a policy reaches the create payload', () => {
  const { HostConfig: host = {}, ...payload } = containerOptions(plan);
  test.each([
    ['image by id', payload.Image, 'sha256:abc'],
    ['user', payload.User, '10001:10002'],
    [
      'environment, its own winning over the proxy’s',
      payload.Env,
      ['HOME=/tmp', 'HTTP_PROXY=http://127.0.0.1:3128', 'HTTPS_PROXY=own', 'A=b'],
    ],
    ['labels', payload.Labels, plan.labels],
    ['no terminal', payload.Tty, false],
    ['stdin that ends with its client', [payload.OpenStdin, payload.StdinOnce], [true, true]],
    ['its own program', [payload.Entrypoint, payload.Cmd], [undefined, undefined]],
    ['memory, without swap', [host.Memory, host.MemorySwap], [268_435_456, 268_435_456]],
    ['cpus', host.NanoCpus, 500_000_000],
    ['processes', host.PidsLimit, 48],
    ['descriptors', host.Ulimits?.find(({ Name }) => Name === 'nofile'), { Name: 'nofile', Soft: 100, Hard: 100 }],
    ['file size', host.Ulimits?.find(({ Name }) => Name === 'fsize'), { Name: 'fsize', Soft: 1000, Hard: 1000 }],
    [
      'cpu time in whole seconds, rounded up, and one more to end by name',
      host.Ulimits?.find(({ Name }) => Name === 'cpu'),
      { Name: 'cpu', Soft: 3, Hard: 4 },
    ],
    ['no core dumps', host.Ulimits?.find(({ Name }) => Name === 'core'), { Name: 'core', Soft: 0, Hard: 0 }],
    ['/tmp', host.Tmpfs, { '/tmp': 'rw,noexec,nosuid,nodev,size=2000,nr_inodes=30,uid=10001,gid=10002,mode=0700' }],
    ['/dev/shm', host.ShmSize, 1_048_576],
    ['a root file system to read only', host.ReadonlyRootfs, true],
    ['no capability', [host.CapDrop, host.CapAdd, host.Privileged], [['ALL'], undefined, false]],
    ['no new privileges, and the filter', host.SecurityOpt, ['no-new-privileges:true', 'seccomp={"a":1}']],
    ['namespaces of its own', [host.IpcMode, (host as { CgroupnsMode?: string }).CgroupnsMode], ['private', 'private']],
    ['no network', host.NetworkMode, 'none'],
    ['no name server of the host', host.Dns, ['127.0.0.1']],
    ['no log file', host.LogConfig, { Type: 'none', Config: {} }],
    ['no restart', host.RestartPolicy, { Name: 'no' }],
    ['an init that reaps', host.Init, true],
  ])('%s', (_, got, expected) => {
    expect(got).toEqual(expected);
  });

  test('folders, the data folder alone writable, none made when missing', () => {
    const mount = (Source: string, Target: string, ReadOnly: boolean) => ({
      Type: 'bind',
      Source,
      Target,
      ReadOnly,
      BindOptions: { Propagation: 'rprivate', ...(ReadOnly && { NonRecursive: true }) },
    });
    expect(host.Mounts).toEqual([mount('/opt/runtime', '/opt/runtime', true), mount('/srv/data', '/data', false)]);
    expect(host.Binds).toBeUndefined();
  });
});

describe('container options', () => {
  test('an unlimited CPU time is no ulimit', () => {
    const { cpuTimeMaxMs: _, ...limits } = policy.limits;
    const { HostConfig } = containerOptions({ ...plan, policy: { ...policy, limits } });
    expect(HostConfig?.Ulimits?.map(({ Name }) => Name)).not.toContain('cpu');
  });

  test('on Podman /tmp names no inodes, which it would refuse, and what it would make writable is covered', () => {
    const { HostConfig } = containerOptions({ ...plan, product: 'podman' });
    const cover = 'ro,noexec,nosuid,nodev,size=65536,mode=0555,notmpcopyup';
    expect(HostConfig?.Tmpfs).toEqual({ '/tmp': 'rw,noexec,nosuid,nodev,size=2000,mode=1777', '/run': cover, '/var/tmp': cover });
  });

  test('each volume of the image is covered, but where something else is mounted', () => {
    const image = { ...plan.image, volumes: ['/data', '/opt/runtime', '/opt/runtime-2', '/run/bulkhead', '/tmp'] };
    const stdio = { type: 'pipes', folder: '/srv/pipes' } as const;
    const { '/tmp': tmp, ...covers } = containerOptions({ ...plan, image, stdio }).HostConfig?.Tmpfs ?? {};
    expect(tmp).toMatch(/^rw,/);
    expect(covers).toEqual({ '/opt/runtime-2': expect.stringMatching(/^ro,noexec,nosuid,nodev,size=65536,nr_inodes=512,/) });
    const { HostConfig } = containerOptions({ ...plan, image, stdio, product: 'podman' });
    expect(HostConfig?.Tmpfs).toHaveProperty(['/opt/runtime-2'], 'ro,noexec,nosuid,nodev,size=65536,mode=0555,notmpcopyup');
  });

  test('without a sandbox the image’s volumes are the engine’s', () => {
    const image = { ...plan.image, volumes: ['/scratch'] };
    expect(containerOptions({ ...plan, image, policy: { ...policy, sandbox: 'none' } }).HostConfig?.Tmpfs).toBeUndefined();
  });

  test('with a sidecar, the namespace is its and so are host name and name server: the engine refuses them twice', () => {
    const { HostConfig, Hostname } = containerOptions({ ...plan, network: { type: 'sidecar', id: 'f00' } });
    expect(HostConfig?.NetworkMode).toBe('container:f00');
    expect([Hostname, HostConfig?.Dns, HostConfig?.ExtraHosts]).toEqual([undefined, undefined, undefined]);
  });

  test('unsafe-host is the host’s network and nothing else that is the host’s', () => {
    const { HostConfig } = containerOptions({ ...plan, network: { type: 'host' } });
    expect([HostConfig?.NetworkMode, HostConfig?.ReadonlyRootfs, HostConfig?.CapDrop]).toEqual(['host', true, ['ALL']]);
  });

  test('over named pipes the image’s program runs behind a shell that opens them, from a read-only folder', () => {
    const { Entrypoint, Cmd, OpenStdin, HostConfig } = containerOptions({ ...plan, stdio: { type: 'pipes', folder: '/tmp/x' } });
    expect(Entrypoint?.slice(0, 2)).toEqual(['/bin/sh', '-c']);
    expect(Cmd).toEqual(['node', 'main.ts']);
    expect(OpenStdin).toBe(false);
    expect(HostConfig?.Mounts?.at(-1)).toMatchObject({ Source: '/tmp/x', Target: '/run/bulkhead', ReadOnly: true });
  });

  test('sandbox: none keeps the limits, the network and the labels, and drops the confinement', () => {
    const { User, HostConfig } = containerOptions({ ...plan, policy: { ...policy, sandbox: 'none' } });
    expect([User, HostConfig?.ReadonlyRootfs, HostConfig?.CapDrop, HostConfig?.SecurityOpt]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect([HostConfig?.Memory, HostConfig?.PidsLimit, HostConfig?.NetworkMode]).toEqual([268_435_456, 48, 'none']);
  });
});

describe('sidecar options', () => {
  const sidecar = {
    image: 'sha256:def',
    argument: '{}',
    programs: { relay: ['/node', '/relay.js'] },
    labels: {},
    hosts: [{ address: '127.0.0.2', name: 'a.example' }],
    hasDns: true,
    product: 'docker' as const,
    seccomp: '{"a":1}',
  };

  test('own a namespace with loopback only, whose hosts file has the rules’ names', () => {
    const { HostConfig } = sidecarOptions({ ...sidecar, folder: undefined });
    expect(HostConfig).toMatchObject({
      NetworkMode: 'none',
      ExtraHosts: ['a.example:127.0.0.2'],
      Dns: ['127.0.0.1'],
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
    });
  });

  test('run the image’s relay as a user of its own, without any capability', () => {
    const { Entrypoint, Cmd, User, HostConfig } = sidecarOptions({ ...sidecar, folder: undefined });
    expect([Entrypoint, Cmd, User]).toEqual([undefined, ['{}'], '10002:10002']);
    expect([HostConfig?.CapAdd, HostConfig?.Init]).toEqual([undefined, true]);
  });

  test('a router starts as root with what routes need, and nothing but it does: no init stays with those rights', () => {
    const programs = { ...sidecar.programs, router: ['/perl', '/routes.pl', '00'] };
    const { Entrypoint, Cmd, User, HostConfig } = sidecarOptions({ ...sidecar, programs, folder: undefined });
    expect([Entrypoint, Cmd, User]).toEqual([['/perl', '/routes.pl', '00'], ['/node', '/relay.js', '{}'], '0:0']);
    expect(HostConfig).toMatchObject({ CapDrop: ['ALL'], CapAdd: ['NET_ADMIN', 'SETUID', 'SETGID'], Init: false });
    expect(HostConfig?.SecurityOpt).toEqual(['no-new-privileges:true', 'seccomp={"a":1}']);
  });

  test('write nowhere on Podman either', () => {
    const folders = Object.entries(sidecarOptions({ ...sidecar, product: 'podman', folder: undefined }).HostConfig?.Tmpfs ?? {});
    expect(folders.map(([path, options]) => [path, options.slice(0, 3)])).toEqual([
      ['/run', 'ro,'],
      ['/tmp', 'ro,'],
      ['/var/tmp', 'ro,'],
    ]);
  });

  test('speak over stdin and stdout, or over a socket in a read-only folder', () => {
    expect(sidecarOptions({ ...sidecar, folder: undefined })).toMatchObject({ OpenStdin: true, StdinOnce: true });
    const { OpenStdin, HostConfig } = sidecarOptions({ ...sidecar, folder: '/tmp/y' });
    expect([OpenStdin, HostConfig?.Mounts]).toEqual([false, [{ Type: 'bind', Source: '/tmp/y', Target: '/run/bulkhead', ReadOnly: true }]]);
  });
});
