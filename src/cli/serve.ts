import { isDeepStrictEqual } from 'node:util';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load-config.ts';
import { ProxyError } from '../errors.ts';
import { faultText } from '../lib/faults.ts';
import { createLogger, type Logger } from '../log.ts';
import type { ConnectorName } from '../manifest/names.ts';
import type { Bulkhead } from './compose.ts';
import { type ConfigFileOptions, configFileOf, loadOptionsOf, readConfigAndWarnings, withConfig } from './config-file.ts';
import type { CliContext } from './context.ts';
import { logDestination } from './log-destination.ts';
import { probeAhead } from './probe-ahead.ts';
import { proveSecrets } from './prove-secrets.ts';
import { readVersion } from './version.ts';
import { watchFiles } from './watch.ts';

interface ServeOptions extends ConfigFileOptions {
  readonly watch?: boolean;
  readonly frozen?: boolean;
  readonly logFormat: 'auto' | 'json' | 'pretty';
}

/** `bulkhead serve`: runs until SIGTERM or SIGINT, then drains; SIGHUP reads the config again. */
export function addServe(program: Command, context: CliContext): void {
  withConfig(program.command('serve').description('serve the connectors of a config over HTTP'))
    .option('--host <address>', 'listen there instead', hostOf)
    .option('--port <number>', 'listen there instead; 0 takes any free one', portOf)
    .option('--watch', 'read the config again when it, or a connector’s folder, changes')
    .option('--frozen', 'refuse every image that is not the one in bulkhead.lock')
    .addOption(new Option('--log-format <format>', 'auto: pretty on a terminal').choices(['auto', 'json', 'pretty']).default('auto'))
    .action((options: ServeOptions) => serve(options, context));
}

async function serve(options: ServeOptions, context: CliContext): Promise<void> {
  const stop = new AbortController();
  const hungUp = onHangUp(context, stop.signal);
  const { config, warnings } = await readConfigAndWarnings(context, options);
  const { environment } = context.io;
  const logger = createLogger({ level: config.server.logLevel, destination: await logDestination(context.io, options.logFormat) });
  for (const warning of warnings) logger.warn({}, warning);
  await proveSecrets(config.connectors.values(), environment);
  const lock = options.frozen ? await (await import('./lock.ts')).readLock(config) : undefined;
  const probe = await probeAhead(config);
  const { startBulkhead } = await import('./compose.ts');
  const bulkhead = await startBulkhead({ config, environment, logger, version: readVersion(), lock, probe });
  const { drainTimeoutMs } = config.server;
  const watched = options.watch ? watchConfig({ signal: stop.signal, logger, reload: (names) => reload(names) }) : () => {};
  const taken = (next: Config): void => {
    watched(next);
    // Listening, keys and limits of the server are set up once; whoever changed them must not believe that they are in force.
    if (!isDeepStrictEqual(next.server, config.server)) logger.warn({}, 'the new config changes `server`, which takes a restart');
  };
  const isPortShared = config.server.sharePort;
  const read = () => loadConfig(configFileOf(options), { ...loadOptionsOf(context.io, options), isPortShared });
  const reload = createReload({ bulkhead, logger, read, taken });
  const stopped = untilSignal(context, logger, stop);
  watched(config);
  logger.info({ url: bulkhead.url, connectors: config.connectors.size }, `serving at ${bulkhead.url}`);
  hungUp(() => reload([]));
  const deadline = (await stopped) + drainTimeoutMs;
  await bulkhead.close(deadline);
  stop.abort();
  logger.info({}, 'stopped; nothing is left running');
}

/** Takes SIGHUP, which would end the process, from now on. What comes before there is something to reload is kept, as one wish. */
function onHangUp({ io }: CliContext, signal: AbortSignal): (reload: () => void) => void {
  let isWanted = false;
  let act = (): void => {
    isWanted = true;
  };
  io.onSignal('SIGHUP', () => act(), signal);
  return (reload) => {
    act = reload;
    if (isWanted) reload();
  };
}

/** The time at which the first signal came. A second one does not hurry: the drain has a deadline of its own. */
function untilSignal({ io }: CliContext, logger: Logger, stop: AbortController): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    const received = (): void => {
      logger.info({ signal: name }, 'stopping: no new work is taken; what runs may end until the drain time-out');
      resolve(Date.now());
    };
    io.onSignal(name, received, stop.signal);
  }
  return promise;
}

/** Reads the config again; `touched`: connectors whose files have changed. */
type Reload = (touched: readonly ConnectorName[]) => void;

interface ReloadOptions {
  readonly bulkhead: Bulkhead;
  readonly logger: Logger;
  readonly read: () => ReturnType<typeof loadConfig>;
  /** Told of every config that is in force from now on. */
  readonly taken: (config: Config) => void;
}

/** One reload at a time; a wish for another that comes meanwhile is kept, not lost. */
function createReload({ bulkhead, logger, read, taken }: ReloadOptions): Reload {
  const touched = new Set<ConnectorName>();
  let isWanted = false;
  let isRunning = false;
  const reloadOnce = async (names: readonly ConnectorName[]): Promise<boolean> => {
    const result = await read();
    if (!result.ok) {
      logger.error(
        { code: 'invalid_config', faults: result.faults.map(faultText) },
        'the new config has faults; the old one stays in force',
      );
      return false;
    }
    for (const warning of result.warnings) logger.warn({}, faultText(warning));
    await bulkhead.reload(result.config, names);
    taken(result.config);
    const { size } = result.config.connectors;
    logger.info({ connectors: size }, 'took the new config; changed connectors are replaced, others untouched');
    return true;
  };
  const run = async (): Promise<void> => {
    isRunning = true;
    while (isWanted) {
      isWanted = false;
      const names = [...touched];
      touched.clear();
      const isTaken = await reloadOnce(names).catch((error: unknown) => {
        const { code, message } = ProxyError.from(error);
        logger.error({ code }, `the reload failed, the old config stays in force: ${message}`);
        return false;
      });
      // Their files have changed all the same: the next reload replaces them.
      if (!isTaken) for (const name of names) touched.add(name);
    }
    isRunning = false;
  };
  return (names) => {
    for (const name of names) touched.add(name);
    isWanted = true;
    if (!isRunning) void run();
  };
}

interface WatchConfigOptions {
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly reload: Reload;
}

/** Watches the config, and the folders of its connectors; those of each config that follows take the place of the ones before. */
function watchConfig({ signal, logger, reload }: WatchConfigOptions): (config: Config) => void {
  const watching = new Map<string, AbortController>();
  const watchOnce = (path: string, names: readonly ConnectorName[]): void => {
    if (watching.has(path)) return;
    const stop = new AbortController();
    watching.set(path, stop);
    const failed = (code: string): void =>
      logger.warn({ cause: code }, `${path} cannot be watched wholly (${code}); send SIGHUP after changes`);
    watchFiles({ path, signal: AbortSignal.any([signal, stop.signal]), changed: () => reload(names), failed });
  };
  return ({ file, connectors }) => {
    const folders = new Map(
      [...connectors.values()].flatMap(({ name, source }) => (source.type === 'folder' ? [[source.path, name] as const] : [])),
    );
    for (const [path, stop] of watching) {
      if (path === file || folders.has(path)) continue;
      stop.abort();
      watching.delete(path);
    }
    watchOnce(file, []);
    for (const [path, name] of folders) watchOnce(path, [name]);
  };
}

/** As `server.host` is checked: an empty one would listen on every address. */
function hostOf(text: string): string {
  if (text === '' || text.length > 253) throw new InvalidArgumentError('It must be an address of this machine, e.g. 127.0.0.1.');
  return text;
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError('It must be a whole number from 0 to 65535.');
  return port;
}
