// Makes the listeners like prelude.pl, for machines without Perl: some 60 ms slower, because Node is. The shell around it does the rest.
// usage: node listen.mjs route:203.0.113.0/24 tcp:0.0.0.0:443 udp:127.0.0.1:53
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

let index = 0;
for (const word of process.argv.slice(2)) {
  const [, kind, rest] = /^(route|tcp|udp):(.*)$/.exec(word);
  if (kind === 'route') addLocalRoute(rest);
  else await handOver(await listener(kind, rest), index++);
}
process.disconnect();
// The listeners are open here too; their namespace lives on in the proxy’s copies.
process.exit(0);

async function listener(kind, rest) {
  const [, address, port] = /^(.*):(\d+)$/.exec(rest);
  const socket = kind === 'udp' ? createSocket(address.includes(':') ? 'udp6' : 'udp4') : createServer({ pauseOnConnect: true });
  if (kind === 'udp') socket.bind(Number(port), address);
  else socket.listen({ host: address, port: Number(port), backlog: 64, exclusive: true });
  await once(socket, 'listening');
  return socket;
}

async function handOver(socket, index) {
  await new Promise((resolve, reject) => process.send({ index }, socket, (error) => (error ? reject(error) : resolve())));
}

function addLocalRoute(address) {
  const { status, stderr } = spawnSync('/usr/sbin/ip', ['route', 'add', 'local', address, 'dev', 'lo'], { encoding: 'utf8' });
  if (status !== 0)
    process.stderr.write(`no local route for ${address}: ${stderr ?? 'the program ip is missing; install iproute2 or perl'}\n`);
}
