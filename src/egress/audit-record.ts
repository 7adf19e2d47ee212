/**
 * Lines of the audit log. Each is one JSON object whose first members are `time` and `previous`, the SHA-256 of the line before it (without
 * its line feed), across files and restarts. Fields are added, never renamed. No values of parameters, no secrets, no payload.
 */
export type AuditRecord = DecisionRecord | EndRecord | InvocationRecord | FileRecord | GapRecord | RepairRecord;

/** How a connector asked. */
export type Via = 'host' | 'http' | 'connect' | 'socks5' | 'dns';

/** One decision of the egress gateway, written before the first byte goes out. */
export interface DecisionRecord {
  readonly type: 'decision';
  readonly connector: string;
  /** Ids of the connector's invocations in flight in the worker that asked. */
  readonly invocations: readonly string[];
  readonly via: Via;
  /** A name or address in canonical form; for an unreadable target the start of what was sent, other than printable ASCII as `?`. */
  readonly host: string;
  /** 0: a name was looked up. */
  readonly port: number;
  readonly verdict: 'allow' | 'deny';
  readonly reason: string;
  readonly rule?: string;
  /** Number of the connection, unique within one run of the proxy; ties the decision to its end. */
  readonly connection?: number;
  /** The checked addresses, in the order they are tried. */
  readonly addresses?: readonly string[];
  readonly serverName?: string;
  /** Denials before this one that were counted but not recorded one by one. */
  readonly suppressed?: number;
}

export type EndReason = 'closed' | 'reset' | 'idle_timeout' | 'total_timeout' | 'session_closed' | 'denied' | 'unreachable';

/** The end of an allowed connection. Repeats what the decision said, so that one line tells the whole story. */
export interface EndRecord {
  readonly type: 'end';
  readonly connector: string;
  readonly invocations: readonly string[];
  readonly connection: number;
  readonly via: Via;
  readonly host: string;
  readonly port: number;
  readonly verdict: 'allow';
  readonly reason: string;
  readonly rule?: string;
  /** The address that was dialled and answered. */
  readonly address?: string;
  /** TLS server name as the client sent it. */
  readonly serverName?: string;
  /** The client sent an encrypted ClientHello, or a decoy of one. */
  readonly isEncryptedHello?: boolean;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly durationMs: number;
  readonly end: EndReason;
  /** For `unreachable`: ECONNREFUSED, … */
  readonly error?: string;
}

export interface InvocationRecord {
  readonly type: 'invocation';
  readonly connector: string;
  readonly command: string;
  readonly invocation: string;
  /** Name of the API key that was used. */
  readonly key?: string;
  readonly outcome: 'success' | 'failure' | 'accepted';
  /** Error code of a failure. */
  readonly code?: string;
  readonly durationMs: number;
  readonly requestBytes?: number;
  readonly replyBytes?: number;
}

/** First line of each file. */
export interface FileRecord {
  readonly type: 'file';
  readonly version: 1;
  /** Counts files from 1. */
  readonly sequence: number;
}

/** The log could not be written for a while; connections were refused meanwhile. */
export interface GapRecord {
  readonly type: 'gap';
  readonly lost: number;
  readonly reason: string;
}

/** The proxy was killed in the middle of a line; its bytes were removed at the next start. */
export interface RepairRecord {
  readonly type: 'repair';
  readonly bytesRemoved: number;
}

/** `previous` of the very first line. */
export const chainStart = '0'.repeat(64);
