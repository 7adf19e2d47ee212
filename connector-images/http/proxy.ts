import { isIP } from 'node:net';
import { RequestError } from './errors.ts';
import { type PreparedUrl, prepareUrl } from './url.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The proxy that the environment names for this URL, by the rules of requests: `http_proxy`, `https_proxy`, `all_proxy`, `no_proxy`, any case. */
export function proxyFor(target: PreparedUrl, environment: Environment): PreparedUrl | undefined {
  const named = (name: string) => environment[name] ?? environment[name.toUpperCase()] ?? '';
  if (isExempt(target, named('no_proxy'))) return undefined;
  const proxy = named(`${target.scheme}_proxy`) || named('all_proxy');
  if (proxy === '') return undefined;
  const prepared = prepareUrl(/^[a-z0-9]+:\/\//i.test(proxy) ? proxy : `http://${proxy}`);
  if (prepared.scheme !== 'http') throw new RequestError('ProxyError', 'Only a proxy that is itself reached by http:// can be used.');
  return prepared;
}

function isExempt({ host, port }: PreparedUrl, list: string): boolean {
  return list
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*' || entry === host || entry === `${host}:${port}`) return true;
      if (isIP(host) !== 0) return inRange(host, entry);
      const suffix = entry.replace(/^\*?\.?/, '');
      return host === suffix || host.endsWith(`.${suffix}`) || `${host}:${port}`.endsWith(`.${suffix}`);
    });
}

/** `10.0.0.0/8`, for IPv4 as in requests. */
function inRange(host: string, entry: string): boolean {
  const [network = '', bits = ''] = entry.split('/');
  if (isIP(host) !== 4 || isIP(network) !== 4 || !/^\d{1,2}$/.test(bits) || Number(bits) > 32) return false;
  const size = 2 ** (32 - Number(bits));
  return Math.floor(toNumber(host) / size) === Math.floor(toNumber(network) / size);
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function proxyAuthorization({ credentials }: PreparedUrl): readonly (readonly [string, string])[] {
  if (credentials === undefined) return [];
  return [['Proxy-Authorization', `Basic ${Buffer.from(credentials.join(':'), 'latin1').toString('base64')}`]];
}
