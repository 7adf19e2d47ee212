/** The same as raw_client.py, in Node. */
import { once } from 'node:events';
import net from 'node:net';
import { report } from './report.mjs';

await report(async (target) => {
  const [host, port, count] = target.split(':');
  const socket = net.connect(Number(port), host);
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk) => {
    if (text === '') socket.write(`GIVE ${count}\n`);
    text += chunk;
  });
  await once(socket, 'end');
  socket.destroy();
  const [greeting, ...rest] = text.split('\n');
  return { body: greeting, status: rest.join('\n').length };
});
