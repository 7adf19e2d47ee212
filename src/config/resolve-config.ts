import { resolve } from 'node:path';
import type { FaultAt } from '../lib/faults.ts';
import { suggest } from '../lib/suggest.ts';
import { formatDuration } from '../lib/units.ts';
import type { ConnectorName } from '../manifest/names.ts';
import type { NetworkPolicy } from '../manifest/network.ts';
import type {
  ApiKeyConfig,
  Config,
  ConnectorConfig,
  EgressConfig,
  LimitsConfig,
  SecretSource,
  ServerConfig,
  WorkersConfig,
} from './config.ts';
import { defaults, engineTimeoutMs } from './defaults.ts';
import { environmentFaults, environmentWarnings } from './environment.ts';
import type { WrittenConfig, WrittenConnector, WrittenSecret, WrittenServer } from './schema.ts';

export interface ResolveOptions {
  /** Absolute path of the config file. */
  readonly file: string;
  /** Folder that relative paths begin at. */
  readonly folder: string;
  /** The reference's CONNECTOR_PROXY_API_KEY, used where the config has no keys of its own. */
  readonly apiKey?: string | undefined;
  /** The reference's CONNECTOR_PROXY_CORS_ORIGINS, a comma list, used where the config has none. */
  readonly corsOrigins?: string | undefined;
  /** From the command line; they win. */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  /** Of a proxy that runs: its port is shared until it ends, whatever a new config says. */
  readonly isPortShared?: boolean | undefined;
}

export interface Resolved {
  readonly config: Config;
  readonly faults: readonly FaultAt[];
  readonly warnings: readonly FaultAt[];
}

interface Notes {
  readonly faults: FaultAt[];
  readonly warnings: FaultAt[];
}

/** Names, units and paths as the rest of the program has them, and what no single value shows: contradictions, and doubtful wishes. */
export function resolveConfig(written: WrittenConfig, options: ResolveOptions): Resolved {
  const notes: Notes = { faults: [], warnings: [] };
  const server = resolveServer(written.server, options, notes);
  const engine = written.server.engine;
  const isPortShared = options.isPortShared === true || written.server.sharePort;
  const connectors = new Map<ConnectorName, ConnectorConfig>();
  for (const [key, connector] of Object.entries(written.connectors)) {
    const name = key as ConnectorName;
    connectors.set(name, resolveConnector(name, connector, { ...options, engine }, notes));
    if (isPortShared) refuseBesideSharedPort(['connectors', name], connector, notes);
  }
  checkKeyConnectors(server.apiKeys, [...connectors.keys()], notes);
  return { config: { file: options.file, server, connectors }, ...notes };
}

// ---- server -------------------------------------------------------------------------------------------------------------------

function resolveServer(written: WrittenServer, options: ResolveOptions, notes: Notes): ServerConfig {
  const host = options.host ?? written.host;
  const apiKeys = resolveApiKeys(written, options, notes);
  if (apiKeys.length === 0 && !isLoopback(host))
    notes.faults.push({
      path: ['server', 'host'],
      message: 'is reachable from other machines, and no API key is asked for',
      repair: 'add server.apiKeys, set CONNECTOR_PROXY_API_KEY, or listen on 127.0.0.1',
    });
  return {
    host,
    port: options.port ?? written.port,
    apiKeys,
    corsOrigins: resolveCorsOrigins(written, options, notes),
    bodyBytesMax: written.bodyMax,
    bodyTimeoutMs: written.bodyTimeout,
    headersTimeoutMs: written.headersTimeout,
    drainTimeoutMs: written.drain,
    invocationsMax: written.invocations,
    logLevel: written.logLevel,
    pull: written.pull,
    sandboxUser: written.sandboxUser,
    sharePort: written.sharePort,
    metrics: written.metrics,
    ...(written.audit === undefined
      ? {}
      : {
          audit: {
            folder: resolve(options.folder, written.audit.folder),
            fileBytesMax: written.audit.fileMax,
            filesMax: written.audit.files,
          },
        }),
    egress: resolveEgress(written.egress, options, notes),
  };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

function resolveApiKeys(written: WrittenServer, { apiKey, folder }: ResolveOptions, notes: Notes): readonly ApiKeyConfig[] {
  for (const index of repeated(written.apiKeys.map(({ name }) => name)))
    notes.faults.push({
      path: ['server', 'apiKeys', index, 'name'],
      message: 'is the name of another key too',
      repair: 'give each key its own name',
    });
  if (written.apiKeys.length > 0 || apiKey === undefined)
    return written.apiKeys.map(({ name, key, connectors }) => ({ name, key: resolveSecretSource(key, folder), connectors }));
  if (apiKey === '')
    notes.faults.push({
      path: ['server'],
      message: 'gets an empty API key from CONNECTOR_PROXY_API_KEY',
      repair: 'set it to a key, or unset it',
    });
  return [{ name: 'default', key: { type: 'env', env: 'CONNECTOR_PROXY_API_KEY' }, connectors: ['*'] }];
}

function checkKeyConnectors(apiKeys: readonly ApiKeyConfig[], names: readonly string[], { faults }: Notes): void {
  for (const [index, { connectors }] of apiKeys.entries()) {
    for (const [place, name] of connectors.entries()) {
      if (name === '*' || names.includes(name)) continue;
      const meant = suggest(name, names);
      faults.push({
        path: ['server', 'apiKeys', index, 'connectors', place],
        message: 'is no connector of this config',
        repair: meant === undefined ? 'write the name of a connector, or "*"' : `did you mean ${meant}?`,
      });
    }
  }
}

function resolveCorsOrigins(written: WrittenServer, { corsOrigins }: ResolveOptions, { faults }: Notes): readonly string[] {
  const given = (corsOrigins ?? '').split(',').map((origin) => origin.trim());
  const origins = written.corsOrigins ?? given.filter((origin) => origin !== '');
  for (const [index, origin] of origins.entries()) {
    if (URL.canParse(origin) && new URL(origin).origin === origin) continue;
    faults.push({
      path: written.corsOrigins === undefined ? ['server'] : ['server', 'corsOrigins', index],
      message:
        written.corsOrigins === undefined ? 'gets something that is no origin from CONNECTOR_PROXY_CORS_ORIGINS' : 'is not an origin',
      repair: 'write scheme://host or scheme://host:port, in lower case, without a path',
    });
  }
  return origins;
}

function resolveEgress(written: WrittenServer['egress'], { folder }: ResolveOptions, { faults }: Notes): EgressConfig {
  const { upstreamProxy: proxy } = written;
  const limits = {
    dnsServers: written.dnsServers,
    lookupTimeoutMs: written.lookupTimeout,
    connectTimeoutMs: written.connectTimeout,
    idleTimeoutMs: written.idleTimeout,
    totalTimeoutMs: written.totalTimeout,
    connectionsMax: written.connections,
    connectionsTotalMax: written.connectionsTotal,
  };
  if (proxy === undefined) return limits;
  const place = ['server', 'egress', 'upstreamProxy'];
  if ((proxy.user === undefined) !== (proxy.password === undefined))
    faults.push({ path: place, message: 'has only one of user and password', repair: 'write both, or neither' });
  if (!URL.canParse(proxy.url))
    faults.push({ path: [...place, 'url'], message: 'is not http://host:port', repair: 'write a port from 1 to 65535' });
  const { hostname, port } = URL.canParse(proxy.url) ? new URL(proxy.url) : { hostname: '', port: '' };
  const credentials =
    proxy.user === undefined || proxy.password === undefined
      ? {}
      : { credentials: { user: proxy.user, password: resolveSecretSource(proxy.password, folder) } };
  // The URL parser drops the scheme's own port.
  return {
    ...limits,
    upstreamProxy: { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80), resolve: proxy.resolve, ...credentials },
  };
}

// ---- connectors ---------------------------------------------------------------------------------------------------------------

type ConnectorOptions = ResolveOptions & { readonly engine?: string | undefined };

function resolveConnector(name: ConnectorName, written: WrittenConnector, options: ConnectorOptions, notes: Notes): ConnectorConfig {
  const place = ['connectors', name];
  const { folder } = options;
  warnOfWeakness(place, written, notes);
  notes.faults.push(...environmentFaults(written.environment, [...place, 'environment']));
  notes.warnings.push(...environmentWarnings(written.environment, [...place, 'environment']));
  return {
    name,
    source: resolveSource(place, written, options, notes),
    network: resolveNetwork(written.network),
    secrets: Object.fromEntries(Object.entries(written.secrets).map(([secret, source]) => [secret, resolveSecretSource(source, folder)])),
    ...(written.context === undefined ? {} : { context: written.context }),
    settings: written.settings,
    environment: written.environment,
    sandbox: written.sandbox,
    ...(written.dataFolder === undefined ? {} : { dataFolder: resolve(folder, written.dataFolder) }),
    readOnlyPaths: written.readOnlyPaths,
    limits: resolveLimits(place, written.limits, notes),
    workers: resolveWorkers(place, written.workers, notes),
  };
}

function resolveSource(
  place: readonly string[],
  { path, image, engine }: WrittenConnector,
  options: ConnectorOptions,
  { faults }: Notes,
): ConnectorConfig['source'] {
  if ((path === undefined) === (image === undefined))
    faults.push({
      path: place,
      message: path === undefined ? 'has neither path nor image' : 'has both path and image',
      repair: 'write exactly one: path for a folder, image for a container',
    });
  if (image === undefined) {
    if (engine !== undefined)
      faults.push({ path: [...place, 'engine'], message: 'is of no use to a folder', repair: 'remove it, or write image' });
    return { type: 'folder', path: resolve(options.folder, path ?? '') };
  }
  const chosen = engine ?? options.engine;
  if (chosen !== undefined && isPlainTcp(chosen))
    faults.push({
      path: engine === undefined ? ['server', 'engine'] : [...place, 'engine'],
      message: 'is an engine of another machine without TLS: whoever is on the way is root there',
      repair: 'write tcp://host:port?certs=/folder or ssh://user@host',
    });
  return { type: 'image', image, ...(chosen === undefined ? {} : { engine: chosen }) };
}

function isPlainTcp(engine: string): boolean {
  const host = /^tcp:\/\/(\[[^\]]*\]|[^:/]*)/.exec(engine)?.[1]?.replace(/^\[|\]$/g, '');
  return host !== undefined && !engine.includes('?certs=') && !isLoopback(host);
}

function resolveNetwork(written: WrittenConnector['network']): NetworkPolicy {
  if (Array.isArray(written)) return written.length === 0 ? { type: 'none' } : { type: 'rules', rules: written };
  if (typeof written === 'object') return { type: 'observe', rules: written.observe };
  return written === 'observe' ? { type: 'observe', rules: [] } : { type: written };
}

function resolveSecretSource({ env, file, command }: WrittenSecret, folder: string): SecretSource {
  if (env !== undefined) return { type: 'env', env };
  if (file !== undefined) return { type: 'file', file: resolve(folder, file) };
  return { type: 'command', command: command ?? [] };
}

function resolveLimits(place: readonly string[], written: WrittenConnector['limits'], { faults }: Notes): LimitsConfig {
  if (written.invocation + written.cancelGrace >= engineTimeoutMs)
    faults.push({
      path: [...place, 'limits', 'invocation'],
      message: `with cancelGrace comes to ${formatDuration(written.invocation + written.cancelGrace)}, and the engine gives up after ${formatDuration(engineTimeoutMs)}`,
      repair: `write less, so that both together stay below ${formatDuration(engineTimeoutMs)}`,
    });
  return {
    memoryBytesMax: written.memory,
    cpusMax: written.cpu,
    ...(written.cpuTime === undefined ? {} : { cpuTimeMaxMs: written.cpuTime }),
    pidsMax: written.pids,
    descriptorsMax: written.descriptors,
    fileBytesMax: written.file,
    tmpBytesMax: written.tmp,
    tmpInodesMax: written.tmpInodes,
    invocationTimeoutMs: written.invocation,
    startTimeoutMs: written.start,
    cancelGraceMs: written.cancelGrace,
    messageBytesMax: written.message,
    nestingMax: written.nesting,
  };
}

const keysOfMode = { pooled: ['min', 'concurrency', 'age', 'maxInvocations'], 'single-use': ['prewarm'] } as const;

function resolveWorkers(place: readonly string[], written: WrittenConnector['workers'], { faults }: Notes): WorkersConfig {
  const other = written.mode === 'pooled' ? 'single-use' : 'pooled';
  for (const key of keysOfMode[other]) {
    if (written[key] !== undefined)
      faults.push({
        path: [...place, 'workers', key],
        key: true,
        message: `means nothing with mode: ${written.mode}`,
        repair: `remove it, or write mode: ${other}`,
      });
  }
  const atLeast = written.mode === 'pooled' ? (written.min ?? defaults.pooled.min) : (written.prewarm ?? defaults.singleUse.prewarm);
  if (atLeast > written.max)
    faults.push({
      path: [...place, 'workers', written.mode === 'pooled' ? 'min' : 'prewarm'],
      message: 'is more than max',
      repair: 'raise max, or write less',
    });
  const shared = { max: written.max, queueMax: written.queue, idleTimeoutMs: written.idle };
  if (written.mode === 'single-use') return { mode: 'single-use', prewarm: atLeast, ...shared };
  return {
    mode: 'pooled',
    min: atLeast,
    concurrency: written.concurrency ?? defaults.pooled.concurrency,
    ageTimeoutMs: written.age ?? ageDefaultMs,
    invocationsMax: written.maxInvocations ?? defaults.pooled.maxInvocations,
    ...shared,
  };
}

/** `defaults.pooled.age`; the schema cannot fill it in, since it holds in one mode only. */
const ageDefaultMs = 3_600_000;

function warnOfWeakness(place: readonly string[], { sandbox, network, image }: WrittenConnector, { warnings }: Notes): void {
  if (sandbox === 'none')
    warnings.push({
      path: [...place, 'sandbox'],
      message: 'lets the connector run with the proxy’s own rights',
      repair: 'remove it where the sandbox works',
    });
  if (network === 'unsafe-host')
    warnings.push({
      path: [...place, 'network'],
      message: 'gives the connector the host’s network, past every rule',
      repair: 'list what it needs',
    });
  if (network === 'observe' || (typeof network === 'object' && 'observe' in network))
    warnings.push({
      path: [...place, 'network'],
      message: 'allows what no rule names, to learn it',
      repair: 'write what `bulkhead policy suggest` prints',
    });
  if (image !== undefined && !image.includes('@sha256:'))
    warnings.push({
      path: [...place, 'image'],
      message: 'names no digest, so that it may change',
      repair: 'add @sha256:…, or run `bulkhead lock` and `serve --frozen`',
    });
}

/**
 * The kernel lets whoever has the same user and network join a port that is shared (SO_REUSEPORT, socket(7)), and gives it a part of the
 * connections: calls of others, with their API keys. Of a connector in a container it depends on the image which user it has.
 */
function refuseBesideSharedPort(place: readonly string[], { sandbox, network, path }: WrittenConnector, { faults }: Notes): void {
  const message = 'lets the connector listen on the shared port too, and take calls of others';
  const orNone = 'or remove server.sharePort and restart';
  if (sandbox === 'none' && path !== undefined)
    faults.push({ path: [...place, 'sandbox'], message, repair: `remove it where the sandbox works, ${orNone}` });
  if (network === 'unsafe-host') faults.push({ path: [...place, 'network'], message, repair: `list what it needs, ${orNone}` });
}

function repeated(names: readonly string[]): readonly number[] {
  return names.flatMap((name, index) => (names.indexOf(name) < index ? [index] : []));
}
