import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Leftovers, nothingLeft, watchLeftovers } from '../../helpers/leftovers.ts';
import { type Client, ends, expectDecisions, type ServedEgress, serveEgress } from './served-egress.ts';
import { hostAddress } from './test-hosts.ts';

/** Programs that know nothing of this project, in the sandbox, each with and without the proxy variables, with exact and wildcard rules. */
let served: ServedEgress;
let leftovers: () => Promise<Leftovers>;

beforeAll(async () => {
  leftovers = watchLeftovers();
  served = await serveEgress({
    connectors: ({ ports }) => {
      const all = Object.values(ports).join(',');
      return {
        exact: [`api.test.example:${all}`, `${hostAddress}/32:${all}`],
        wildcard: [`*.test.example:${all}`, `${hostAddress}:${all}`],
      };
    },
  });
});

afterAll(async () => {
  await served[Symbol.asyncDispose]();
  expect(await leftovers()).toEqual(nothingLeft);
});

const webClients: readonly Client[] = ['node fetch', 'node:http', 'python urllib', 'python requests', 'curl', 'java'];
const ways = (['proxy', 'direct'] as const).flatMap((via) => (['exact', 'wildcard'] as const).map((rule) => ({ via, rule })));

describe.each(ways)('$via, $rule rule', ({ via, rule }) => {
  it.each(webClients)('%s speaks HTTP and TLS with the host that is allowed, and is refused another', async (client) => {
    const { http, tls } = served.hosts.ports;
    const denied = `https://api.evil.example:${tls}/`;
    const targets = [`http://api.test.example:${http}/plain`, `https://api.test.example:${tls}/secure`, denied];
    const { results, logs, invocation } = await served.run(rule, client, via, targets);
    expect(results).toMatchObject([
      { ok: true, status: 200, body: expect.stringContaining('"/plain"') },
      { ok: true, status: 200, body: expect.stringContaining('"/secure"') },
      { ok: false, error: expect.stringMatching(/\S/) },
    ]);
    expect(results[2]?.ms).toBeLessThan(5_000);

    const place = via === 'proxy' ? `api.evil.example:${tls}` : 'api.evil.example';
    const add = via === 'proxy' ? 'add it' : 'add it with its port';
    const told = `${place} is not in the rules of connector ${rule}; ${add} under connectors.${rule}.network`;
    expect(logs).toContain(`egress_denied: ${told}`);
    expect(served.log.filter(({ message }) => message === told)).toContainEqual(
      expect.objectContaining({ connector: rule, code: 'egress_denied' }),
    );
    const way = { proxy: ['http', 'connect'], direct: ['host', 'host'] }[via];
    const text = rule === 'exact' ? `api.test.example:` : '*.test.example:';
    await expectDecisions(served, invocation, [
      { verdict: 'allow', via: way[0], host: 'api.test.example', port: http, rule: expect.stringContaining(text) },
      { verdict: 'allow', via: way[1], host: 'api.test.example', port: tls, rule: expect.stringContaining(text) },
      { verdict: 'deny', reason: 'not_in_rules', host: 'api.evil.example', port: via === 'proxy' ? tls : 0 },
    ]);
    const found = await ends(served, invocation);
    expect(found.toSorted((a, b) => Number(a.port === tls) - Number(b.port === tls))).toMatchObject([
      { address: hostAddress, port: http, bytesReceived: expect.toSatisfy((bytes: number) => bytes > 100) },
      { address: hostAddress, port: tls, serverName: 'api.test.example' },
    ]);
  });
});
