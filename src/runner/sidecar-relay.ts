/**
 * Runs in a connector's sidecar, which owns the network namespace: takes connections to the loopback listeners and hands them to the
 * proxy, over a unix socket where the engine shares files with the proxy, over stdin and stdout elsewhere. It decides nothing; the
 * egress gateway does. Plan: argv[2], the JSON of a RelayPlan. Says `ready` on stderr once every listener is bound.
 */
import { createSocket } from 'node:dgram';
import { connect, createServer, Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { createMux, type Mux } from './sidecar-mux.ts';

export interface RelayPlan {
  readonly listeners: readonly { readonly transport: 'tcp' | 'udp'; readonly address: string; readonly port: number }[];
  /** Connections of one listener at once. */
  readonly connectionsMax: number;
  /** Where the proxy listens; null: stdin and stdout. */
  readonly socket: string | null;
}

/** Questions that may wait for their answer; the oldest is dropped for one more. */
const questionsMax = 256;

async function run(plan: RelayPlan): Promise<void> {
  const link = plan.socket === null ? standardStreams() : connect(plan.socket);
  link
    .once('error', fail)
    .once('close', () => process.exit(0))
    .once('end', () => process.exit(0));
  const asked = new Map<number, (answer: Buffer) => void>();
  const mux = createMux({ link, onDatagram: (id, answer) => asked.get(id)?.(answer) });
  await Promise.all(
    plan.listeners.map((listener, index) =>
      listener.transport === 'tcp' ? serveConnections(mux, index, listener, plan.connectionsMax) : serveQuestions(mux, asked, listener),
    ),
  );
  process.stderr.write('ready\n');
}

/** By descriptor: process.stdout writes synchronously to a pipe, and one slow reader would hold every connection up. */
function standardStreams(): Duplex {
  const [readable, writable] = [
    new Socket({ fd: 0, readable: true, writable: false }),
    new Socket({ fd: 1, readable: false, writable: true }),
  ];
  readable.once('close', () => process.exit(0));
  return Duplex.from({ readable: readable as NodeJS.ReadableStream, writable: writable as NodeJS.WritableStream } as never);
}

type Listener = RelayPlan['listeners'][number];

async function serveConnections(mux: Mux, index: number, { address, port }: Listener, connectionsMax: number): Promise<void> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => join(socket, mux.open(index, socket.localAddress ?? '')));
  server.maxConnections = connectionsMax;
  await new Promise<void>((resolve) => server.listen(port, address, resolve));
}

function join(socket: Socket, connection: Duplex): void {
  socket.on('error', () => {});
  socket.pipe(connection);
  connection.pipe(socket);
  socket.once('close', () => connection.destroy());
  // A reset by the gateway is told as one, so that a refusal does not look like an empty answer.
  connection.once('close', () => (socket.writableFinished ? socket.destroy() : socket.resetAndDestroy()));
}

async function serveQuestions(mux: Mux, asked: Map<number, (answer: Buffer) => void>, { address, port }: Listener): Promise<void> {
  const socket = createSocket('udp4');
  let lastId = 0;
  socket.on('message', (question, from) => {
    lastId = (lastId + 1) >>> 0;
    const id = lastId;
    if (asked.size >= questionsMax) asked.delete(asked.keys().next().value ?? id);
    asked.set(id, (answer) => {
      asked.delete(id);
      socket.send(answer, from.port, from.address, () => {});
    });
    mux.sendDatagram(id, question);
  });
  await new Promise<void>((resolve) => socket.bind(port, address, resolve));
}

/** The proxy tells what is said here with the end of the sidecar. */
function fail({ message }: Error): never {
  process.stderr.write(`failed: ${message}\n`);
  process.exit(1);
}

process.on('uncaughtException', fail);
await run(JSON.parse(process.argv[2] ?? '{}') as RelayPlan);
