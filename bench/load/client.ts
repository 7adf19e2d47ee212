/**
 * A load generator on raw sockets: client.ts URL BODY-FILE CONNECTIONS SECONDS PER-SECOND. Keeps that many connections busy, or with a
 * pace above 0 sends that many requests a second, over the first idle connection, and counts waiting for one as latency.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

const [url = '', bodyFile = '', connectionsText = '1', secondsText = '1', paceText = '0'] = process.argv.slice(2);
const { hostname, port, pathname } = new URL(url);
const body = readFileSync(bodyFile);
const head = `POST ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
const request = Buffer.concat([Buffer.from(head), body]);
const latencies: number[] = [];
let failed = 0;

/** Answers of one connection, each told to whoever waits for it. */
class Connection {
  readonly socket: Socket = connect({ host: hostname, port: Number(port), noDelay: true });
  #parts: Buffer[] = [];
  #bytes = 0;
  #wanted = Number.POSITIVE_INFINITY;
  #settle: (() => void) | undefined;

  constructor() {
    this.socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.socket.on('close', () => this.#fail());
    this.socket.on('error', () => {});
  }

  async send(since: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#settle = resolve;
    this.socket.write(request);
    await promise;
    latencies.push((performance.now() - since) * 1000);
  }

  #read(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#wanted === Number.POSITIVE_INFINITY) {
      this.#parts.push(chunk);
      this.#readHead(this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts));
    }
    if (this.#bytes < this.#wanted) return;
    this.#parts = [];
    this.#bytes = 0;
    this.#wanted = Number.POSITIVE_INFINITY;
    this.#settle?.();
  }

  #readHead(start: Buffer): void {
    const end = start.indexOf('\r\n\r\n');
    if (end === -1) return;
    const text = start.toString('latin1', 0, end);
    if (!text.startsWith('HTTP/1.1 2')) failed += 1;
    this.#wanted = end + 4 + Number(/content-length: *(\d+)/i.exec(text)?.[1]);
  }

  #fail(): void {
    if (this.#settle !== undefined && !isOver) failed += 1;
    this.#settle?.();
  }
}

let isOver = false;
const connections = Array.from({ length: Number(connectionsText) }, () => new Connection());
await Promise.all(connections.map(({ socket }) => once(socket, 'connect')));
const began = performance.now();
const end = began + Number(secondsText) * 1000;
await (Number(paceText) > 0 ? sendAtPace(1000 / Number(paceText)) : Promise.all(connections.map(sendAll)));
const durationUs = (performance.now() - began) * 1000;
isOver = true;
for (const { socket } of connections) socket.destroy();
latencies.sort((a, b) => a - b);
const at = (share: number): number => Math.round(latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0);
console.log(JSON.stringify({ requests: latencies.length, failed, durationUs, p50Us: at(0.5), p99Us: at(0.99) }));

async function sendAll(connection: Connection): Promise<void> {
  while (performance.now() < end) await connection.send(performance.now());
}

/** Due times are fixed beforehand, so that a slow answer does not slow the questions down. */
async function sendAtPace(intervalMs: number): Promise<void> {
  const idle = [...connections];
  const due: number[] = [];
  const running = new Set<Promise<void>>();
  const pump = (): void => {
    while (idle.length > 0 && due.length > 0) {
      const connection = idle.pop() as Connection;
      // A timer may come a little early.
      const sent = connection.send(Math.min(due.shift() as number, performance.now())).then(() => {
        idle.push(connection);
        running.delete(sent);
        pump();
      });
      running.add(sent);
    }
  };
  for (let next = began; next < end; next += intervalMs) {
    const waitMs = next - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    due.push(next);
    pump();
  }
  while (running.size > 0) await Promise.all(running);
}
