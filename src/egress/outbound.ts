import type { Socket } from 'node:net';
import type { ConnectorName } from '../manifest/names.ts';
import type { NetworkPolicy } from '../manifest/network.ts';
import type { IpAddress } from './address.ts';
import type { AuditLog } from './audit.ts';
import type { EndReason, Via } from './audit-record.ts';
import { hostOf, parseName, type Target } from './authority.ts';
import type { ClientHello } from './client-hello.ts';
import { DialError } from './connect.ts';
import { type Decision, decide, decideAddresses, denyServerName } from './decide.ts';
import type { Denials } from './denials.ts';
import { type Dialled, dial } from './dial.ts';
import type { EgressLimits } from './limits.ts';
import type { Resolve } from './resolve.ts';
import type { Tally } from './tally.ts';
import type { UpstreamProxy } from './upstream-proxy.ts';

export type Denied = Extract<Decision, { verdict: 'deny' }>;

/** What became of the wish to reach a target. */
export type Outcome =
  | { readonly type: 'open'; readonly outbound: Outbound }
  | { readonly type: 'denied'; readonly decision: Denied }
  /** Allowed, and the network did not let it: `code` is ECONNREFUSED, ETIMEDOUT, ENOTFOUND, … */
  | { readonly type: 'unreachable'; readonly code: string; readonly message: string };

/** One open connection to the outside. Ends by itself when idle or too old; its end is recorded whatever ends it. */
export interface Outbound {
  readonly socket: Socket;
  readonly target: Target;
  /** Whether the client may go on with this ClientHello; a refusal is recorded and told. */
  admits(hello: ClientHello): boolean;
  /** Destroys it; the first reason is the one that is recorded. */
  end(reason: EndReason): void;
}

/** What all connections of one session share. */
export interface OutboundContext {
  readonly connector: ConnectorName;
  readonly network: NetworkPolicy;
  readonly limits: EgressLimits;
  readonly resolve: Resolve;
  readonly audit: AuditLog;
  readonly denials: Denials;
  readonly ownAddresses: () => ReadonlySet<string>;
  readonly outward: Tally;
  readonly upstreamProxy?: UpstreamProxy | undefined;
  readonly invocations: () => readonly string[];
  readonly nextConnection: () => number;
  /** Aborts when the session closes. */
  readonly signal: AbortSignal;
}

/** One decision, one DNS answer, one dial to the very addresses that were checked. Never rejects. */
export async function openOutbound(context: OutboundContext, target: Target, via: Via): Promise<Outcome> {
  const decision = decide({ ...context, target });
  if (decision.verdict === 'deny') return deny(context, target, via, decision);
  const release = context.outward.take(context.connector);
  if (!release) return deny(context, target, via, denyTooMany(context.connector));
  try {
    const addresses = await resolveTarget(context, target);
    const refusal = decideAddresses({ ...context, target, addresses, ownAddresses: context.ownAddresses() });
    if (refusal?.verdict === 'deny') {
      release();
      return deny(context, target, via, refusal);
    }
    return await dialRecorded({ context, target, via, decision, addresses, release });
  } catch (error) {
    release();
    if (context.signal.aborted) return { type: 'unreachable', code: 'ECANCELED', message: 'the worker has ended' };
    return { type: 'unreachable', code: codeOf(error), message: error instanceof Error ? error.message : 'unreachable' };
  }
}

export function denyTooMany(connector: ConnectorName): Denied {
  const message = `connector ${connector} has as many connections open as it may; close some, or raise server.egress.connections`;
  return { verdict: 'deny', reason: 'too_many_connections', message };
}

function deny({ denials }: OutboundContext, target: Target, via: Via, decision: Denied): Outcome {
  denials.tell({ decision, via, host: hostOf(target), port: target.port });
  return { type: 'denied', decision };
}

async function resolveTarget(
  { resolve, upstreamProxy, connector, signal }: OutboundContext,
  target: Target,
): Promise<readonly IpAddress[]> {
  if (target.type === 'address') return [target.address];
  return upstreamProxy?.resolve === 'proxy' ? [] : await resolve(target.name, { connector, signal });
}

interface Allowed {
  readonly context: OutboundContext;
  readonly target: Target;
  readonly via: Via;
  readonly decision: Extract<Decision, { verdict: 'allow' }>;
  readonly addresses: readonly IpAddress[];
  readonly release: () => void;
}

/** The record is written while the dial runs, and nothing is handed out before both are done: no byte goes out unrecorded. */
async function dialRecorded(allowed: Allowed): Promise<Outcome> {
  const { context, target, via, addresses, release } = allowed;
  const { audit, limits, upstreamProxy, signal } = context;
  const subject = describe(allowed);
  const startedAt = performance.now();
  const recorded = audit.append({ type: 'decision', ...subject, addresses: addresses.map(({ text }) => text) });
  const dialled = dial({ target, addresses, connectTimeoutMs: limits.connectTimeoutMs, upstreamProxy, signal });
  const [record, connection] = await Promise.allSettled([recorded, dialled]);
  if (record.status === 'rejected') {
    if (connection.status === 'fulfilled') connection.value.socket.destroy();
    release();
    const message = `the audit log cannot be written, so connector ${context.connector} reaches nothing; see the log`;
    return deny(context, target, via, { verdict: 'deny', reason: 'audit_unavailable', message });
  }
  if (connection.status === 'fulfilled') {
    return { type: 'open', outbound: watch({ context, subject, startedAt, target, release, dialled: connection.value }) };
  }
  const error = codeOf(connection.reason);
  const durationMs = Math.round(performance.now() - startedAt);
  audit.append({ type: 'end', ...subject, bytesSent: 0, bytesReceived: 0, durationMs, end: 'unreachable', error }).catch(() => {});
  throw connection.reason;
}

function describe({ context, target, via, decision }: Allowed) {
  return {
    connector: context.connector,
    invocations: context.invocations(),
    connection: context.nextConnection(),
    via,
    host: hostOf(target),
    port: target.port,
    verdict: 'allow',
    reason: decision.reason,
    ...(decision.rule === undefined ? {} : { rule: decision.rule }),
  } as const;
}

interface Watched {
  readonly context: OutboundContext;
  readonly subject: ReturnType<typeof describe>;
  readonly startedAt: number;
  readonly target: Target;
  readonly release: () => void;
  readonly dialled: Dialled;
}

/** Time-outs, session end, byte counts and the record of the end. */
function watch({ context, subject, startedAt, target, release, dialled }: Watched): Outbound {
  const { limits, audit, signal } = context;
  const { socket, address } = dialled;
  // An upstream proxy's answer does not count; what the host has said before anybody listened does, as the greeting of a mail server.
  const before = { sent: socket.bytesWritten, received: socket.bytesRead - socket.readableLength };
  let reason: EndReason | undefined;
  let tls: { serverName?: string; isEncryptedHello?: true } = {};
  const end = (why: EndReason): void => {
    reason ??= why;
    socket.destroy();
  };
  const onAbort = (): void => end('session_closed');
  const total = setTimeout(() => end('total_timeout'), limits.totalTimeoutMs);
  signal.addEventListener('abort', onAbort, { once: true });
  socket.setTimeout(limits.idleTimeoutMs, () => end('idle_timeout'));
  socket.once('close', (hadError) => {
    clearTimeout(total);
    signal.removeEventListener('abort', onAbort);
    release();
    const bytes = { bytesSent: socket.bytesWritten - before.sent, bytesReceived: socket.bytesRead - before.received };
    const durationMs = Math.round(performance.now() - startedAt);
    const record = { type: 'end', ...subject, ...(address === undefined ? {} : { address }), ...tls, ...bytes, durationMs } as const;
    audit.append({ ...record, end: reason ?? (hadError ? 'reset' : 'closed') }).catch(() => {});
  });
  if (signal.aborted) onAbort();
  const admits = (hello: ClientHello): boolean => {
    if (hello.type === 'hello') {
      const name = hello.serverName === undefined ? undefined : printable(hello.serverName);
      tls = { ...(name === undefined ? {} : { serverName: name }), ...(hello.isEncrypted ? { isEncryptedHello: true } : {}) };
    }
    const refusal = judgeHello(context, target, hello);
    if (!refusal) return true;
    const { serverName } = tls;
    context.denials.tell({
      decision: refusal,
      via: subject.via,
      host: subject.host,
      port: subject.port,
      ...(serverName ? { serverName } : {}),
    });
    return false;
  };
  return { socket, target, admits, end };
}

/**
 * The server name must be the name that was decided on (domain fronting). An address has no name to compare with; a client that sends no
 * name gets the server's default certificate. Both go through, on record.
 */
function judgeHello({ connector, network }: OutboundContext, target: Target, hello: ClientHello): Denied | undefined {
  if (hello.type === 'malformed') return denyServerName(connector, target, undefined);
  if (hello.type !== 'hello' || hello.serverName === undefined || target.type === 'address') return undefined;
  const name = parseName(hello.serverName);
  // Whoever may reach every host gains nothing by naming another one.
  if (name === target.name || (name !== undefined && network.type !== 'rules')) return undefined;
  return denyServerName(connector, target, name);
}

/** For records only: at most 253 characters, others than printable ASCII as `?`. */
export function printable(text: string): string {
  return text.slice(0, 253).replace(/[^\x21-\x7e]/g, '?');
}

function codeOf(error: unknown): string {
  if (error instanceof DialError) return error.code;
  const cause = (error as { cause?: unknown } | undefined)?.cause ?? error;
  return (cause as NodeJS.ErrnoException | undefined)?.code ?? 'ENOTFOUND';
}
