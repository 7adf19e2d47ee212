import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import ssh2, { type Connection, type ServerChannel } from 'ssh2';

/** An engine's socket behind a server that speaks SSH, as `docker system dial-stdio` has it. Whoever comes is let in. */
export interface SshEngine extends AsyncDisposable {
  readonly port: number;
  /** As ssh(1) writes it to its files of known hosts, without a name. By kind of key, in the order that they were given. */
  readonly keys: readonly string[];
  /** What was to be run, once for each connection. */
  readonly commands: readonly string[];
  /** That are open. */
  connections(): number;
}

export interface SshEngineOptions {
  readonly types?: readonly HostKeyType[];
  /** As a host does on which the user may log in, and run nothing. */
  readonly refusesCommands?: boolean;
  /** What a login waits for. */
  readonly onLogin?: () => Promise<void>;
}

type HostKeyType = 'ed25519' | 'ecdsa' | 'rsa';
const bits = { ed25519: 256, ecdsa: 256, rsa: 2048 } as const;

/** One pair in 256 that ssh2 makes of `ed25519` is none: it takes a zero that the public key begins with for padding, and leaves it out. */
export function makeHostKey(type: HostKeyType) {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync(type as 'rsa', { bits: bits[type] });
    const key = Buffer.from(pair.public.split(' ')[1] ?? '', 'base64');
    if (type !== 'ed25519' || key.length === ed25519Length) return pair;
  }
}

/** Bytes of a public key in the form of SSH: the kind and the key itself, each behind its length (RFC 8709). */
const ed25519Length = 4 + 'ssh-ed25519'.length + 4 + 32;

export async function startSshEngine(
  socketPath: string,
  { types = ['ed25519'], refusesCommands = false, onLogin = async () => {} }: SshEngineOptions = {},
): Promise<SshEngine> {
  const pairs = types.map(makeHostKey);
  const commands: string[] = [];
  const clients = new Set<Connection>();
  const server = new ssh2.Server({ hostKeys: pairs.map((pair) => pair.private) }, (client) => {
    clients.add(client);
    client.on('error', () => {}).once('close', () => clients.delete(client));
    client.on('authentication', (request) => void onLogin().then(() => request.accept()));
    client.on('session', (accept) => {
      accept().on('exec', (take, refuse, { command }) => {
        commands.push(command);
        if (refusesCommands) refuse();
        else join(take(), socketPath);
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    keys: pairs.map((pair) => pair.public.trim()),
    commands,
    connections: () => clients.size,
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.end();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function join(channel: ServerChannel, socketPath: string): void {
  const engine = connect({ path: socketPath, allowHalfOpen: true });
  channel.pipe(engine).pipe(channel, { end: false });
  engine
    .on('error', () => {})
    .once('close', () => {
      channel.exit(0);
      channel.close();
    });
  channel.on('error', () => {}).once('close', () => engine.destroy());
}
