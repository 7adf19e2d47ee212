import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { hostAddress } from './test-hosts.ts';

export interface Upstream extends AsyncDisposable {
  /** For server.egress.upstreamProxy.url. */
  readonly url: string;
  /** What it was asked to connect to. */
  readonly asked: readonly string[];
}

/**
 * A corporate proxy in front of a world of public addresses: whatever address it is asked for, the test host with that port answers.
 * So public addresses are reached, and not a packet leaves the machine.
 */
export async function startUpstream(): Promise<Upstream> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer();
  server.on('connection', (socket: Socket) => void sockets.add(socket.on('error', () => {}).once('close', () => sockets.delete(socket))));
  server.on('connect', ({ url = '' }: IncomingMessage, client: Socket) => {
    asked.push(url);
    const target = connect(Number(url.split(':').at(-1)), hostAddress, () => client.write('HTTP/1.1 200 OK\r\n\r\n'));
    sockets.add(target);
    target.on('error', () => client.destroy()).once('close', () => sockets.delete(target));
    client.once('close', () => target.destroy());
    target.pipe(client).pipe(target);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}
