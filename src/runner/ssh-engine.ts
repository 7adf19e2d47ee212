import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { createRequire } from 'node:module';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { ClientChannel, ServerHostKeyAlgorithm } from 'ssh2';
import { ProxyError } from '../errors.ts';
import { fingerprintOf, type HostVerdict, judgeHostKey, keyType, knownHostName, knownKeyTypes } from './known-hosts.ts';
import { ChannelSocket } from './ssh-channel.ts';

/** What an engine by ssh is reached with. */
export interface SshAccess {
  /** The agent's socket. */
  readonly agent?: string | undefined;
  /** Files of known hosts; default: those of ssh(1), of this user and of the machine. */
  readonly knownHosts?: readonly string[];
}

/** Strongest first. ssh-rsa is a kind of keys, and as a signature of SHA-1 none that is taken. */
const algorithms = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const;

/** What joins its stdin and stdout to the engine's socket there. */
const command = 'docker system dial-stdio';

/**
 * Options of the library for the engine at `ssh://user@host[:port]`. Its host must show a key that ssh(1) knows it by: whoever could be taken
 * for it would be sent the secrets of connectors. The library's own way over ssh takes any key, no host by its address, and throws past its
 * callers where the host refuses the command.
 */
export function sshOptions(url: URL, address: string, access: SshAccess): object {
  const place = { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 22) };
  const agent = new Agent();
  agent.createConnection = (_, callback) => {
    const answer = callback ?? (() => {});
    dial({ url, address, place, access }).then(
      (socket) => answer(null, socket),
      (error: Error) => answer(error, undefined as never),
    );
    return undefined;
  };
  return { protocol: 'http', ...place, agent };
}

interface Dial {
  readonly url: URL;
  readonly address: string;
  readonly place: { readonly host: string; readonly port: number };
  readonly access: SshAccess;
}

/** One connection, with one channel. Files of known hosts are read anew for each. @throws ProxyError `engine_unavailable` for the host's key */
async function dial({ url, address, place, access: { agent, knownHosts = usualFiles() } }: Dial): Promise<Duplex> {
  const texts = textsOf(knownHosts);
  const name = knownHostName(place.host, place.port);
  const username = decodeURIComponent(url.username) || userInfo().username;
  const { promise, resolve, reject } = Promise.withResolvers<ClientChannel>();
  const hostVerifier = (key: Buffer): boolean => {
    const verdict = judgeHostKey(texts, name, key);
    if (verdict === 'known') return true;
    const login = `ssh ${place.port === 22 ? '' : `-p ${place.port} `}${username}@${place.host}`;
    reject(new ProxyError('engine_unavailable', faultText({ verdict, address, name, key, knownHosts, login })));
    return false;
  };
  // Loaded by who has an engine by ssh only.
  const { Client: SshClient } = createRequire(import.meta.url)('ssh2') as typeof import('ssh2');
  const client = new SshClient();
  client.on('error', reject).once('close', () => reject(new Error('its host closed the connection')));
  client.once('ready', () => client.exec(command, (error, channel) => (error === undefined ? resolve(channel) : reject(error))));
  try {
    client.connect({
      ...place,
      username,
      ...(agent === undefined ? {} : { agent }),
      hostVerifier,
      algorithms: { serverHostKey: wantedKeys(knownKeyTypes(texts, name)) },
    });
    return new ChannelSocket(client, await promise);
  } catch (error) {
    client.destroy();
    throw error;
  }
}

/** The kinds that are known first: of several keys a host shows the one that is asked for first. */
function wantedKeys(known: readonly string[]): ServerHostKeyAlgorithm[] {
  const isKnown = (algorithm: string) => known.includes(algorithm.startsWith('rsa-') ? 'ssh-rsa' : algorithm);
  return algorithms.toSorted((one, other) => Number(isKnown(other)) - Number(isKnown(one)));
}

function usualFiles(): readonly string[] {
  const machine = '/etc/ssh/ssh_known_hosts';
  try {
    return [join(userInfo().homedir, '.ssh/known_hosts'), machine];
  } catch {
    // A user that the machine has no entry of.
    return [machine];
  }
}

/** A file that cannot be read knows no host. */
function textsOf(files: readonly string[]): readonly string[] {
  return files.map((file) => {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      return '';
    }
  });
}

interface Fault {
  readonly verdict: Exclude<HostVerdict, 'known'>;
  readonly address: string;
  readonly name: string;
  readonly key: Buffer;
  readonly knownHosts: readonly string[];
  readonly login: string;
}

function faultText({ verdict, address, name, key, knownHosts, login }: Fault): string {
  const subject = `The container engine at ${address} is not spoken to: its host ${name} shows the key ${fingerprintOf(key)} (${keyType(key)})`;
  const files = knownHosts.join(' and ');
  switch (verdict) {
    case 'unknown':
      return `${subject}, which is not in ${files}. Connect once by “${login}”, as the user that Bulkhead runs as, and compare the fingerprint with the host’s own.`;
    case 'changed':
      return `${subject}, and ${files} have another: it was set up anew, or somebody is in between. If it was, remove the old one by “ssh-keygen -R '${name}'”, and connect once by “${login}”.`;
    case 'revoked':
      return `${subject}, which is marked as revoked in ${files}. Give the host a new key.`;
  }
}
