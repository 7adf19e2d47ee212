/** Every default of bulkhead.yaml in one table, as a deployer would write it. The published schema and docs/config.md are made from it. */
export const defaults = {
  server: {
    host: '127.0.0.1',
    port: 7004,
    bodyMax: '32MiB',
    bodyTimeout: '30s',
    headersTimeout: '10s',
    drain: '20s',
    invocations: 4096,
    logLevel: 'info',
    sharePort: false,
    metrics: true,
    pull: 'missing',
    sandboxUser: 'bulkhead',
  },
  audit: { fileMax: '64MiB', files: 8 },
  egress: {
    lookupTimeout: '5s',
    connectTimeout: '10s',
    idleTimeout: '5m',
    totalTimeout: '1d',
    connections: 128,
    connectionsTotal: 4096,
    resolve: 'gateway',
  },
  limits: {
    memory: '256MiB',
    cpu: 1,
    pids: 64,
    descriptors: 1024,
    file: '64MiB',
    tmp: '64MiB',
    tmpInodes: 10_000,
    invocation: '40s',
    start: '10s',
    cancelGrace: '2s',
    message: '32MiB',
    nesting: 512,
  },
  workers: { mode: 'pooled', max: 4, queue: 64, idle: '5m' },
  pooled: { min: 0, concurrency: 8, age: '1h', maxInvocations: 10_000 },
  singleUse: { prewarm: 0 },
  secrets: { commandTimeoutMs: 10_000, bytesMax: 64 * 1024 },
} as const;

/** The engine's HTTP client gives up after this; an answer must be there before. */
export const engineTimeoutMs = 45_000;

/** Bounds of the file itself. */
export const configLimits = {
  fileBytesMax: 1024 * 1024,
  depthMax: 32,
  connectorsMax: 1024,
  apiKeysMax: 256,
  rulesMax: 256,
  dnsServersMax: 8,
  secretsMax: 64,
  environmentMax: 128,
} as const;
