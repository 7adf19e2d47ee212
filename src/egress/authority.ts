import { type IpAddress, parseAddress } from './address.ts';

/** Where a connection is meant to go, in one canonical form. */
export type Target =
  /** Lower case, ASCII, without a trailing dot. */
  | { readonly type: 'name'; readonly name: string; readonly port: number }
  | { readonly type: 'address'; readonly address: IpAddress; readonly port: number };

/** Characters of an authority that is looked at: the longest name, brackets, colon and port. */
export const authorityCharsMax = 262;

/**
 * `host`, `host:port` or `[IPv6]:port`, and nothing else: no user, path, escape, blank, zone, leading zero, or second port.
 * What two programs might read differently is refused, never repaired.
 */
export function parseAuthority(text: string, defaultPort?: number): Target | undefined {
  if (text.length > authorityCharsMax) return undefined;
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d+))?$/.exec(text);
  if (!match) return undefined;
  const [, host = '', portText] = match;
  const port = portText === undefined ? defaultPort : parsePort(portText);
  if (port === undefined) return undefined;
  return host.startsWith('[') ? ipv6Target(host.slice(1, -1), port) : parseTarget(host, port);
}

/** A host without brackets and a port that is known to be one. IPv6 is taken here only as an authority's bracketed part or from bytes. */
export function parseTarget(host: string, port: number): Target | undefined {
  const address = host.includes(':') ? undefined : parseAddress(host);
  if (address) return { type: 'address', address, port };
  const name = parseName(host);
  return name === undefined ? undefined : { type: 'name', name, port };
}

/** Lower case without one trailing dot; undefined unless it is a host name that no resolver takes for an address. */
export function parseName(host: string): string | undefined {
  const name = (host.endsWith('.') ? host.slice(0, -1) : host).toLowerCase();
  const labels = name.split('.');
  if (name.length > 253 || !labels.every((label) => /^(?!-)[a-z0-9_-]{1,63}$/.test(label) && !label.endsWith('-'))) return undefined;
  // getaddrinfo takes 2130706433, 0x7f.1, 127.1 and 0177.0.0.1 for addresses.
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '')) return undefined;
  return name;
}

export function hostOf(target: Target): string {
  return target.type === 'name' ? target.name : target.address.text;
}

/** `host:port`, IPv6 in brackets: for messages, audit records and Host headers. */
export function authorityText(target: Target): string {
  const host = hostOf(target);
  return host.includes(':') ? `[${host}]:${target.port}` : `${host}:${target.port}`;
}

function ipv6Target(text: string, port: number): Target | undefined {
  const address = text.includes(':') ? parseAddress(text) : undefined;
  return address ? { type: 'address', address, port } : undefined;
}

function parsePort(text: string): number | undefined {
  if (!/^[1-9]\d{0,4}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}
