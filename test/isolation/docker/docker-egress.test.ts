import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noAuditLog } from '../../../src/egress/audit.ts';
import { createEgressGateway, type EgressGateway } from '../../../src/egress/gateway.ts';
import { silentLogger } from '../../../src/log.ts';
import { networkRule } from '../../../src/manifest/host-pattern.ts';
import type { NetworkPolicy } from '../../../src/manifest/network.ts';
import { startEngineGuard } from '../../../src/runner/engine-guard/engine-guard.ts';
import { engineAddress, requireEngine, startRunner } from '../../helpers/docker-runner.ts';
import { asker, evaluatorImage } from './evaluator.ts';

const engine = await requireEngine();

describe.skipIf(engine === undefined).each([
  { how: 'a socket in a shared folder', shareFiles: true },
  { how: 'the sidecar’s own attach stream', shareFiles: false },
])('egress over $how', ({ shareFiles }) => {
  let image = '';
  let server: Server;
  let port = 0;
  let gateway: EgressGateway;
  let network: NetworkPolicy;

  beforeAll(async () => {
    if (engine === undefined) return;
    image = await evaluatorImage(engine);
    server = createServer({ allowHalfOpen: true }, answer).listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as { port: number }).port;
    gateway = createEgressGateway({ audit: noAuditLog, log: silentLogger });
    network = { type: 'rules', rules: [networkRule(`127.0.0.1:${port}`), networkRule('allowed.example:443')] };
  }, 180_000);

  afterAll(async () => {
    await gateway?.close();
    server?.close();
  });

  test('reaches what the rules allow, half-close included, and nothing else', async () => {
    await using under = await startRunner({ shareFiles, gateway });
    const ask = asker(await under.start(image, { network }));
    expect(await ask(`fetchText(${port}, '127.0.0.1', 'hello')`)).toBe('you said hello');
    expect(await ask(`fetchText(${port + 1}, '127.0.0.1', 'hello')`)).toBe('ECONNREFUSED');
    expect(await ask(`fetchText(80, '10.0.0.1', 'hello')`)).toBe('ENETUNREACH');
    expect(await ask(`fetchText(${port}, '172.17.0.1', 'hello')`)).toBe('ENETUNREACH');
    expect(await ask(`Object.keys(require('node:os').networkInterfaces())`.replace('require', 'process.getBuiltinModule'))).toEqual(['lo']);
  });

  test('carries many connections at once, and ten megabytes on each', async () => {
    await using under = await startRunner({ shareFiles, gateway });
    const ask = asker(await under.start(image, { network }));
    const bytes = 10 * 1024 * 1024;
    const expected = Array.from({ length: 8 }, () => bytes);
    expect(await ask(`Promise.all([1,2,3,4,5,6,7,8].map(() => download(${port}, '127.0.0.1', ${bytes})))`)).toEqual(expected);
  });

  test('a connection that the gateway refuses is reset, and the runner tells of it', async () => {
    await using under = await startRunner({ shareFiles, gateway });
    const ask = asker(await under.start(image, { network }));
    expect(await ask(`fetchText(${port}, '127.0.0.9', 'hello', true)`)).toBe('ECONNRESET');
    expect(under.notices).toEqual([expect.objectContaining({ code: 'egress_denied', message: expect.stringContaining('127.0.0.9') })]);
  });

  test('names are answered by the gateway: a rule’s own has a loopback address, any other does not exist', async () => {
    await using under = await startRunner({ shareFiles, gateway });
    const ask = asker(await under.start(image, { network }));
    expect(await ask(`dns.lookup('allowed.example').then((a) => a.address)`)).toMatch(/^127\./);
    expect(await ask(`dns.resolve4('allowed.example')`)).toEqual([expect.stringMatching(/^127\./)]);
    expect(await ask(`dns.resolve4('secret-data.exfil.example')`)).toMatch(/ENOTFOUND|EREFUSED|ESERVFAIL/);
  });

  test('a rule’s own address is reached by dialling it: it is routed to the sidecar, and nothing there keeps the right to do so', async () => {
    const own = ownAddress();
    const everywhere = createServer({ allowHalfOpen: true }, answer).listen(0, own);
    await once(everywhere, 'listening');
    const { port: ownPort } = everywhere.address() as { port: number };
    await using under = await startRunner({ shareFiles, gateway });
    const ask = asker(await under.start(image, { network: { type: 'rules', rules: [networkRule(`${own}:${ownPort}`)] } }));
    expect(await ask(`fetchText(${ownPort}, '${own}', 'hello')`)).toBe('you said hello');
    expect(await ask(`fetchText(${ownPort + 1}, '${own}', 'hello')`)).toBe('ECONNREFUSED');
    expect(await ask(`fetchText(80, '10.9.8.7', 'hello')`)).toBe('ENETUNREACH');
    const sidecar = under.engine.docker.getContainer((await under.containers()).find((name) => name.endsWith('-net'))?.slice(1) ?? '');
    const { Titles, Processes } = await sidecar.top({ ps_args: '-o pid,uid' });
    expect(Titles).toContain('UID');
    expect(Processes.map((row: readonly string[]) => row[Titles.indexOf('UID')])).toEqual(['10002']);
    const pid = Processes[0]?.[Titles.indexOf('PID')];
    expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(/CapInh:\t0+\nCapPrm:\t0+\nCapEff:\t0+\n/);
    everywhere.close();
  });

  test('proxy variables lead to the same gateway', async () => {
    await using under = await startRunner({ shareFiles, gateway });
    const ask = asker(await under.start(image, { network }));
    expect(await ask('process.env.HTTPS_PROXY')).toBe('http://127.0.0.1:3128');
    const connect = `fetchText(3128, '127.0.0.1', 'CONNECT denied.example:443 HTTP/1.1\\r\\nhost: denied.example:443\\r\\n\\r\\n')`;
    expect(await ask(connect)).toMatch(/^HTTP\/1.1 403/);
  });

  test('a sidecar that dies takes its connector along, and is named', async () => {
    await using under = await startRunner({ shareFiles, gateway });
    const process = await under.start(image, { network });
    const sidecar = (await under.containers()).find((name) => name.endsWith('-net')) ?? '';
    await under.engine.docker.getContainer(sidecar.slice(1)).kill();
    const { breach } = await process.exited;
    expect(breach).toMatchObject({ code: 'connector_crashed', message: expect.stringContaining('network sidecar ended') });
    expect(await under.containers()).toEqual([]);
  });
});

describe.skipIf(engine === undefined)('behind an engine guard, which lets no container begin as root', () => {
  test('a rule’s own address is reached through the proxy variables only', { timeout: 120_000 }, async () => {
    if (engine === undefined) return;
    const image = await evaluatorImage(engine);
    const folder = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
    const listen = join(folder, 'engine.sock');
    const engineSocket = new URL(engineAddress).pathname;
    await using _guard = await startEngineGuard({ listen, engineSocket, logger: silentLogger, architecture: process.arch });
    const gateway = createEgressGateway({ audit: noAuditLog, log: silentLogger });
    const own = ownAddress();
    const server = createServer({ allowHalfOpen: true }, answer).listen(0, own);
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    {
      await using under = await startRunner({ engine: `unix://${listen}`, gateway });
      const ask = asker(await under.start(image, { network: { type: 'rules', rules: [networkRule(`${own}:${port}`)] } }));
      expect(await ask(`fetchText(${port}, '${own}', 'hello')`)).toBe('ENETUNREACH');
      const place = `${own}:${port}`;
      const connect = `fetchText(3128, '127.0.0.1', 'CONNECT ${place} HTTP/1.1\\r\\nhost: ${place}\\r\\n\\r\\nhello')`;
      expect(await ask(connect)).toMatch(/^HTTP\/1.1 200.*you said hello$/s);
    }
    await gateway.close();
    server.close();
    await rm(folder, { recursive: true, force: true });
  });
});

/** An address of this machine that is not loopback. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? '';
}

function answer(socket: Socket): void {
  let text = '';
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('end', () => socket.end(text.startsWith('big ') ? Buffer.alloc(Number(text.slice(4))) : `you said ${text}`));
}
