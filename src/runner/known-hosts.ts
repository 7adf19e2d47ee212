import { createHash, createHmac } from 'node:crypto';

/**
 * What files of known hosts say of the key that a host shows: `known`; `unknown`: they have no key of that kind for it; `changed`: they have
 * another one; `revoked`: it is marked as lost to somebody else.
 */
export type HostVerdict = 'known' | 'unknown' | 'changed' | 'revoked';

/** As ssh(1) writes the name of a host in its files. */
export function knownHostName(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/**
 * Judges a host's key, in the form of the wire, by the texts of files as ssh(1) keeps them (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). Lines
 * of certificate authorities count for nothing, since no certificate is asked for. Pure.
 */
export function judgeHostKey(texts: readonly string[], name: string, key: Buffer): HostVerdict {
  const entries = entriesOf(texts, name);
  const isThis = (entry: Entry) => Buffer.from(entry.key, 'base64').equals(key);
  if (entries.some((entry) => entry.marker === '@revoked' && isThis(entry))) return 'revoked';
  const keys = entries.filter(({ marker }) => marker === undefined);
  if (keys.some(isThis)) return 'known';
  return keys.some(({ type }) => type === keyType(key)) ? 'changed' : 'unknown';
}

/** The kinds of keys that are known of a host: one of them is to be asked for, or a host that has several shows another. Pure. */
export function knownKeyTypes(texts: readonly string[], name: string): readonly string[] {
  return entriesOf(texts, name).flatMap(({ marker, type }) => (marker === undefined ? [type] : []));
}

/** The first field of a key in the form of the wire, e.g. `ssh-ed25519`. */
export function keyType(key: Buffer): string {
  return key.length < 4 ? '' : key.toString('latin1', 4, 4 + key.readUInt32BE(0));
}

/** As ssh(1) and ssh-keygen(1) show it. */
export function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

interface Entry {
  readonly marker: string | undefined;
  readonly type: string;
  /** Base64. */
  readonly key: string;
}

function entriesOf(texts: readonly string[], name: string): readonly Entry[] {
  return texts.flatMap((text) => text.split('\n')).flatMap((line) => entryOf(line, name) ?? []);
}

function entryOf(line: string, name: string): Entry | undefined {
  const words = line.trim().split(/[ \t]+/);
  const marker = words[0]?.startsWith('@') ? words.shift() : undefined;
  const [names = '', type = '', key = ''] = words;
  if (names.startsWith('#') || key === '' || !isNamed(names, name)) return undefined;
  return { marker, type, key };
}

/** One hashed name, or patterns with commas between; one that is negated and fits excludes the host. */
function isNamed(names: string, name: string): boolean {
  if (names.startsWith('|')) return isHashOf(names, name);
  const patterns = names.toLowerCase().split(',');
  const isExcluded = patterns.some((pattern) => pattern.startsWith('!') && fits(pattern.slice(1), name));
  return !isExcluded && patterns.some((pattern) => fits(pattern, name));
}

/** `|1|salt|hash`: HMAC-SHA1 of the name, with the salt as key. */
function isHashOf(hashed: string, name: string): boolean {
  const [, version, salt = '', hash = ''] = hashed.split('|');
  if (version !== '1') return false;
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest().equals(Buffer.from(hash, 'base64'));
}

/** `*` is any text and `?` any one character. */
function fits(pattern: string, name: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`).test(name);
}
