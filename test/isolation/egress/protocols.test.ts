import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Leftovers, nothingLeft, watchLeftovers } from '../../helpers/leftovers.ts';
import { type Client, ends, expectDecisions, type ServedEgress, serveEgress } from './served-egress.ts';
import { hostAddress } from './test-hosts.ts';

/** Protocols whose clients know no proxy, names that change their addresses, and TLS for another host than the one dialled. */
let served: ServedEgress;
let leftovers: () => Promise<Leftovers>;

beforeAll(async () => {
  leftovers = watchLeftovers();
  served = await serveEgress({
    connectors: ({ ports }) => {
      const all = Object.values(ports).join(',');
      const names = ['api', 'first', 'second', 'mixed', 'metadata', 'inside'].map((name) => `${name}.test.example:${all}`);
      return {
        exact: [...names, `${hostAddress}/32:${all}`],
        wildcard: [`*.test.example:${all}`, `${hostAddress}:${all}`],
      };
    },
  });
});

afterAll(async () => {
  await served[Symbol.asyncDispose]();
  expect(await leftovers()).toEqual(nothingLeft);
});

const bothRules = ['exact', 'wildcard'] as const;

describe.each(bothRules)('a client that knows no proxy, %s rule', (rule) => {
  it('sends mail with smtplib, plain and with STARTTLS', async () => {
    const { ports, mails } = served.hosts;
    const before = mails.length;
    const targets = [`api.test.example:${ports.smtp}`, `api.test.example:${ports.smtp}:starttls`];
    const { results, invocation } = await served.run(rule, 'python smtplib', 'proxy', targets);
    expect(results).toMatchObject([
      { ok: true, body: '{}' },
      { ok: true, body: '{}' },
    ]);
    expect(mails.slice(before)).toMatchObject([
      { isEncrypted: false, lines: expect.arrayContaining(['Subject: A mail', 'Hello from a client that knows no proxy']) },
      { isEncrypted: true, lines: expect.arrayContaining(['Subject: A mail']) },
    ]);
    await expectDecisions(
      served,
      invocation,
      targets.map(() => ({ verdict: 'allow', via: 'host', port: ports.smtp })),
    );
  });

  it.each(['python socket', 'node:net', 'perl socket'] as const)(
    'speaks a raw protocol (%s), every byte counted',
    async (client: Client) => {
      const { raw } = served.hosts.ports;
      const { results, invocation } = await served.run(rule, client, 'direct', [`api.test.example:${raw}:70000`]);
      expect(results).toMatchObject([{ ok: true, body: 'READY', status: 70_000 }]);
      const [sent, received] = ['GIVE 70000\n', 'READY\n'].map((line) => line.length);
      const told = { connector: rule, host: 'api.test.example', port: raw, bytesSent: sent, bytesReceived: 70_000 + received! };
      // On a busy machine the connector may be seen to be gone before its connection is.
      expect(await ends(served, invocation)).toMatchObject([{ ...told, end: expect.stringMatching(/^(?:session_)?closed$/) }]);
    },
  );

  it('is refused at once where it dials another port, another name, or a literal address', async () => {
    const { smtp, raw } = served.hosts.ports;
    const before = served.hosts.connections();
    const targets = [`api.test.example:${raw + 1 === smtp ? raw + 2 : raw + 1}:1`, `api.evil.example:${raw}:1`, `192.0.2.1:${raw}:1`];
    const { results, logs } = await served.run(rule, 'python socket', 'direct', targets);
    expect(results).toMatchObject([
      { ok: false, error: expect.stringContaining('ConnectionRefusedError') },
      { ok: false, error: expect.stringContaining('gaierror') },
      { ok: false, error: expect.stringContaining('unreachable') },
    ]);
    expect(Math.max(...results.map(({ ms }) => ms))).toBeLessThan(2_000);
    expect(logs).toContainEqual(expect.stringMatching(/^egress_denied: api\.evil\.example is not in the rules of connector/));
    expect(served.hosts.connections()).toBe(before);
  });
});

describe.each(bothRules)('names that are allowed and lead elsewhere, %s rule', (rule) => {
  it('are resolved anew for each connection, once, and the checked address is the one that is dialled', async () => {
    const { raw } = served.hosts.ports;
    const addresses = [hostAddress, '127.0.0.1'];
    served.hosts.answer('first.test.example', () => [addresses.shift() ?? '10.0.0.1']);
    const before = served.hosts.questions.length;
    const target = `first.test.example:${raw}:5`;
    const { results, logs, invocation } = await served.run(rule, 'python socket', 'direct', [target, target, target]);
    expect(results.map(({ ok }) => ok)).toEqual([true, false, false]);
    expect(served.hosts.questions.slice(before)).toEqual(Array.from({ length: 3 }, () => 'first.test.example'));
    await expectDecisions(served, invocation, [
      { verdict: 'allow', addresses: [hostAddress] },
      { verdict: 'deny', reason: 'refused_address' },
      { verdict: 'deny', reason: 'refused_address' },
    ]);
    const range = `first.test.example:${raw} resolves to 10.0.0.1, which is in a refused range (private)`;
    expect(logs).toContainEqual(expect.stringContaining(`egress_denied: ${range}`));
  });

  it.each([
    ['metadata', ['169.254.169.254']],
    ['inside', ['127.0.0.1']],
    ['mixed', [hostAddress, '169.254.169.254']],
  ])('are refused: %s, at %j', async (name, addresses) => {
    const { tls, raw } = served.hosts.ports;
    served.hosts.answer(`${name}.test.example`, addresses);
    const before = served.hosts.connections();
    const direct = await served.run(rule, 'python socket', 'direct', [`${name}.test.example:${raw}:5`]);
    const proxied = await served.run(rule, 'curl', 'proxy', [`https://${name}.test.example:${tls}/`]);
    for (const { results, logs, invocation } of [direct, proxied]) {
      expect(results).toMatchObject([{ ok: false }]);
      expect(logs).toContainEqual(expect.stringContaining(`${name}.test.example`));
      await expectDecisions(served, invocation, [{ verdict: 'deny', reason: 'refused_address', host: `${name}.test.example` }]);
    }
    expect(served.hosts.connections()).toBe(before);
  });
});

describe.each(bothRules)('TLS for another host than the one dialled, %s rule', (rule) => {
  it.each(['', 'proxy='])('is refused before a byte of it goes out (%j)', async (way) => {
    const { tls } = served.hosts.ports;
    const targets = [`${way}api.test.example:${tls}:api.test.example`, `${way}api.test.example:${tls}:fronted.example`];
    const { results, logs, invocation } = await served.run(rule, 'node:tls', 'direct', targets);
    expect(results).toMatchObject([{ ok: true }, { ok: false }]);
    const told = `TLS for fronted.example was sent to api.test.example:${tls} by connector ${rule}; its server name must be api.test.example`;
    expect(logs).toContain(`egress_denied: ${told}`);
    await expectDecisions(served, invocation, [
      { verdict: 'allow', host: 'api.test.example' },
      { verdict: 'allow', host: 'api.test.example' },
      { verdict: 'deny', reason: 'server_name_mismatch', serverName: 'fronted.example', host: 'api.test.example', port: tls },
    ]);
    expect(await ends(served, invocation)).toContainEqual(expect.objectContaining({ end: 'denied', bytesSent: 0 }));
  });

  it('is refused where the name is allowed too, but is not the one dialled', async () => {
    const { tls } = served.hosts.ports;
    const { results, logs } = await served.run(rule, 'node:tls', 'direct', [`api.test.example:${tls}:second.test.example`]);
    expect(results).toMatchObject([{ ok: false }]);
    expect(logs).toContainEqual(expect.stringContaining('egress_denied: TLS for second.test.example was sent to api.test.example'));
  });
});
