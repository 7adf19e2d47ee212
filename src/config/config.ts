import type { ContextName } from '../manifest/manifest.ts';
import type { ConnectorName } from '../manifest/names.ts';
import type { NetworkPolicy } from '../manifest/network.ts';

/** What a deployer writes, checked, with defaults filled in and units resolved. */
export interface Config {
  /** The file it came from; relative paths were resolved against its folder. */
  readonly file: string;
  readonly server: ServerConfig;
  readonly connectors: ReadonlyMap<ConnectorName, ConnectorConfig>;
}

export interface ServerConfig {
  readonly host: string;
  readonly port: number;
  readonly apiKeys: readonly ApiKeyConfig[];
  readonly corsOrigins: readonly string[];
  readonly bodyBytesMax: number;
  readonly bodyTimeoutMs: number;
  readonly headersTimeoutMs: number;
  /** How long SIGTERM waits for invocations that run, before it ends them. */
  readonly drainTimeoutMs: number;
  /** Invocations of all connectors that may run or wait at once. */
  readonly invocationsMax: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Whom sandboxes run as when the proxy is root. */
  readonly sandboxUser: string;
  /** Whether an image that the engine does not have is pulled. */
  readonly pull: 'missing' | 'never';
  /** Whether other proxies may listen on the same port. */
  readonly sharePort: boolean;
  /** Whether GET /metrics answers. */
  readonly metrics: boolean;
  /** Undefined: no audit log is kept. */
  readonly audit?: AuditConfig;
  readonly egress: EgressConfig;
}

interface AuditConfig {
  readonly folder: string;
  /** Bytes after which a file is put aside. */
  readonly fileBytesMax: number;
  /** Files kept, the current one included. */
  readonly filesMax: number;
}

/** How the egress gateway itself gets out. The limits hold for every connector. */
export interface EgressConfig {
  readonly upstreamProxy?: UpstreamProxyConfig;
  /** `address` or `address:port`; empty: the system’s resolver is asked. */
  readonly dnsServers: readonly string[];
  readonly lookupTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly totalTimeoutMs: number;
  /** Open connections of one connector. */
  readonly connectionsMax: number;
  /** Open connections of all connectors. */
  readonly connectionsTotalMax: number;
}

interface UpstreamProxyConfig {
  readonly host: string;
  readonly port: number;
  readonly credentials?: { readonly user: string; readonly password: SecretSource };
  /** Who resolves names: the gateway, which checks every address, or the proxy, which is then trusted not to lead to private ranges. */
  readonly resolve: 'gateway' | 'proxy';
}

export interface ApiKeyConfig {
  readonly name: string;
  readonly key: SecretSource;
  /** Connectors the key may see and use; `*` is all. */
  readonly connectors: readonly string[];
}

export type SecretSource =
  | { readonly type: 'env'; readonly env: string }
  | { readonly type: 'file'; readonly file: string }
  | { readonly type: 'command'; readonly command: readonly string[] };

export interface ConnectorConfig {
  readonly name: ConnectorName;
  readonly source:
    | { readonly type: 'folder'; readonly path: string }
    | { readonly type: 'image'; readonly image: string; readonly engine?: string };
  readonly network: NetworkPolicy;
  readonly secrets: Readonly<Record<string, SecretSource>>;
  /** Engine data that its commands may be handed; undefined: whatever their manifest's `context` asks for. */
  readonly context?: readonly ContextName[];
  /** Handed to the connector as `config` in `initialize`. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string>>;
  readonly sandbox: 'enforced' | 'none';
  readonly dataFolder?: string;
  /** Files and folders of the host that the connector sees read-only at the same place. */
  readonly readOnlyPaths: readonly string[];
  readonly limits: LimitsConfig;
  readonly workers: WorkersConfig;
}

export interface LimitsConfig {
  readonly memoryBytesMax: number;
  readonly cpusMax: number;
  readonly cpuTimeMaxMs?: number;
  readonly pidsMax: number;
  readonly descriptorsMax: number;
  readonly fileBytesMax: number;
  readonly tmpBytesMax: number;
  readonly tmpInodesMax: number;
  /** From the arrival of the request to the answer; below the engine’s 45 s. */
  readonly invocationTimeoutMs: number;
  /** From the start of the process to the answer to `initialize`. */
  readonly startTimeoutMs: number;
  /** How long a cancelled invocation may still answer before its worker is killed. */
  readonly cancelGraceMs: number;
  /** Size of one message in either direction. */
  readonly messageBytesMax: number;
  readonly nestingMax: number;
}

export type WorkersConfig = PooledWorkersConfig | SingleUseWorkersConfig;

interface PooledWorkersConfig {
  readonly mode: 'pooled';
  readonly min: number;
  readonly max: number;
  /** Invocations of one worker at once. */
  readonly concurrency: number;
  readonly queueMax: number;
  readonly idleTimeoutMs: number;
  readonly ageTimeoutMs: number;
  readonly invocationsMax: number;
}

interface SingleUseWorkersConfig {
  readonly mode: 'single-use';
  /** Workers started ahead of time. */
  readonly prewarm: number;
  readonly max: number;
  readonly queueMax: number;
  /** A prewarmed worker that nobody used for this long is replaced or dropped. */
  readonly idleTimeoutMs: number;
}
