/** Says one server name, and dials another host. A target is host:port:name, dialled as it is, or proxy=host:port:name through CONNECT. */
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import tls from 'node:tls';
import { report } from './report.mjs';

async function tunnel(host, port) {
  const request = http.request({ host: '127.0.0.1', port: 3128, method: 'CONNECT', path: `${host}:${port}`, agent: new http.Agent() });
  request.end();
  const [answer, socket] = await once(request, 'connect');
  if (answer.statusCode !== 200) throw new Error(`CONNECT was answered ${answer.statusCode}`);
  return socket;
}

await report(async (target) => {
  const [host, port, servername] = target.replace('proxy=', '').split(':');
  const socket = target.startsWith('proxy=') ? await tunnel(host, port) : net.connect(Number(port), host);
  const secure = tls.connect({ socket, servername, rejectUnauthorized: false });
  await once(secure, 'secureConnect');
  secure.destroy();
  return { status: 200, body: secure.servername };
});
