/** Bounds of the gateway. Every one has a default and a test that reaches it. */
export interface EgressLimits {
  /** One name resolution, waiting for its turn included. */
  readonly lookupTimeoutMs: number;
  /** Lookups of one connector that wait for their turn at the system's resolver. */
  readonly lookupsWaitingMax: number;
  /** All tries over the checked addresses together. */
  readonly connectTimeoutMs: number;
  /** No byte in either direction. */
  readonly idleTimeoutMs: number;
  /** Age of one connection. */
  readonly totalTimeoutMs: number;
  /** From accepting a connection of the proxy port, or from the last answer on it, to a whole request head; also for a TLS ClientHello. */
  readonly headTimeoutMs: number;
  /** Open connections of one connector, over all its workers: inward and outward are counted apart. */
  readonly connectionsMax: number;
  /** The same over all connectors; bounds the descriptors of the proxy. */
  readonly connectionsTotalMax: number;
  /** Names under wildcards that one worker may look up: each keeps its own loopback address for the worker's life. */
  readonly namesMax: number;
  /** Denials of one worker that are recorded and told one by one within a minute; more are counted into the next record. */
  readonly denialsPerMinuteMax: number;
}

export const egressLimitDefaults: EgressLimits = {
  lookupTimeoutMs: 5_000,
  lookupsWaitingMax: 128,
  connectTimeoutMs: 10_000,
  idleTimeoutMs: 300_000,
  totalTimeoutMs: 86_400_000,
  headTimeoutMs: 10_000,
  connectionsMax: 128,
  connectionsTotalMax: 4_096,
  namesMax: 4_096,
  denialsPerMinuteMax: 600,
};
