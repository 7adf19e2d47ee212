import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ConnectorProcess } from '../../src/runner/runner.ts';

/** The hostile connector of test/fixtures/hostile, in one of its languages. */
export type HostileLanguage = 'python' | 'node';

export interface AttackResult {
  readonly what: string;
  readonly outcome: 'refused' | 'succeeded';
  readonly detail: string;
}

export interface Hostile {
  readonly process: ConnectorProcess;
  /** Has it attack and gives what it says came of it; rejects when the connector ends instead of answering. */
  attack(name: string, args?: object): Promise<readonly AttackResult[]>;
}

export function hostileIn(process: ConnectorProcess): Hostile {
  const lines = createInterface({ input: process.stdout });
  let complaints = '';
  process.stderr.on('data', (chunk: Buffer) => {
    complaints = (complaints + chunk.toString()).slice(-1000);
  });
  return {
    process,
    async attack(name, args = {}) {
      process.stdin.write(`${JSON.stringify({ attack: name, args })}\n`);
      const ended = process.exited.then(({ exitCode, signal }) => {
        throw new Error(`the hostile connector ended (${exitCode ?? signal}) during ${name}: ${complaints}`);
      });
      // It may end long after this attack was answered.
      ended.catch(() => {});
      const [line] = await Promise.race([once(lines, 'line') as Promise<[string]>, ended]);
      return (JSON.parse(line) as { results: AttackResult[] }).results;
    },
  };
}

export interface Attack {
  /** Number in the list of docs/isolation.md. */
  readonly numbers: string;
  readonly what: string;
  readonly name: string;
  readonly args?: object;
  readonly languages: readonly HostileLanguage[];
  /** What may be the outcome all the same, with the reason in docs/isolation.md. */
  readonly excepted?: RegExp;
}

const both = ['python', 'node'] as const;
const python = ['python'] as const;

/** Attacks that one connector can try one after the other; every result must be a refusal. */
export function quietAttacks(traps: Traps): readonly Attack[] {
  const near = ['127.0.0.1', '0.0.0.0', '::1', '::ffff:127.0.0.1', 'localhost'].map((host) => [host, traps.port]);
  const own = traps.addresses.map((address) => [address, traps.port]);
  const far = ['169.254.169.254', '168.63.129.16', '100.100.100.200', '192.0.2.1', 'fd00:ec2::254', '8.8.8.8'].map((host) => [host, 80]);
  return [
    { numbers: '1, 11', what: 'dial metadata services and the world', name: 'network', args: { targets: far }, languages: both },
    { numbers: '2', what: 'dial the host’s own addresses', name: 'network', args: { targets: own }, languages: both },
    { numbers: '3', what: 'dial the host’s loopback', name: 'network', args: { targets: near }, languages: both },
    {
      numbers: '5',
      what: 'dial other loopback addresses',
      name: 'network',
      args: {
        targets: [
          ['127.0.0.99', traps.port],
          ['127.1.2.3', 80],
        ],
      },
      languages: both,
    },
    {
      numbers: '22',
      what: 'send datagrams out',
      name: 'datagrams',
      args: { hosts: ['8.8.8.8', '169.254.169.254', ...traps.addresses] },
      languages: both,
    },
    { numbers: '21, 22, 23, 24', what: 'make sockets of other kinds', name: 'sockets', languages: python },
    {
      numbers: '25, 26',
      what: 'connect to the host’s unix sockets',
      name: 'unix_sockets',
      args: { paths: traps.unixPaths },
      languages: both,
    },
    { numbers: '27', what: 'look up names', name: 'names', args: { names: ['secret.exfil.example', 'example.com'] }, languages: both },
    { numbers: '31', what: 'write to the machine', name: 'writes', args: { paths: protectedPaths }, languages: both },
    {
      numbers: '31',
      what: 'change its own confinement',
      name: 'remounts',
      args: { paths: ['/', '/app', '/usr', '/dev'] },
      languages: both,
    },
    {
      numbers: '31',
      what: 'read others’ files',
      name: 'reads',
      args: { paths: [...traps.foreignPaths, ...foreignPaths] },
      languages: both,
    },
    { numbers: '32', what: 'find the proxy’s secrets in /proc', name: 'secrets', args: { needles: traps.secrets }, languages: both },
    { numbers: '33', what: 'use inherited descriptors', name: 'descriptors', languages: python },
    { numbers: '37', what: 'gain rights by setuid programs', name: 'setuid', languages: python },
    { numbers: '21, 31', what: 'hold capabilities', name: 'capabilities', languages: python },
    { numbers: '38, 39, 40', what: 'make system calls that no connector needs', name: 'syscalls', languages: both },
    { numbers: '45', what: 'have memory that no limit counts', name: 'pages', languages: python },
    { numbers: '41', what: 'reach a terminal', name: 'terminal', languages: python },
    { numbers: '42, 43', what: 'reach other processes', name: 'processes', languages: both },
    { numbers: '44', what: 'fork without end', name: 'forks', args: { max: 400 }, languages: both },
    { numbers: '-', what: 'open files without end', name: 'open_files', args: { max: 5000 }, languages: python },
    { numbers: '47', what: 'fill /tmp', name: 'disk', args: { path: '/tmp', max: 200 << 20 }, languages: both },
    { numbers: '46', what: 'fill /dev/shm', name: 'disk', args: { path: '/dev/shm', max: 200 << 20 }, languages: both },
  ];
}

const protectedPaths = [
  '/',
  '/usr',
  '/usr/bin',
  '/etc',
  '/etc/hosts',
  '/app',
  '/dev',
  '/run',
  '/run/bulkhead',
  '/opt/bulkhead/bin',
  '/proc/sys/kernel/core_pattern',
].concat([
  '/proc/sys/vm/swappiness',
  '/proc/sys/net/ipv4/ip_forward',
  '/proc/sysrq-trigger',

  '/proc/sys/user/max_user_namespaces',
]);

const foreignPaths = [
  '/root',
  '/home',
  '/etc/shadow',
  '/etc/ssh',
  '/var',
  '/sys',
  '/boot',
  '/mnt',
  '/srv',
  '/proc/kcore',
  '/proc/1/root/etc/shadow',
  '/dev/mem',
];

export interface Traps extends AsyncDisposable {
  /** TCP, on every address of the host. */
  readonly port: number;
  readonly addresses: readonly string[];
  /** Abstract ones begin with NUL. */
  readonly unixPaths: readonly string[];
  readonly foreignPaths: readonly string[];
  readonly secrets: readonly string[];
  /** Connections that came in; must stay none. */
  readonly hits: () => number;
}

/** Things of the host that a connector must not reach, each of which would tell. */
export async function setTraps(secrets: readonly string[] = []): Promise<Traps> {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-traps-'));
  chmodSync(folder, 0o755);
  let hits = 0;
  const count = () => hits++;
  const servers: Server[] = [];
  const listen = async (options: object): Promise<Server> => {
    const server = createServer((socket) => {
      count();
      socket.destroy();
    });
    servers.push(server);
    server.listen(options);
    await once(server, 'listening');
    return server;
  };
  const tcp = await listen({ host: '::', port: 0 });
  const paths = [`\0bulkhead-trap-${process.pid}`, join(folder, 'trap.sock')];
  for (const path of paths) await listen({ path });
  chmodSync(join(folder, 'trap.sock'), 0o777);
  const datagrams = createSocket('udp4').bind(0);
  datagrams.on('message', count);
  return {
    port: (tcp.address() as AddressInfo).port,
    addresses: Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .filter(({ internal, family }) => !internal && family === 'IPv4')
      .map(({ address }) => address),
    unixPaths: [...paths, '/var/run/docker.sock', '/run/docker.sock', '/run/dbus/system_bus_socket', '\0/tmp/.X11-unix/X0'],
    foreignPaths: [folder],
    secrets,
    hits: () => hits,
    async [Symbol.asyncDispose]() {
      datagrams.close();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
