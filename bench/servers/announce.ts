import type { AddressInfo, Server } from 'node:net';

/** Tells whoever started this process where it listens, and ends it when that one goes. */
export function announce(server: Pick<Server, 'address'>): void {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}` })}\n`);
  process.stdin.resume().once('end', () => process.exit());
  process.once('SIGTERM', () => process.exit());
}
