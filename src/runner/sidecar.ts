import { chmod } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import type { EgressSession } from '../egress/gateway.ts';
import { ProxyError } from '../errors.ts';
import { type LaunchedContainer, launchContainer } from './container-launch.ts';
import { containerPaths, type SidecarPrograms, sidecarOptions } from './container-options.ts';
import { type DockerEngine, isRefusal } from './docker-engine.ts';
import { connectionsMax, questionsMax } from './netns-listeners.ts';
import { sidecarPrograms } from './sidecar-image.ts';
import { createMux } from './sidecar-mux.ts';
import type { RelayPlan } from './sidecar-relay.ts';

/** The container that owns a connector's network namespace, and the relay in it. One connector, one sidecar. */
export interface Sidecar {
  readonly id: string;
  /** Starts it and settles once every listener is bound. @throws ProxyError `sandbox_unavailable` */
  start(signal?: AbortSignal): Promise<void>;
  /** Settles, with what happened, when the sidecar is no more. */
  readonly ended: Promise<string>;
  close(): Promise<void>;
}

export interface SidecarOptions {
  readonly engine: DockerEngine;
  readonly connector: string;
  readonly name: string;
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly seccomp: string;
  readonly session: EgressSession;
  /** A folder shared with the sidecar; undefined: the relay speaks over its stdin and stdout. */
  readonly folder: string | undefined;
  readonly signal?: AbortSignal;
}

/** From its start to the last bound listener. */
const readyTimeoutMs = 30_000;
const socketName = 'relay.sock';
/** Bytes of what a failing relay says of itself that a message may hold. */
const complaintBytesMax = 200;

const forbidden = 403;

/** Makes a sidecar, not yet started, so that its connector can be made meanwhile. @throws ProxyError, EngineRefusal */
export async function makeSidecar(options: SidecarOptions): Promise<Sidecar> {
  const { engine, name, session, folder, image, labels, seccomp, signal } = options;
  const listening = folder === undefined ? undefined : await listen(join(folder, socketName));
  const plan: RelayPlan = {
    listeners: session.listeners.map(({ transport, address, port }) => ({ transport, address, port })),
    connectionsMax,
    socket: folder === undefined ? null : join(containerPaths.stdio, socketName),
  };
  const hasDns = session.listeners.some(({ role }) => role === 'dns');
  const argument = JSON.stringify(plan);
  const { product } = await engine.facts(signal);
  const make = (programs: SidecarPrograms) =>
    launchContainer({
      engine,
      name,
      ...(signal && { signal }),
      options: sidecarOptions({ product, image, argument, programs, labels, hosts: session.hosts, hasDns, seccomp, folder }),
    });
  const programs = sidecarPrograms(session.localRoutes);
  try {
    const container = await make(programs).catch((error: unknown) => {
      // A guard before the engine lets no container begin as root: those addresses are then reached through the proxy variables alone.
      if (programs.router === undefined || !isRefusal(error) || error.statusCode !== forbidden) throw error;
      return make({ relay: programs.relay });
    });
    return sidecarOf(options, container, listening);
  } catch (error) {
    listening?.server.close();
    throw error;
  }
}

function sidecarOf({ connector, session }: SidecarOptions, container: LaunchedContainer, listening: Listening | undefined): Sidecar {
  const { streams } = container;
  if (listening !== undefined) streams.stdout.resume();
  const link = listening === undefined ? Promise.resolve(linkOf(container)) : listening.connected;
  void link.then((duplex) => serve(duplex, session));
  const complaint = listenForReady(streams.stderr);
  const ended = streams.ended.then(() => `its network sidecar ended${complaint.text() && ` (${complaint.text()})`}.`);
  return {
    id: container.id,
    ended,
    async start(signal) {
      await container.start(signal);
      const failed = ended.then((what) =>
        Promise.reject(new ProxyError('sandbox_unavailable', `Connector ${connector} is not started: ${what}`)),
      );
      const late = timeoutOf(readyTimeoutMs, connector);
      await Promise.race([Promise.all([complaint.ready, link]), failed, late.promise]).finally(late.cancel);
    },
    async close() {
      listening?.server.close();
      await container.remove();
      void link.then((duplex) => duplex.destroy());
    },
  };
}

/** The relay's stdin and stdout as one stream. */
function linkOf({ streams }: LaunchedContainer): Duplex {
  return Duplex.from({ readable: streams.stdout, writable: streams.stdin } as never);
}

function serve(link: Duplex, session: EgressSession): void {
  let pending = 0;
  const answer = async (id: number, question: Buffer) => {
    const reply = await session.answerDns(question);
    if (reply !== undefined) mux.sendDatagram(id, reply);
  };
  const mux = createMux({
    link,
    // The gateway refuses an index that it did not plan.
    onOpen: (connection, index, localAddress) => session.accept(index, connection, localAddress),
    onDatagram(id, question) {
      if (pending >= questionsMax) return;
      pending += 1;
      answer(id, question)
        .catch(() => {})
        .finally(() => {
          pending -= 1;
        });
    },
  });
}

interface Listening {
  readonly server: Server;
  /** The relay's one connection. */
  readonly connected: Promise<Duplex>;
}

async function listen(path: string): Promise<Listening> {
  const { promise, resolve } = Promise.withResolvers<Duplex>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    // One relay, one connection: a second one is not ours.
    server.close();
    resolve(socket);
  });
  server.maxConnections = 1;
  server.on('error', () => {});
  await new Promise<void>((done, reject) => server.once('error', reject).listen(path, done));
  // The relay runs as another user; only its own container sees the folder.
  await chmod(path, 0o666);
  return { server, connected: promise };
}

function listenForReady(stderr: NodeJS.ReadableStream) {
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  let text = '';
  stderr.on('data', (chunk: Buffer) => {
    text = `${text}${chunk.toString('utf8')}`.slice(-complaintBytesMax);
    if (text.includes('ready\n')) resolve();
  });
  return { ready, text: () => text.replace('ready\n', '').trim() };
}

function timeoutOf(ms: number, connector: string) {
  const { promise, reject } = Promise.withResolvers<never>();
  const message = `Connector ${connector} is not started: its network sidecar was not ready within ${ms} ms.`;
  const timer = setTimeout(() => reject(new ProxyError('sandbox_unavailable', message)), ms);
  promise.catch(() => {});
  return { promise, cancel: () => clearTimeout(timer) };
}
