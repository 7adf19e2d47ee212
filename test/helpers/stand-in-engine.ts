import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';

/** A listener in an engine's place, for what a real one does not do when it is asked to: to refuse, to hang, to answer oddly. */
export interface StandInEngine extends AsyncDisposable {
  readonly address: string;
  readonly socketPath: string;
  /** Connections to it that are open. */
  connections(): Promise<number>;
}

export async function startStandIn(
  listener: RequestListener,
  onUpgrade?: (request: IncomingMessage, socket: Duplex) => void,
): Promise<StandInEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'bulkhead-stand-in-'));
  const socketPath = join(folder, 'socket');
  const server = createServer(listener).listen(socketPath);
  if (onUpgrade !== undefined) server.on('upgrade', onUpgrade);
  await once(server, 'listening');
  return {
    address: `unix://${socketPath}`,
    socketPath,
    connections: () => new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count)))),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
}
