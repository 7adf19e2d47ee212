import { domainToASCII } from 'node:url';
import { RequestError } from './errors.ts';

/** A checked URL in the parts that a request needs. `url` is the whole, as requests would show it. */
export interface PreparedUrl {
  readonly url: string;
  readonly scheme: 'http' | 'https';
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** As in the Host header. */
  readonly netloc: string;
  /** Path with query, never empty. */
  readonly path: string;
  readonly credentials?: readonly [user: string, password: string];
}

const partsPattern = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/([^/?#\\]*))?([^?#]*)(?:\?([^#]*))?(?:#([\s\S]*))?$/;
const authorityPattern = /^(?:([\s\S]*)@)?(\[[0-9a-fA-F:.%]+\]|[^[\]:]*)(?::([0-9]{0,5}))?$/;

/** The rules of requests' `prepare_url`, and its errors. `query` is appended to the URL's own. */
export function prepareUrl(given: string, query = ''): PreparedUrl {
  const text = given.trimStart();
  // Whatever has a colon and is not http(s) is left alone, and nobody can send it.
  if (text.includes(':') && !text.toLowerCase().startsWith('http')) throw noAdapter(text);
  const [, scheme, authority = '', path = '', own = '', fragment] = partsPattern.exec(text) ?? [];
  if (scheme === undefined)
    throw new RequestError('MissingSchema', `Invalid URL '${text}': No scheme supplied. Perhaps you meant https://${text}?`);
  const [, userinfo, rawHost = '', portText] = authorityPattern.exec(authority) ?? fail(text);
  if (rawHost === '') throw new RequestError('InvalidURL', `Invalid URL '${text}': No host supplied`);
  const host = asciiHost(rawHost);
  const port = portText === undefined || portText === '' ? undefined : Number(portText);
  if (port !== undefined && port > 65_535) fail(text);
  const lower = scheme.toLowerCase();
  const netloc = port === undefined ? host : `${host}:${port}`;
  const target = encode(removeDots(path)) || '/';
  const fullQuery = [encode(own), encode(query, '[]')].filter((part) => part !== '').join('&');
  const encodedQuery = fullQuery === '' ? '' : `?${fullQuery}`;
  const auth = userinfo === undefined ? '' : `${encode(userinfo)}@`;
  const url = `${lower}://${auth}${netloc}${target}${encodedQuery}${fragment ? `#${encode(fragment)}` : ''}`;
  if (lower !== 'http' && lower !== 'https') throw noAdapter(url);
  return {
    url,
    scheme: lower,
    host: host.replace(/^\[|\]$/g, ''),
    port: port ?? (lower === 'https' ? 443 : 80),
    netloc,
    path: `${target}${encodedQuery}`,
    ...(userinfo === undefined ? {} : { credentials: credentialsOf(userinfo) }),
  };
}

function noAdapter(url: string): RequestError {
  return new RequestError('InvalidSchema', `No connection adapters were found for '${url}'`);
}

function fail(text: string): never {
  throw new RequestError('InvalidURL', `Failed to parse: ${text}`);
}

function asciiHost(host: string): string {
  if (host.startsWith('[')) return host.toLowerCase();
  if (/^[*.]/.test(host)) throw new RequestError('InvalidURL', 'URL has an invalid label.');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII
  if (/^[\x00-\x7f]*$/.test(host)) return encode(host.toLowerCase());
  const ascii = domainToASCII(host);
  if (ascii === '') throw new RequestError('InvalidURL', 'URL has an invalid label.');
  return ascii;
}

function credentialsOf(userinfo: string): readonly [string, string] {
  const [user = '', ...password] = userinfo.split(':');
  return [unquote(user), unquote(password.join(':'))];
}

function unquote(text: string): string {
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString());
}

/** Removes `.` and `..` as RFC 3986 does. */
function removeDots(path: string): string {
  if (!/(?:^|\/)\.{1,2}(?:\/|$)/.test(path)) return path;
  const kept: string[] = [];
  const segments = path.split('/');
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1;
    if (segment === '..') {
      if (kept.length > 1) kept.pop();
    } else if (segment !== '.') kept.push(segment);
    if (last && (segment === '.' || segment === '..')) kept.push('');
  }
  return kept.join('/');
}

const unreserved = /[A-Za-z0-9\-._~]/;

/** Escapes what a URL cannot hold, keeps what it can, and unescapes what need not be escaped. */
function encode(text: string, alsoKept = ''): string {
  const wholly = [...text.matchAll(/%(?![0-9a-fA-F]{2})/g)].length > 0;
  const bytes = Buffer.from(text);
  let out = '';
  for (let at = 0; at < bytes.length; at += 1) {
    const c = String.fromCharCode(bytes[at] as number);
    if (c === '%' && !wholly) {
      const plain = String.fromCharCode(Number.parseInt(bytes.toString('latin1', at + 1, at + 3), 16));
      out += unreserved.test(plain) ? plain : `%${bytes.toString('latin1', at + 1, at + 3).toUpperCase()}`;
      at += 2;
    } else
      out +=
        unreserved.test(c) || "!#$&'()*+,/:;=?@".includes(c) || alsoKept.includes(c)
          ? c
          : `%${(bytes[at] as number).toString(16).padStart(2, '0').toUpperCase()}`;
  }
  return out;
}

/** A form-encoded name or value, as Python's `quote_plus`. */
export function quotePlus(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}
