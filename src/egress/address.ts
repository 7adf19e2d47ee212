import { isIPv6 } from 'node:net';

/** An IP address, read from one canonical spelling into bytes: text is compared nowhere, since one address has many texts. */
export interface IpAddress {
  readonly family: 4 | 6;
  /** Dotted IPv4, or IPv6 as RFC 5952 writes it. */
  readonly text: string;
  readonly bytes: Uint8Array;
}

export type RefusedRange =
  | 'private'
  | 'loopback'
  | 'link-local'
  | 'carrier-grade NAT'
  | 'cloud metadata'
  | 'IPv4-mapped'
  | 'NAT64'
  | '6to4'
  | 'Teredo'
  | 'unique local'
  | 'site-local'
  | 'multicast'
  | 'broadcast'
  | 'unspecified'
  | 'documentation'
  | 'benchmark'
  | 'reserved'
  | 'own address of the host';

export type AddressClass =
  | { readonly type: 'public' }
  /** `prefix`: length of the refused block around the address; a CIDR rule lifts the refusal only if it is at least as narrow. */
  | { readonly type: 'refused'; readonly range: RefusedRange; readonly prefix: number };

/** Strict: no zone, no octal, hex or short IPv4. Undefined for anything else. */
export function parseAddress(text: string): IpAddress | undefined {
  if (/^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$/.test(text))
    return { family: 4, text, bytes: bytesOfIPv4(text) };
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  return { family: 6, text: canonical, bytes: bytesOfIPv6(canonical) };
}

/** Bytes in network order: 4 or 16 of them. */
export function addressOfBytes(bytes: Uint8Array): IpAddress | undefined {
  if (bytes.length === 4) return parseAddress(bytes.join('.'));
  if (bytes.length !== 16) return undefined;
  const words = Array.from({ length: 8 }, (_, index) => (((bytes[2 * index] ?? 0) << 8) | (bytes[2 * index + 1] ?? 0)).toString(16));
  return parseAddress(words.join(':'));
}

/** Whether `address` lies in `base`/`prefix`; addresses of different families never do. */
export function isInBlock(address: IpAddress, base: IpAddress, prefix: number): boolean {
  return address.family === base.family && hasPrefix(address.bytes, base.bytes, prefix);
}

/**
 * Public, or why not. Deny by default: an IPv6 address outside 2000::/3 is reserved. Blocks that carry an IPv4 address inside
 * (mapped, NAT64, 6to4) take the class of what they carry, so that `[64:ff9b::/96]:443` opens NAT64 to public addresses only.
 */
export function classifyAddress(address: IpAddress, ownAddresses: ReadonlySet<string> = new Set()): AddressClass {
  const found = (address.family === 4 ? ipv4Blocks : ipv6Blocks).find(({ base, prefix }) => hasPrefix(address.bytes, base, prefix));
  if (ownAddresses.has(address.text) && found?.range !== 'loopback')
    return { type: 'refused', range: 'own address of the host', prefix: address.bytes.length * 8 };
  if (found?.embedsAt !== undefined) return classifyEmbedded(address, found.embedsAt, found, ownAddresses);
  if (found) return { type: 'refused', range: found.range, prefix: found.prefix };
  if (address.family === 6 && ((address.bytes[0] ?? 0) & 0xe0) !== 0x20) return { type: 'refused', range: 'reserved', prefix: 3 };
  return { type: 'public' };
}

// ---- blocks -------------------------------------------------------------------------------------------------------------------

interface Block {
  readonly base: Uint8Array;
  readonly prefix: number;
  readonly range: RefusedRange;
  /** Bit at which an IPv4 address begins. */
  readonly embedsAt?: number;
}

/**
 * IANA's special-purpose address registries (RFC 6890 and later), and the addresses at which clouds hand out credentials.
 * The narrowest block comes first.
 */
const ipv4Blocks: readonly Block[] = [
  block('169.254.169.254', 32, 'cloud metadata'), // AWS, Azure, Google and most others
  block('169.254.170.2', 32, 'cloud metadata'), // AWS ECS task roles
  block('169.254.170.23', 32, 'cloud metadata'), // AWS EKS pod identity
  block('100.100.100.200', 32, 'cloud metadata'), // Alibaba
  block('168.63.129.16', 32, 'cloud metadata'), // Azure's wire server, a public address
  block('192.0.0.192', 32, 'cloud metadata'), // Oracle
  block('0.0.0.0', 32, 'unspecified'),
  block('255.255.255.255', 32, 'broadcast'),
  block('192.0.0.0', 24, 'reserved'),
  block('192.0.2.0', 24, 'documentation'),
  block('192.88.99.0', 24, '6to4'),
  block('198.51.100.0', 24, 'documentation'),
  block('203.0.113.0', 24, 'documentation'),
  block('169.254.0.0', 16, 'link-local'),
  block('192.168.0.0', 16, 'private'),
  block('198.18.0.0', 15, 'benchmark'),
  block('172.16.0.0', 12, 'private'),
  block('100.64.0.0', 10, 'carrier-grade NAT'),
  block('0.0.0.0', 8, 'reserved'),
  block('10.0.0.0', 8, 'private'),
  block('127.0.0.0', 8, 'loopback'),
  block('224.0.0.0', 4, 'multicast'),
  block('240.0.0.0', 4, 'reserved'),
];

const ipv6Blocks: readonly Block[] = [
  block('fd00:ec2::254', 128, 'cloud metadata'), // AWS
  block('fd20:ce::254', 128, 'cloud metadata'), // Google
  block('fd00:42::42', 128, 'cloud metadata'), // Scaleway
  block('::', 128, 'unspecified'),
  block('::1', 128, 'loopback'),
  block('::', 96, 'reserved', 96), // IPv4-compatible, deprecated
  block('::ffff:0:0', 96, 'IPv4-mapped', 96),
  block('::ffff:0:0:0', 96, 'reserved', 96), // IPv4-translated, RFC 2765
  block('64:ff9b::', 96, 'NAT64', 96),
  block('100::', 64, 'reserved'),
  block('64:ff9b:1::', 48, 'NAT64'),
  block('2001:2::', 48, 'benchmark'),
  block('2001::', 32, 'Teredo'),
  block('2001:db8::', 32, 'documentation'),
  block('2001::', 23, 'reserved'),
  block('3fff::', 20, 'documentation'),
  block('2002::', 16, '6to4', 16),
  block('fe80::', 10, 'link-local'),
  block('fec0::', 10, 'site-local'),
  block('ff00::', 8, 'multicast'),
  block('fc00::', 7, 'unique local'),
];

/** `base` is canonical, so that its bytes are taken from its words: to parse them all is a part of each start, before the probe can begin. */
function block(base: string, prefix: number, range: RefusedRange, embedsAt?: number): Block {
  const bytes = base.includes(':') ? bytesOfIPv6(base) : bytesOfIPv4(base);
  return { base: bytes, prefix, range, ...(embedsAt === undefined ? {} : { embedsAt }) };
}

function classifyEmbedded(address: IpAddress, at: number, around: Block, ownAddresses: ReadonlySet<string>): AddressClass {
  const inner = addressOfBytes(address.bytes.slice(at / 8, at / 8 + 4));
  const found = inner ? classifyAddress(inner, ownAddresses) : { type: 'public' as const };
  if (found.type === 'public') return { type: 'refused', range: around.range, prefix: around.prefix };
  return { type: 'refused', range: found.range, prefix: at + found.prefix };
}

function hasPrefix(bytes: Uint8Array, base: Uint8Array, prefix: number): boolean {
  const whole = prefix >> 3;
  for (let index = 0; index < whole; index += 1) if (bytes[index] !== base[index]) return false;
  const rest = prefix & 7;
  return rest === 0 || (bytes[whole] ?? 0) >> (8 - rest) === (base[whole] ?? 0) >> (8 - rest);
}

function bytesOfIPv4(text: string): Uint8Array {
  return Uint8Array.from(text.split('.'), Number);
}

/** Of the URL parser's form, which has no dotted tail. */
function bytesOfIPv6(canonical: string): Uint8Array {
  const [head = '', tail] = canonical.split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const words = [...first, ...new Array<string>(8 - first.length - last.length).fill('0'), ...last];
  return Uint8Array.from(words.flatMap((word) => [Number.parseInt(word, 16) >> 8, Number.parseInt(word, 16) & 255]));
}
