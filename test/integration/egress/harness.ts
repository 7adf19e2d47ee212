import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parseAddress } from '../../../src/egress/address.ts';
import { type AuditLog, openAuditLog } from '../../../src/egress/audit.ts';
import { createEgressGateway, type EgressDenial, type EgressGatewayOptions, type EgressSession } from '../../../src/egress/gateway.ts';
import { LookupError } from '../../../src/egress/resolve.ts';
import { silentLogger } from '../../../src/log.ts';
import { networkRule } from '../../../src/manifest/host-pattern.ts';
import type { ConnectorName } from '../../../src/manifest/names.ts';
import type { NetworkPolicy } from '../../../src/manifest/network.ts';

export interface HarnessOptions extends Partial<EgressGatewayOptions> {
  readonly network?: NetworkPolicy;
  readonly rules?: readonly string[];
  /** Names and the addresses they have; a function is asked anew for each lookup. */
  readonly names?: Readonly<Record<string, readonly string[] | (() => readonly string[])>>;
}

export interface Harness extends AsyncDisposable {
  readonly session: EgressSession;
  readonly denials: EgressDenial[];
  readonly lookups: string[];
  readonly audit: AuditLog;
  readonly folder: string;
  /** The port of this machine that stands for the connector's proxy port. */
  readonly proxyPort: number;
  /** A connection as the connector makes it to `host:port` through /etc/hosts or the DNS responder. */
  dialHost(host: string, port: number): Promise<Socket>;
  dialProxy(): Promise<Socket>;
  /** Records of the audit log so far, the file's header left out. */
  records(): Promise<readonly Record<string, unknown>[]>;
  restartSession(network: NetworkPolicy): EgressSession;
}

/** The real gateway with a real audit log; the connector's listeners stand on the host's loopback, since a unit of this test needs no namespace. */
export async function startHarness(options: HarnessOptions = {}): Promise<Harness> {
  const folder = await mkdtemp(join(tmpdir(), 'egress-test-'));
  const audit = options.audit ?? (await openAuditLog({ folder, log: silentLogger, retryMs: 1 }));
  const denials: EgressDenial[] = [];
  const lookups: string[] = [];
  const resolve = async (name: string) => {
    lookups.push(name);
    const found = options.names?.[name];
    const texts = typeof found === 'function' ? found() : found;
    if (!texts) throw new LookupError(`${name} cannot be resolved (ENOTFOUND)`);
    return texts.map((text) => parseAddress(text)!);
  };
  const gateway = createEgressGateway({ log: silentLogger, resolve, ...options, audit });
  const network = options.network ?? { type: 'rules', rules: (options.rules ?? []).map(networkRule) };
  const open = (policy: NetworkPolicy): EgressSession =>
    gateway.open({
      connector: 'x' as ConnectorName,
      network: policy,
      onDenied: (denial) => denials.push(denial),
      invocations: () => ['inv-1'],
    });
  let session = open(network);
  let dialled: string | undefined;
  let index = 0;
  const door = createServer({ allowHalfOpen: false }, (socket) => session.accept(index, socket, dialled));
  await listen(door);
  const dial = async (at: number, localAddress: string): Promise<Socket> => {
    index = at;
    dialled = localAddress;
    const accepted = once(door, 'connection');
    const socket = connect({ port: portOf(door), host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => {});
    await accepted;
    return socket;
  };
  const dialProxy = (): Promise<Socket> => dial(0, '127.0.0.1');
  return {
    get session() {
      return session;
    },
    denials,
    lookups,
    audit,
    folder,
    proxyPort: portOf(door),
    async dialHost(host, port) {
      const address = session.hosts.find(({ name }) => name === host)?.address ?? host;
      const at = session.listeners.findIndex((plan) => plan.role === 'host' && plan.port === port);
      if (at < 0) throw new Error(`no listener for port ${port}`);
      return await dial(at, address);
    },
    async dialProxy() {
      return await dialProxy();
    },
    async records() {
      await audit.append({ type: 'gap', lost: 0, reason: 'test barrier' });
      const text = await readFile(join(folder, 'audit.jsonl'), 'utf8');
      const lines = text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      return lines.filter(({ type }) => type === 'decision' || type === 'end');
    },
    restartSession(policy) {
      session.close();
      session = open(policy);
      return session;
    },
    async [Symbol.asyncDispose]() {
      await gateway.close();
      await new Promise((done) => door.close(done));
      await audit.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  return portOf(server);
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

export interface TestServer extends AsyncDisposable {
  readonly port: number;
  readonly sockets: Set<Socket>;
  /** Connections it has had. */
  readonly count: () => number;
}

/** A TCP server on loopback; `serve` gets each connection. */
export async function startServer(serve: (socket: Socket) => void): Promise<TestServer> {
  const sockets = new Set<Socket>();
  let count = 0;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    count += 1;
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    serve(socket);
  });
  const port = await listen(server);
  return {
    port,
    sockets,
    count: () => count,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}

export function echo(socket: Socket): void {
  socket.pipe(socket);
}

/** Everything up to the end of the stream, or up to a reset, told as `reset: true`. */
export async function readAll(socket: Socket): Promise<{ text: string; reset: boolean }> {
  const chunks: Buffer[] = [];
  let reset = false;
  socket.on('error', () => {
    reset = true;
  });
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  if (!socket.destroyed) await Promise.race([once(socket, 'end').catch(() => {}), once(socket, 'close').catch(() => {})]);
  return { text: Buffer.concat(chunks).toString('latin1'), reset };
}

/** Waits for a text in what the socket sends; leaves the socket open. */
export async function readUntil(socket: Socket, mark: string): Promise<string> {
  let text = '';
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const onData = (chunk: Buffer): void => {
    text += chunk.toString('latin1');
    if (text.includes(mark)) resolve(text);
  };
  const onEnd = (): void => reject(new Error(`ended before ${JSON.stringify(mark)}: ${JSON.stringify(text)}`));
  socket.on('data', onData).on('end', onEnd).on('close', onEnd);
  try {
    return await promise;
  } finally {
    socket.off('data', onData).off('end', onEnd).off('close', onEnd);
  }
}

/** Polls a fact that becomes true some turns later. */
export async function eventually(assertion: () => void | Promise<void>, timeoutMs = 10_000): Promise<void> {
  await expect
    .poll(
      async () => {
        await assertion();
        return true;
      },
      { timeout: timeoutMs, interval: 10 },
    )
    .toBe(true);
}
