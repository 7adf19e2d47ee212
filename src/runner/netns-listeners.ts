import { Socket as DatagramSocket, type RemoteInfo } from 'node:dgram';
import { Server, type Socket } from 'node:net';
import type { EgressSession } from '../egress/gateway.ts';
import type { OuterProcess } from './outer-process.ts';

/** Connections of one listener at once. Without a cap one connector could take every descriptor of the proxy. */
export const connectionsMax = 64;
/** DNS questions of one connector in hand at once; more are dropped, as a network would. */
export const questionsMax = 32;

export interface NetnsListeners {
  /** A listener that lives on keeps the namespace of a dead connector alive. Idempotent. */
  close(): void;
}

/** Takes the listening sockets that the namespace helper sends over the child’s channel, and serves them with the session. */
export function takeListeners(child: OuterProcess, session: EgressSession): NetnsListeners {
  const taken: { close(): void }[] = [];
  let isClosed = false;
  child.on('message', (message, handle) => {
    const { index } = message as { index: number };
    if (isClosed) closeHandle(handle);
    else if (handle instanceof Server) taken.push(serveConnections(handle, index, session));
    else if (handle instanceof DatagramSocket) taken.push(serveQuestions(handle, session));
  });
  return {
    close() {
      isClosed = true;
      for (const listener of taken.splice(0)) listener.close();
      if (child.connected) child.disconnect?.();
    },
  };
}

function closeHandle(handle: unknown): void {
  if (handle instanceof Server || handle instanceof DatagramSocket) handle.close();
}

function serveConnections(server: Server, index: number, session: EgressSession): { close(): void } {
  server.maxConnections = connectionsMax;
  server.on('connection', (socket: Socket) => {
    // A protocol may end one direction first; the gateway decides what that means.
    socket.allowHalfOpen = true;
    session.accept(index, socket);
  });
  server.on('error', () => {});
  return { close: () => server.close() };
}

function serveQuestions(socket: DatagramSocket, session: EgressSession): { close(): void } {
  let pending = 0;
  let isClosed = false;
  const answer = async (question: Uint8Array, from: RemoteInfo): Promise<void> => {
    const reply = await session.answerDns(question);
    if (reply !== undefined && !isClosed) socket.send(reply, from.port, from.address, () => {});
  };
  socket.on('error', () => {});
  socket.on('message', (question, from) => {
    if (pending >= questionsMax) return;
    pending++;
    void answer(question, from)
      .catch(() => {})
      .finally(() => pending--);
  });
  return {
    close() {
      isClosed = true;
      socket.close();
    },
  };
}
