/** The limit for large bodies: node:http that writes back the bytes it got, without looking at them. */
import { createServer } from 'node:http';
import { announce } from './announce.ts';

const server = createServer((incoming, outgoing) => {
  const chunks: Buffer[] = [];
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
  incoming.on('end', () => {
    const body = Buffer.concat(chunks);
    outgoing.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    outgoing.end(body);
  });
});
server.listen(0, '127.0.0.1', () => announce(server));
