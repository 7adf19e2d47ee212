/**
 * Network rules: what a manifest requests and a config grants. Forms: `host:port`, `*.suffix:port`, `IPv4:port`, `[IPv6]:port`,
 * `IPv4/prefix:port`, `[IPv6/prefix]:port`; the port may be a list (`443,8443`) and hold ranges (`8000-8100`).
 * A doubtful rule is refused when it is read, never interpreted: two spellings of one host are how filters are walked around.
 */
import { isIPv6 } from 'node:net';
import { domainToASCII, domainToUnicode } from 'node:url';

/** Characters of one rule. */
export const ruleCharsMax = 512;
/** Ports and ranges of one rule. */
export const rulePortsMax = 32;

/** Widest CIDR blocks a rule may name: 10.0.0.0/8 and fc00::/7 fit, half of the internet does not. */
const prefixMin = { 4: 8, 6: 7 } as const;

/** Made by parseNetworkRule only, so whoever holds one may trust it. Plain data. */
export interface NetworkRule {
  /** The canonical form: what logs, audit records and `policy suggest` show. */
  readonly text: string;
  readonly host: RuleHost;
  /** Ascending, neither overlapping nor adjacent. */
  readonly ports: readonly PortRange[];
  readonly [networkRuleBrand]: true;
}
declare const networkRuleBrand: unique symbol;

export type RuleHost =
  /** A lower-case ASCII name. */
  | { readonly type: 'exact'; readonly name: string }
  /** `*.example.com` has the suffix `example.com`: it covers names of any depth below it, not the suffix itself. */
  | { readonly type: 'suffix'; readonly suffix: string }
  /** Dotted IPv4, or IPv6 as RFC 5952 writes it, without brackets. */
  | { readonly type: 'address'; readonly address: string }
  /** `base` has no bit set beyond `prefix`. */
  | { readonly type: 'cidr'; readonly base: string; readonly prefix: number };

/** Both ends belong to it; 1 to 65535. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

type RuleRefusal = { readonly message: string; readonly repair: string };
export type RuleResult = { readonly ok: true; readonly rule: NetworkRule } | ({ readonly ok: false } & RuleRefusal);

export function parseNetworkRule(text: string): RuleResult {
  if (text.length > ruleCharsMax) return refuse(`is longer than ${ruleCharsMax} characters`, 'write several shorter rules');
  const parts = splitRule(text);
  if (refused(parts)) return { ok: false, ...parts };
  const host = parseHost(parts.host);
  if (refused(host)) return { ok: false, ...host };
  const ports = parsePorts(parts.ports, parts.host);
  if (refused(ports)) return { ok: false, ...ports };
  return { ok: true, rule: { text: `${hostText(host)}:${portsText(ports)}`, host, ports } as unknown as NetworkRule };
}

/** For rules written in code; throws where parseNetworkRule refuses. */
export function networkRule(text: string): NetworkRule {
  const result = parseNetworkRule(text);
  if (!result.ok) throw new TypeError(`network rule ${JSON.stringify(text)} ${result.message}; ${result.repair}`);
  return result.rule;
}

function refused(value: object): value is RuleRefusal {
  return 'repair' in value;
}

function refuse(message: string, repair: string): { readonly ok: false } & RuleRefusal {
  return { ok: false, message, repair };
}

// ---- host and port ------------------------------------------------------------------------------------------------------------

const schemePorts: Readonly<Record<string, string>> = { http: '80', https: '443', ws: '80', wss: '443', smtp: '587', postgres: '5432' };

function splitRule(text: string): { readonly host: string; readonly ports: string } | RuleRefusal {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\/([^/?#@:\s]*)/i.exec(text);
  if (scheme) {
    const [, name = '', host = ''] = scheme;
    return refuse('is a URL', `write host and port only, e.g. ${host || 'host'}:${schemePorts[name.toLowerCase()] ?? '443'}`);
  }
  if (/[^\x21-\x7e]/.test(text)) return refuseOutsideAscii(text);
  if (/[/?#@\\%]/.test(text.replace(/\/(\d+)(\]?:|\]?$)/, ''))) {
    if (text.includes('%')) return refuse('has a zone id or an escape', 'write the plain address or name, without %');
    return refuse('is more than a host and a port', 'write host:port, without path, user or query');
  }
  const match = /^(\[[^\]]*\](?:\/\d+)?|[^:[\]]*):([^:[\]]*)$/.exec(text);
  if (!match) return refuseUnsplittable(text);
  return { host: match[1] ?? '', ports: match[2] ?? '' };
}

function refuseOutsideAscii(text: string): RuleRefusal {
  const [, host = '', rest = ''] = /^([^:]*)(:.*)?$/s.exec(text) ?? [];
  const ascii = /\s/.test(host) ? '' : domainToASCII(host);
  return refuse(
    'has characters other than visible ASCII',
    ascii ? `write the punycode form, e.g. ${ascii}${rest || ':443'}` : 'remove them',
  );
}

function refuseUnsplittable(text: string): RuleRefusal {
  if (isIPv6(text)) return refuse('names no port', `write the address in brackets and a port, e.g. [${canonicalIPv6(text)}]:443`);
  if (/^[0-9a-f:.]+(\/\d+)?:?\d*$/i.test(text) && text.includes('::'))
    return refuse('is an IPv6 address without brackets', 'write [address]:port or [address/prefix]:port');
  if (!text.includes(':') || /^\[[^\]]*\]$/.test(text)) return refuse('names no port', `add one, e.g. ${text}:443`);
  return refuse('is not host:port', 'write e.g. api.example.com:443, *.example.com:443, 10.1.2.3:5432 or [2001:db8::1]:443');
}

// ---- hosts --------------------------------------------------------------------------------------------------------------------

function parseHost(host: string): RuleHost | RuleRefusal {
  if (host === '') return refuse('names no host', 'write host:port, e.g. api.example.com:443');
  if (host.startsWith('[')) return parseIPv6Host(host);
  const slash = host.indexOf('/');
  if (slash >= 0) return parseCidr(host.slice(0, slash), host.slice(slash + 1), 4);
  if (host.includes('*')) return parseSuffix(host);
  if (isCanonicalIPv4(host)) return { type: 'address', address: host };
  return parseName(host);
}

/** Suffixes of one label that never belong to strangers (RFC 2606, 6761, 6762, ICANN’s .internal), so that `*.internal` is no wide rule. */
const privateTopLevels: ReadonlySet<string> = new Set(['internal', 'local', 'test', 'localhost', 'example', 'invalid', 'lan', 'intranet']);

function parseSuffix(host: string): RuleHost | RuleRefusal {
  if (host === '*' || host === '*.')
    return refuse('matches every host', 'name the hosts, or write `network: unrestricted` (private ranges stay refused)');
  if (!host.startsWith('*.') || host.indexOf('*', 1) >= 0)
    return refuse('has a * that is not a whole first label', 'write *.example.com:443, or name each host');
  const name = parseName(host.slice(2));
  if (refused(name)) return name;
  if (name.type !== 'exact') return refuse('is not a name after *.', 'write *.example.com:443');
  if (!name.name.includes('.') && !privateTopLevels.has(name.name))
    return refuse(`matches every host of the top-level domain ${name.name}`, `name the domain, e.g. *.example.${name.name}:443`);
  return { type: 'suffix', suffix: name.name };
}

function parseName(host: string): RuleHost | RuleRefusal {
  if (/[A-Z]/.test(host)) return refuse('has upper-case letters', `write ${host.toLowerCase()}`);
  if (host.endsWith('.')) return refuse('ends in a dot', `write ${host.replace(/\.+$/, '') || 'a host name'}`);
  const labels = host.split('.');
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '')) return refuseNumeric(host);
  if (host.length > 253 || !labels.every((label) => /^(?!-)[a-z0-9_-]{1,63}$/.test(label) && !label.endsWith('-')))
    return refuse('is not a host name', 'write lower-case labels of a-z, 0-9, - and _, at most 63 characters each, separated by dots');
  if (labels.some(isBrokenPunycode))
    return refuse('has a label that is not valid punycode', 'write the name as `new URL` or a browser’s address bar shows it');
  return { type: 'exact', name: host };
}

/** domainToUnicode leaves a label as it is when it decodes to nothing valid. */
function isBrokenPunycode(label: string): boolean {
  if (!label.startsWith('xn--')) return false;
  const decoded = domainToUnicode(label);
  return decoded === label || domainToASCII(decoded) !== label;
}

/** Forms that getaddrinfo takes for an address: 2130706433, 0x7f.1, 127.1, 010.1.2.3. */
function refuseNumeric(host: string): RuleRefusal {
  const meant = URL.canParse(`http://${host}/`) ? new URL(`http://${host}/`).hostname : undefined;
  return refuse(
    'is an IPv4 address in an unusual form',
    meant === undefined ? 'write four decimal numbers, e.g. 10.1.2.3' : `write ${meant} if you mean that address`,
  );
}

function parseIPv6Host(host: string): RuleHost | RuleRefusal {
  const match = /^\[([^\]/]*)(?:\/(\d+))?\](\/\d+)?$/.exec(host);
  if (!match) return refuse('is not an IPv6 address in brackets', 'write e.g. [2001:db8::1]:443');
  const [, address = '', prefix, outside] = match;
  if (outside !== undefined) return refuse('has its prefix outside the brackets', `write [${address}${outside}]:port`);
  const canonical = canonicalIPv6(address);
  if (canonical === undefined) return refuse('is not an IPv6 address in brackets', 'write e.g. [2001:db8::1]:443');
  const mapped = mappedIPv4(canonical);
  if (mapped !== undefined) return refuse('is an IPv4 address written as IPv6', `write ${mapped}`);
  if (canonical !== address) return refuse('is not the canonical form of its address', `write [${canonical}]`);
  return prefix === undefined ? { type: 'address', address } : parseCidr(address, prefix, 6);
}

function parseCidr(base: string, prefixText: string, family: 4 | 6): RuleHost | RuleRefusal {
  const bits = family === 4 ? 32 : 128;
  if (family === 4 && !isCanonicalIPv4(base)) return refuse('is not a CIDR block', 'write e.g. 10.1.0.0/16:443');
  const prefix = /^(?:0|[1-9]\d{0,2})$/.test(prefixText) ? Number(prefixText) : -1;
  if (prefix < 0 || prefix > bits) return refuse('has a prefix that is no length', `write a number from ${prefixMin[family]} to ${bits}`);
  if (prefix < prefixMin[family])
    return refuse(
      `covers more than a /${prefixMin[family]}`,
      'name smaller blocks, or write `network: unrestricted` (private ranges stay refused)',
    );
  const value = addressBits(base);
  const masked = (value >> BigInt(bits - prefix)) << BigInt(bits - prefix);
  if (masked !== value) {
    const network = addressText(masked, family);
    return refuse('has bits set beyond its prefix', `write ${family === 4 ? `${network}/${prefix}` : `[${network}/${prefix}]`}`);
  }
  return { type: 'cidr', base, prefix };
}

function isCanonicalIPv4(text: string): boolean {
  return /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$/.test(text);
}

/** RFC 5952, as the WHATWG URL parser writes it. */
function canonicalIPv6(text: string): string | undefined {
  if (!isIPv6(text) || text.includes('%')) return undefined;
  return new URL(`http://[${text}]/`).hostname.slice(1, -1);
}

function mappedIPv4(canonical: string): string | undefined {
  const value = addressBits(canonical);
  return value >> 32n === 0xffffn ? addressText(value & 0xffff_ffffn, 4) : undefined;
}

/** The number that a canonical address is: 32 or 128 bits. */
export function addressBits(address: string): bigint {
  if (!address.includes(':')) return address.split('.').reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const [head = '', tail] = address.split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const words = [...first, ...new Array<string>(8 - first.length - last.length).fill('0'), ...last];
  return words.reduce((sum, word) => (sum << 16n) | BigInt(`0x${word}`), 0n);
}

function addressText(value: bigint, family: 4 | 6): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const words = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16));
  return canonicalIPv6(words.join(':')) ?? '';
}

// ---- ports --------------------------------------------------------------------------------------------------------------------

function parsePorts(text: string, host: string): readonly PortRange[] | RuleRefusal {
  if (text === '') return refuse('names no port', `add one, e.g. ${host}:443`);
  if (text === '*') return refuse('allows every port', `name the ports, e.g. ${host}:443 or ${host}:8000-8100`);
  const parts = text.split(',');
  if (parts.length > rulePortsMax) return refuse(`lists more than ${rulePortsMax} ports and ranges`, 'write ranges, or several rules');
  const ranges: PortRange[] = [];
  for (const part of parts) {
    const range = parsePortRange(part);
    if (refused(range)) return range;
    ranges.push(range);
  }
  return mergeRanges(ranges);
}

function parsePortRange(part: string): PortRange | RuleRefusal {
  const [from, to, ...rest] = part.split('-').map(parsePort);
  if (from === undefined || rest.length > 0 || (part.includes('-') && to === undefined))
    return refuse(`has the port "${part}"`, 'write ports as numbers from 1 to 65535, e.g. 443, 443,8443 or 8000-8100');
  if (to !== undefined && to < from) return refuse(`has the port range ${part}, which is empty`, `write ${to}-${from}`);
  return { from, to: to ?? from };
}

function parsePort(text: string): number | undefined {
  if (!/^[1-9]\d{0,4}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}

function mergeRanges(ranges: readonly PortRange[]): readonly PortRange[] {
  const merged: PortRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.from - b.from)) {
    const last = merged.at(-1);
    if (last !== undefined && range.from <= last.to + 1) merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, range.to) };
    else merged.push(range);
  }
  return merged;
}

// ---- canonical text -----------------------------------------------------------------------------------------------------------

function hostText(host: RuleHost): string {
  switch (host.type) {
    case 'exact':
      return host.name;
    case 'suffix':
      return `*.${host.suffix}`;
    case 'address':
      return host.address.includes(':') ? `[${host.address}]` : host.address;
    case 'cidr':
      return host.base.includes(':') ? `[${host.base}/${host.prefix}]` : `${host.base}/${host.prefix}`;
  }
}

function portsText(ports: readonly PortRange[]): string {
  return ports.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(',');
}
