import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** An engine that takes its time to make a container, and makes it also when whoever asked has left: the tests' own behind a relay. */
export interface SlowEngine extends AsyncDisposable {
  readonly address: string;
  /** Resolves when it has been asked to make one. */
  readonly asked: Promise<void>;
  /** Resolves when it has made it. */
  readonly made: Promise<void>;
}

/** `held`: what it waits for before it begins to make one. */
export async function startSlowEngine(socketPath: string, held: Promise<unknown>): Promise<SlowEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'bulkhead-slow-engine-'));
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const { promise: made, resolve: make } = Promise.withResolvers<void>();
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const engine = connect(socketPath);
    for (const socket of [client, engine]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    engine.pipe(client);
    let passedOn: Promise<unknown> = Promise.resolve();
    let isAsking = false;
    client.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1');
      if (/^POST \S*\/containers\/create/.test(text)) {
        isAsking = true;
        passedOn = passedOn.then(() => held).then(() => engine.once('data', () => make()).resume());
      }
      // With its body, which may come in a chunk of its own.
      if (isAsking && !text.endsWith('\r\n\r\n')) ask();
      passedOn = passedOn.then(() => engine.write(chunk));
    });
  });
  server.listen(join(folder, 'socket'));
  await once(server, 'listening');
  return {
    address: `unix://${join(folder, 'socket')}`,
    asked,
    made,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
}
