import { type IncomingMessage, request, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { bodyOf } from './bounded-body.ts';

/** Bytes of the engine's own words on a refusal; what is longer is not told. */
const refusalBytesMax = 64 * 1024;

/**
 * Attaches to a container and joins the client's connection to its streams. Where the engine answers anything but that, the client has that
 * answer, and its connection ends.
 */
export async function joinAttach(socketPath: string, path: string, socket: Socket): Promise<void> {
  const headers = { host: 'engine', connection: 'Upgrade', upgrade: 'tcp' };
  const outgoing = request({ socketPath, method: 'POST', path, headers, agent: false });
  socket.once('close', () => outgoing.destroy());
  const answered = new Promise<[IncomingMessage, Socket?, Buffer?]>((resolve, reject) => {
    outgoing.once('upgrade', (...given) => resolve(given)).on('error', reject);
    outgoing.once('response', (response) => resolve([response]));
  });
  outgoing.end();
  const [response, engine, head] = await answered;
  if (engine === undefined) return endUpgrade(socket, response.statusCode ?? 502, await messageOf(response));
  const type = response.headers['content-type'] ?? 'application/vnd.docker.raw-stream';
  socket.write(`HTTP/1.1 101 UPGRADED\r\nContent-Type: ${type}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`);
  if (head !== undefined && head.length > 0) socket.write(head);
  engine.on('error', () => {}).once('close', () => socket.destroySoon());
  socket.once('close', () => engine.destroy());
  // pipe() hands the end of stdin on as a half-close.
  socket.pipe(engine);
  engine.pipe(socket);
}

/** An answer on a connection that the server has given away. */
export function endUpgrade(socket: Socket, status: number, message: string): void {
  const body = JSON.stringify({ message });
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}\r\ncontent-type: application/json\r\nconnection: close\r\n`;
  socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

async function messageOf(response: IncomingMessage): Promise<string> {
  const said = await bodyOf(response, refusalBytesMax);
  try {
    const { message } = JSON.parse(said.toString()) as { readonly message?: unknown };
    return typeof message === 'string' ? message : '';
  } catch {
    return '';
  }
}
