import { setImmediate as nextTurn } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type Catalog, createCatalog } from '../catalog/catalog.ts';
import type { Connector } from '../catalog/connector.ts';
import { loadCatalog } from '../catalog/load-catalog.ts';
import type { Config, ConnectorConfig, ServerConfig } from '../config/config.ts';
import { createMasker } from '../config/masker.ts';
import { readSecret, resolveApiKeys } from '../config/secrets.ts';
import { createDispatcher } from '../dispatch/create-dispatcher.ts';
import type { Dispatcher } from '../dispatch/dispatcher.ts';
import { type AuditLog, noAuditLog, openAuditLog } from '../egress/audit.ts';
import { createEgressGateway, type EgressGateway } from '../egress/gateway.ts';
import type { UpstreamProxy } from '../egress/upstream-proxy.ts';
import { ProxyError } from '../errors.ts';
import { hashApiKey } from '../http/api-keys.ts';
import { type App, createApp } from '../http/app.ts';
import type { Readiness } from '../http/app-options.ts';
import { createMetrics, noMetrics } from '../http/metrics.ts';
import { type RunningServer, startServer } from '../http/server.ts';
import type { Logger } from '../log.ts';
import type { ConnectorName } from '../manifest/names.ts';
import { type ControlReport, type probeSandbox, requireControls } from '../runner/doctor.ts';
import type { ImageLock } from '../runner/image-lock.ts';
import { policyOf } from '../sandbox/policy-of.ts';
import { createHandedSecrets, type HandedSecrets } from './handed-secrets.ts';
import { promisesSandbox } from './probe-ahead.ts';
import { proveSecrets } from './prove-secrets.ts';
import { createRunners, enginesOf, type Runners, type RunnersOptions } from './runners.ts';

export interface ComposeOptions extends Pick<RunnersOptions, 'keepsSpares'> {
  readonly config: Config;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly version: string;
  readonly lock?: ImageLock | undefined;
  /** Tries what sandboxes must refuse, and starts nothing where they do not. */
  readonly probe?: typeof probeSandbox;
}

/** A whole proxy that serves. Whoever started it must close it. */
export interface Bulkhead {
  readonly url: string;
  catalog(): Catalog;
  /**
   * Takes the connectors of a new config, and rotated secrets; `server` stays as it was started. `touched`: whose files have changed, and so are replaced.
   * @throws ProxyError `secret_missing` for a connector that would be new or replaced, `sandbox_unavailable`; the old config then stays
   */
  reload(config: Config, touched?: Iterable<ConnectorName>): Promise<void>;
  /** Stops accepting, lets what runs end until the deadline (milliseconds since the epoch), ends the rest. Idempotent; nothing is left. */
  close(deadline: number): Promise<void>;
}

/** Composes everything, from the bottom up, and takes it down in the opposite order; also when a step of the start fails. */
export async function startBulkhead(options: ComposeOptions): Promise<Bulkhead> {
  const stack = new AsyncDisposableStack();
  try {
    return await compose(options, stack);
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

async function compose(options: ComposeOptions, stack: AsyncDisposableStack): Promise<Bulkhead> {
  const { config, environment, logger, version } = options;
  const keys = await resolveApiKeys(config.server.apiKeys, { environment });
  const audit = stack.adopt(await openAudit(config.server, logger), (log) => log.close());
  const gateway = stack.adopt(await openGateway(options, audit), (opened) => opened.close());
  const runners = stack.adopt(createRunners({ ...options, ...config.server, gateway }), (made) => made.close());
  const secrets = createHandedSecrets(environment, logger);
  // Closed before its runners, also when the start fails: a worker that they end must not be started anew.
  const dispatcher = stack.adopt(makeDispatcher(options, runners, secrets), (made) => made.close(Date.now()));
  let catalog: Catalog = createCatalog([]);
  const revisions = new Map<ConnectorName, number>();
  let readiness: Readiness['state'] = 'starting';
  let controls: readonly ControlReport[] = [];
  // The probe takes about as long as 300 manifests; side by side they cost the longer of the two. No connector starts before both are done.
  const load = (next: Config) => Promise.all([loadCatalog(next, runners), proveControls({ ...options, config: next }, controls)]);
  /** Without a wait in it: a call meets the old config or the new one, never some of each. */
  const take = ([loaded, proven]: Awaited<ReturnType<typeof load>>, renewed: Iterable<ConnectorName> = []): void => {
    [catalog, controls] = [loaded, proven];
    for (const name of renewed) revisions.set(name, (revisions.get(name) ?? 0) + 1);
    logUnavailable(catalog, logger);
    logUnconfined(catalog, logger);
    dispatcher.apply([...catalog.connectors.values()].map((connector) => revised(connector, revisions)));
  };
  const reload: Bulkhead['reload'] = async (next, touched = []) => {
    const loaded = await load(next);
    const files = new Set(touched);
    const { replaced = [], kept = [] } = Object.groupBy(loaded[0].connectors.values(), (connector) =>
      files.has(connector.name) || !isDeepStrictEqual(connector, catalog.connectors.get(connector.name)) ? 'replaced' : 'kept',
    );
    // Workers that are replaced need their secrets at once, or a connector that works would be gone.
    const [rotated] = await Promise.all([secrets.rotated(kept.map(configOf)), proveSecrets(replaced.map(configOf), environment)]);
    secrets.forget([...replaced.map(({ name }) => name), ...rotated]);
    take(loaded, [...files, ...rotated]);
  };
  const metrics = config.server.metrics ? createMetrics({ status: () => dispatcher.status(), version }) : noMetrics;
  const app = stack.use(
    createApp({
      ...{ dispatcher, logger, version, server: config.server },
      audit: config.server.audit === undefined ? undefined : audit,
      catalog: () => catalog,
      keys: keys.map(({ name, key, connectors }) => ({ name, connectors, keyHash: hashApiKey(key) })),
      metrics,
      readiness: () => ({ state: readiness, controls }),
    }),
  );
  take(await load(config));
  const { host, port, sharePort } = config.server;
  const server = await startServer({ app, host, port, sharePort, limits: config.server }).catch((error: unknown) => {
    throw new ProxyError('invalid_config', `${host}:${port} cannot be listened on: it ${listenFault(error)}`, { cause: error });
  });
  readiness = 'ready';
  stack.adopt(setTimeout(prepare, prepareDelayMs, [app, metrics]).unref(), clearTimeout);
  return { url: server.url, catalog: () => catalog, reload, close: closeOnce(server, dispatcher, stack, () => (readiness = 'draining')) };
}

/**
 * Tries what the config promises: sandboxes of subprocesses, at the start or when a reload brings the first of them; engines of images.
 * @throws ProxyError `sandbox_unavailable`
 */
async function proveControls(
  { config, probe, environment, logger }: ComposeOptions,
  proven: readonly ControlReport[],
): Promise<readonly ControlReport[]> {
  if (probe === undefined) return proven;
  const kept = proven.filter(({ control }) => !control.startsWith('engine'));
  const sandbox = promisesSandbox(config) && kept.length === 0 ? probe({ userName: config.server.sandboxUser }) : [];
  const engines = proveEngines(enginesOf(config, environment), environment['SSH_AUTH_SOCK']);
  const controls = (await Promise.all([sandbox, engines])).flat();
  requireControls(controls);
  for (const { control, state, detail, repair } of controls) {
    if (state !== 'enforced' || repair !== undefined) logger.warn({ control, state, detail }, repair ?? 'this protection is not there');
  }
  return [...kept, ...controls];
}

async function proveEngines(addresses: readonly string[], sshAgent: string | undefined): Promise<readonly ControlReport[]> {
  if (addresses.length === 0) return [];
  const { probeEngines } = await import('../runner/doctor-engine.ts');
  return await probeEngines({ addresses, sshAgent });
}

function configOf({ config }: Connector): ConnectorConfig {
  return config;
}

function revised(connector: Connector, revisions: ReadonlyMap<ConnectorName, number>): Connector {
  const revision = revisions.get(connector.name);
  return revision === undefined || connector.state === 'unavailable' ? connector : { ...connector, revision };
}

function closeOnce(server: RunningServer, dispatcher: Dispatcher, stack: AsyncDisposableStack, began: () => void): Bulkhead['close'] {
  let closed: Promise<void> | undefined;
  return (deadline) => {
    closed ??= (async () => {
      began();
      await Promise.all([server.close(deadline + answerGraceMs), dispatcher.close(deadline)]);
      await stack.disposeAsync();
    })();
    return closed;
  };
}

/** What takes some 100 ms of loading code is for after the first answers, which tell who waits that the proxy is ready. */
const prepareDelayMs = 100;

/** One after the other, with a turn for calls in between: loading one leaves them none. Whether it fails is for the first request that needs it to tell. */
async function prepare(parts: readonly Pick<App, 'prepare'>[]): Promise<void> {
  for (const part of parts) {
    await part.prepare().catch(() => undefined);
    await nextTurn();
  }
}

/** After the last invocation was ended, for its answer to reach the client. */
const answerGraceMs = 1000;

function listenFault(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return 'is taken by another process; stop that one, or choose another server.port';
    case 'EADDRNOTAVAIL':
      return 'is no address of this machine; correct server.host';
    case 'EACCES':
      return 'needs rights that this user does not have; choose a server.port above 1023';
    default:
      return `was refused (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`;
  }
}

async function openAudit({ audit }: ServerConfig, log: Logger): Promise<AuditLog> {
  return audit === undefined ? noAuditLog : await openAuditLog({ ...audit, log });
}

async function openGateway({ config, environment, logger }: ComposeOptions, audit: AuditLog): Promise<EgressGateway> {
  const { upstreamProxy, dnsServers, ...limits } = config.server.egress;
  const proxy = upstreamProxy === undefined ? undefined : await resolveProxy(upstreamProxy, environment);
  return createEgressGateway({ audit, log: logger, limits, dnsServers, upstreamProxy: proxy });
}

async function resolveProxy(
  { host, port, resolve, credentials }: NonNullable<ServerConfig['egress']['upstreamProxy']>,
  environment: ComposeOptions['environment'],
): Promise<UpstreamProxy> {
  if (credentials === undefined) return { host, port, resolve };
  const password = await readSecret(credentials.password, { environment });
  const authorization = `Basic ${Buffer.from(`${credentials.user}:${password}`).toString('base64')}`;
  return { host, port, resolve, authorization };
}

function makeDispatcher({ logger, version }: ComposeOptions, runners: Runners, secrets: HandedSecrets): Dispatcher {
  return createDispatcher({
    logger,
    proxyVersion: version,
    runnerFor: ({ config }) => runners.runnerFor(config),
    policyFor: ({ config, manifest }) => policyOf(config, manifest),
    async secretsFor({ config }, signal) {
      const values = await secrets.hand(config, signal);
      return { values, mask: createMasker(Object.values(values)) };
    },
  });
}

function logUnavailable(catalog: Catalog, logger: Logger): void {
  for (const connector of catalog.connectors.values()) {
    if (connector.state === 'available') continue;
    logger.error({ connector: connector.name, code: connector.reason.code }, connector.reason.message);
  }
}

/** Explicit in the config, and still told at every start: nothing stands between such a connector and what the proxy may do. */
function logUnconfined({ connectors }: Catalog, logger: Logger): void {
  for (const { name, config } of connectors.values()) {
    if (config.sandbox === 'none')
      logger.warn({ connector: name, sandbox: 'none' }, `connector ${name} runs with sandbox: none, with the proxy’s own rights`);
  }
}
