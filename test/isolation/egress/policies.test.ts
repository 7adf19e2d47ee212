import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCliProcess, startServeProcess } from '../../helpers/cli-process.ts';
import { type Leftovers, nothingLeft, watchLeftovers } from '../../helpers/leftovers.ts';
import {
  type Client,
  expectDecisions,
  invokeAt,
  readAudit,
  type ServedEgress,
  serveEgress,
  toRunAnswer,
  writeEgressFiles,
} from './served-egress.ts';
import { startTestHosts, type TestHosts } from './test-hosts.ts';
import { startUpstream, type Upstream } from './upstream.ts';

/** A public address; the upstream proxy of the test leads every public address to the test hosts. */
const publicAddress = '8.8.8.8';
const leftovers: () => Promise<Leftovers> = watchLeftovers();

afterAll(async () => {
  expect(await leftovers()).toEqual(nothingLeft);
});

/** Names of the world outside as public and as private ones. */
function nameHosts(hosts: TestHosts): void {
  for (const name of ['one', 'two', 'mail']) hosts.answer(`${name}.public.example`, [publicAddress]);
  hosts.answer('private.public.example', ['10.1.2.3']);
  hosts.answer('metadata.public.example', ['169.254.169.254']);
}

describe('network: unrestricted', () => {
  let upstream: Upstream;
  let served: ServedEgress;
  beforeAll(async () => {
    upstream = await startUpstream();
    served = await serveEgress({
      connectors: () => ({ open: 'unrestricted', http: 'unrestricted' }),
      egress: () => ({ upstreamProxy: { url: upstream.url } }),
    });
    nameHosts(served.hosts);
  });
  afterAll(async () => {
    await served[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
  });

  it('reaches every public host, by its checked address and on record', async () => {
    const { http, tls } = served.hosts.ports;
    for (const [url, port] of [
      [`http://one.public.example:${http}/a`, http],
      [`https://two.public.example:${tls}/b`, tls],
    ] as const) {
      const answer = await served.invoke('http', 'GetRequestV2', { url });
      expect(answer).toMatchObject({ error: null, body: { url: new URL(url).pathname } });
      expect(upstream.asked.at(-1)).toBe(`${publicAddress}:${port}`);
      const host = new URL(url).hostname;
      await expectDecisions(served, answer.invocation, [
        { verdict: 'allow', reason: 'unrestricted', host, port, addresses: [publicAddress] },
      ]);
    }
  });

  it.each([
    ['a name in a private range', 'private.public.example', 'private'],
    ['a name of the metadata service', 'metadata.public.example', 'metadata'],
    ['a private address', '10.1.2.3', 'private'],
    ['this machine', '127.0.0.10', 'loopback'],
  ])('refuses %s, and tells it', async (_what, host, range) => {
    const { http } = served.hosts.ports;
    const before = [upstream.asked.length, served.hosts.connections()];
    const client: Client = host.startsWith('127.') ? 'node:tls' : 'curl';
    const target = client === 'curl' ? `http://${host}:${http}/` : `proxy=${host}:${http}:x`;
    const { logs, invocation } = await served.run('open', client, 'proxy', [target]);
    expect(logs).toContainEqual(expect.stringMatching(new RegExp(`^egress_denied: ${host}:${http} .*refused range \\(.*${range}`)));
    await expectDecisions(served, invocation, [{ verdict: 'deny', reason: 'refused_address', host, port: http }]);
    expect([upstream.asked.length, served.hosts.connections()]).toEqual(before);
  });
});

describe('network: none', () => {
  let served: ServedEgress;
  beforeAll(async () => {
    served = await serveEgress({ connectors: () => ({ closed: 'none', http: 'none' }) });
  });
  afterAll(async () => {
    await served[Symbol.asyncDispose]();
  });

  const webClients: readonly Client[] = ['node fetch', 'node:http', 'python urllib', 'python requests', 'curl', 'java'];
  it.each(webClients)('%s fails at once, whatever it asks for', async (client) => {
    const { http, tls } = served.hosts.ports;
    const hosts = [
      `http://api.test.example:${http}/`,
      `https://api.test.example:${tls}/`,
      `http://127.0.0.10:${http}/`,
      'http://192.0.2.1/',
    ];
    const { results } = await served.run('closed', client, 'proxy', hosts);
    expect(results).toMatchObject(hosts.map(() => ({ ok: false, error: expect.stringMatching(/\S/) })));
    for (const { ms } of results) expect(ms).toBeLessThan(2_000);
    expect(served.hosts.connections()).toBe(0);
    expect(served.hosts.questions).toEqual([]);
  });

  it.each(['python smtplib', 'python socket', 'node:net', 'perl socket'] as const)('%s fails at once', async (client) => {
    const { raw } = served.hosts.ports;
    const targets = [`api.test.example:${raw}:1`, `127.0.0.10:${raw}:1`, `192.0.2.1:${raw}:1`];
    const { results } = await served.run('closed', client, 'direct', targets);
    expect(results).toMatchObject(targets.map(() => ({ ok: false, error: expect.stringMatching(/\S/) })));
    for (const { ms } of results) expect(ms).toBeLessThan(2_000);
    expect(served.hosts.connections()).toBe(0);
  });

  it('is a clean error of the http connector', async () => {
    const url = `http://api.test.example:${served.hosts.ports.http}/`;
    // The first one starts the worker.
    await served.invoke('http', 'GetRequestV2', { url });
    const began = performance.now();
    const { error } = await served.invoke('http', 'GetRequestV2', { url });
    expect(error).toMatchObject({ error_code: 'ConnectionError', message: expect.stringContaining('Failed to resolve') });
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});

describe('network: observe, then policy suggest', () => {
  it('proposes the smallest rules for what was used; private ranges stay refused and are shown', async () => {
    await using hosts = await startTestHosts();
    await using upstream = await startUpstream();
    nameHosts(hosts);
    const { http, tls } = hosts.ports;
    const granted = [`one.public.example:${http}`, 'unused.public.example:443'];
    const egress = () => ({ upstreamProxy: { url: upstream.url } });
    using files = writeEgressFiles(hosts, { connectors: () => ({ http: { observe: granted }, watched: 'observe' }), egress });
    {
      await using serve = await startServeProcess(['--config', files.config]);
      const get = (url: string) => invokeAt(serve.url, 'http/GetRequestV2', { url });
      for (const url of [`http://one.public.example:${http}/`, `https://two.public.example:${tls}/`, `http://two.public.example:${http}/`])
        expect(await get(url)).toMatchObject({ error: null, body: { method: 'GET' } });
      const refused = await get(`http://private.public.example:${http}/`);
      expect(refused.error?.message).toContain(
        `private.public.example:${http} resolves to 10.1.2.3, which is in a refused range (private)`,
      );
      expect(refused.logs).toContainEqual(expect.stringMatching(/^egress_denied: private\.public\.example/));
      const run = await invokeAt(serve.url, 'watched/Run', {
        client: 'curl',
        via: 'proxy',
        targets: [`https://mail.public.example:${tls}/`],
      });
      expect(toRunAnswer(run).results).toMatchObject([{ ok: true }]);
      serve.child.kill('SIGTERM');
      expect(await serve.exited).toBe(0);
    }
    const observed = readAudit(files.auditFolder).filter((record) => record.type === 'decision' && record.reason === 'observed');
    expect(observed).toMatchObject([tls, http, tls].map((port) => ({ verdict: 'allow', port })));

    const suggest = async (name: string) =>
      JSON.parse((await runCliProcess(['policy', 'suggest', name, '--config', files.config, '--json'])).stdout);
    const ports = [http, tls].toSorted((a, b) => a - b).join(',');
    expect(await suggest('http')).toEqual({
      rules: [`one.public.example:${http}`, `two.public.example:${ports}`],
      unused: ['unused.public.example:443'],
      refused: [{ host: 'private.public.example', port: http, reason: 'refused_address', count: 1 }],
    });
    expect(await suggest('watched')).toEqual({ rules: [`mail.public.example:${tls}`], unused: [], refused: [] });

    const verified = await runCliProcess(['audit', 'verify', '--config', files.config]);
    expect(verified).toMatchObject({ exitCode: 0 });
  });

  it('proposes rules that suffice: with them the same calls go through, and nothing else', async () => {
    await using hosts = await startTestHosts();
    await using upstream = await startUpstream();
    nameHosts(hosts);
    const { http, tls } = hosts.ports;
    const egress = () => ({ upstreamProxy: { url: upstream.url } });
    using files = writeEgressFiles(hosts, { connectors: () => ({ watched: 'observe' }), egress });
    const calls = (['proxy', 'direct'] as const).map((via) => ({ client: 'curl', via, targets: [`https://two.public.example:${tls}/`] }));
    {
      await using serve = await startServeProcess(['--config', files.config]);
      expect(toRunAnswer(await invokeAt(serve.url, 'watched/Run', calls[0])).results).toMatchObject([{ ok: true }]);
    }
    const { stdout } = await runCliProcess(['policy', 'suggest', 'watched', '--config', files.config]);
    expect(stdout).toBe(`connectors:\n  watched:\n    network: ["two.public.example:${tls}"]\n`);
    const rules = JSON.parse(/network: (.*)/.exec(stdout)?.[1] ?? '[]') as string[];
    using granted = writeEgressFiles(hosts, { connectors: () => ({ watched: rules }), egress });
    await using serve = await startServeProcess(['--config', granted.config]);
    for (const call of calls) expect(toRunAnswer(await invokeAt(serve.url, 'watched/Run', call)).results).toMatchObject([{ ok: true }]);
    const other = { ...calls[0], targets: [`http://two.public.example:${http}/`, `https://one.public.example:${tls}/`] };
    expect(toRunAnswer(await invokeAt(serve.url, 'watched/Run', other)).results).toMatchObject([{ status: 403 }, { ok: false }]);
  });
});
