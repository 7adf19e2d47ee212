import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Leftovers, nothingLeft, watchLeftovers } from '../../helpers/leftovers.ts';
import { type Answer, expectDecisions, type ServedEgress, serveEgress } from './served-egress.ts';
import { hostAddress } from './test-hosts.ts';

let leftovers: () => Promise<Leftovers>;
let served: ServedEgress;

interface V2Body {
  readonly method: string;
  readonly url: string;
  readonly host: string;
  readonly body: string;
}

const bodyOf = ({ body }: Answer) => body as V2Body;
const get = (url: string) => served.invoke('http', 'GetRequestV2', { url });

describe.each([
  { rule: 'exact', host: 'api.test.example' },
  { rule: 'wildcard', host: '*.test.example' },
])('the http connector with $rule rules', ({ host }) => {
  beforeAll(async () => {
    leftovers = watchLeftovers();
    served = await serveEgress({
      connectors: ({ ports }) => ({ http: [`${host}:${ports.http},${ports.tls}`, `${hostAddress}/32:${ports.http},${ports.tls}`] }),
    });
  });
  afterAll(async () => {
    await served[Symbol.asyncDispose]();
    expect(await leftovers()).toEqual(nothingLeft);
  });

  const url = (scheme: 'http' | 'https', path: string, name = 'api.test.example') => {
    const { ports } = served.hosts;
    return `${scheme}://${name}:${scheme === 'http' ? ports.http : ports.tls}${path}`;
  };

  it.each(['http', 'https'] as const)('gets and posts over %s, on record with the invocation', async (scheme) => {
    const { ports } = served.hosts;
    const got = await get(url(scheme, '/a?b=c'));
    expect(got).toMatchObject({ status: 200, error: null });
    expect(bodyOf(got)).toMatchObject({ method: 'GET', url: '/a?b=c' });
    const posted = await served.invoke('http', 'PostRequestV2', { url: url(scheme, '/post'), data: { n: 1 } });
    expect(bodyOf(posted)).toMatchObject({ method: 'POST', url: '/post', body: '{"n": 1}' });
    const port = scheme === 'http' ? ports.http : ports.tls;
    const rule = `${host}:${[ports.http, ports.tls].toSorted((a, b) => a - b).join(',')}`;
    for (const { invocation } of [got, posted]) {
      await expectDecisions(served, invocation, [{ verdict: 'allow', connector: 'http', host: 'api.test.example', port, rule }]);
    }
  });

  it.each(['http', 'https'] as const)('is told of a denial over %s: in the answer, the log and the audit log', async (scheme) => {
    const port = served.hosts.ports[scheme === 'http' ? 'http' : 'tls'];
    const answer = await get(url(scheme, '/', 'api.foo.example'));
    const told = `api.foo.example:${port} is not in the rules of connector http; add it under connectors.http.network`;
    expect(answer.error).toMatchObject({ error_code: 'ProxyError', message: expect.stringContaining(told) });
    expect(answer.logs).toContain(`egress_denied: ${told}`);
    expect(served.log.filter(({ message }) => message === told)).toMatchObject([{ connector: 'http', code: 'egress_denied' }]);
    await expectDecisions(served, answer.invocation, [
      { verdict: 'deny', reason: 'not_in_rules', host: 'api.foo.example', port, invocations: [answer.invocation] },
    ]);
    expect(served.hosts.questions).not.toContain('api.foo.example');
  });

  it.each(['http', 'https'] as const)('follows a redirect to an allowed host over %s, and not to a forbidden one', async (scheme) => {
    const followed = await get(url('http', `/redirect/${encodeURIComponent(url(scheme, '/there'))}`));
    expect(bodyOf(followed)).toMatchObject({ url: '/there' });
    const before = served.hosts.connections();
    const answer = await get(url('http', `/redirect/${encodeURIComponent(url(scheme, '/there', 'forbidden.example'))}`));
    const port = served.hosts.ports[scheme === 'http' ? 'http' : 'tls'];
    const told = `forbidden.example:${port} is not in the rules of connector http; add it under connectors.http.network`;
    expect(answer.error).toMatchObject({ error_code: 'ProxyError', message: expect.stringContaining(told) });
    await expectDecisions(served, answer.invocation, [
      { verdict: 'allow', host: 'api.test.example' },
      { verdict: 'deny', host: 'forbidden.example', port },
    ]);
    expect(served.hosts.connections()).toBe(before + 1);
  });

  it('is not led to the metadata service by a redirect', async () => {
    const answer = await get(url('http', `/redirect/${encodeURIComponent('http://169.254.169.254/latest/meta-data')}`));
    expect(answer.error).toMatchObject({
      error_code: 'ProxyError',
      message: expect.stringContaining('169.254.169.254:80 is not in the rules'),
    });
  });

  it('cannot be reached with a certificate of nobody it trusts: the authority comes from the config alone', async () => {
    const wrong = await get(url('https', '/', hostAddress));
    expect(wrong.error).toMatchObject({ error_code: 'SSLError', message: expect.stringContaining('certificate verify failed') });
  });

  it('tells a host that is allowed and not there apart from one that is denied', async () => {
    served.hosts.answer('api.test.example', []);
    for (const scheme of ['http', 'https'] as const) {
      const { error, logs } = await get(url(scheme, '/'));
      expect(error).toMatchObject({
        error_code: 'ProxyError',
        message: expect.stringMatching(/502 .*api\.test\.example cannot be resolved/),
      });
      expect(logs.filter((line) => line.includes('egress_denied'))).toEqual([]);
    }
  });
});
