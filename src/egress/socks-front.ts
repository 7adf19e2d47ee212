import type { Duplex } from 'node:stream';
import { addressOfBytes } from './address.ts';
import { parseTarget, type Target } from './authority.ts';
import type { Outcome } from './outbound.ts';
import { readHead } from './read-head.ts';

/** SOCKS5 (RFC 1928) without authentication: CONNECT only. BIND and UDP ASSOCIATE are refused. */
export interface SocksFrontOptions {
  readonly client: Duplex;
  readonly headTimeoutMs: number;
  /** Undefined: the target cannot be read. */
  readonly open: (target: Target | undefined, said: string) => Promise<Outcome>;
  readonly join: (outcome: Extract<Outcome, { type: 'open' }>) => void;
}

const reply = {
  done: 0,
  failure: 1,
  notAllowed: 2,
  hostUnreachable: 4,
  refused: 5,
  timedOut: 6,
  commandUnsupported: 7,
  addressUnsupported: 8,
} as const;

/** Longest greeting and longest request: both carry one length byte. */
const headBytesMax = 2 + 255 + 5;

export async function serveSocks({ client, headTimeoutMs, open, join }: SocksFrontOptions): Promise<void> {
  const methods = await readHead(client, { bytesMax: headBytesMax, timeoutMs: headTimeoutMs, parse: parseGreeting });
  if (!methods.includes(0)) return endWith(client, Buffer.from([5, 0xff]));
  client.write(Buffer.from([5, 0]));
  const request = await readHead(client, { bytesMax: headBytesMax, timeoutMs: headTimeoutMs, parse: parseRequest });
  if (request.type === 'unsupported') return refuse(client, request.code);
  const outcome = await open(request.target, request.said);
  switch (outcome.type) {
    case 'denied':
      return refuse(client, reply.notAllowed);
    case 'unreachable':
      return refuse(client, unreachableCodes[outcome.code] ?? reply.hostUnreachable);
    case 'open':
      client.write(answer(reply.done));
      return join(outcome);
  }
}

const unreachableCodes: Readonly<Record<string, number>> = {
  ECONNREFUSED: reply.refused,
  ETIMEDOUT: reply.timedOut,
  ECANCELED: reply.failure,
};

function refuse(client: Duplex, code: number): void {
  endWith(client, answer(code));
}

/** A client that keeps its half open does not keep the connection. */
function endWith(client: Duplex, bytes: Buffer): void {
  client.end(bytes, () => client.destroy());
}

/** The bound address is of no use to a client that may only connect. */
function answer(code: number): Buffer {
  return Buffer.from([5, code, 0, 1, 0, 0, 0, 0, 0, 0]);
}

function parseGreeting(bytes: Buffer): { value: readonly number[]; used: number } | undefined {
  const used = 2 + (bytes[1] ?? 0);
  return bytes.length < 2 || bytes.length < used ? undefined : { value: [...bytes.subarray(2, used)], used };
}

type SocksRequest =
  | { readonly type: 'connect'; readonly target: Target | undefined; readonly said: string }
  | { readonly type: 'unsupported'; readonly code: number };

function parseRequest(bytes: Buffer): { value: SocksRequest; used: number } | undefined {
  if (bytes.length < 5) return undefined;
  const [version, command, , addressType, first = 0] = bytes;
  if (version !== 5) return unsupported(reply.failure, bytes);
  if (command !== 1) return unsupported(reply.commandUnsupported, bytes);
  const hostBytes = { 1: 4, 3: 1 + first, 4: 16 }[addressType ?? 0];
  if (hostBytes === undefined) return unsupported(reply.addressUnsupported, bytes);
  const used = 4 + hostBytes + 2;
  if (bytes.length < used) return undefined;
  const port = bytes.readUInt16BE(used - 2);
  const host = bytes.subarray(4, used - 2);
  const target = addressType === 3 ? nameTarget(host.subarray(1), port) : addressTarget(host, port);
  const said = addressType === 3 ? host.toString('latin1', 1) : (addressOfBytes(host)?.text ?? '');
  return { value: { type: 'connect', target: port === 0 ? undefined : target, said }, used };
}

function unsupported(code: number, bytes: Buffer): { value: SocksRequest; used: number } {
  return { value: { type: 'unsupported', code }, used: bytes.length };
}

function nameTarget(name: Buffer, port: number): Target | undefined {
  return parseTarget(name.toString('latin1'), port);
}

function addressTarget(bytes: Buffer, port: number): Target | undefined {
  const address = addressOfBytes(bytes);
  return address && { type: 'address', address, port };
}
