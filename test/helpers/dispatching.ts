import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { ConnectorConfig, LimitsConfig, WorkersConfig } from '../../src/config/config.ts';
import { createMasker } from '../../src/config/masker.ts';
import { createDispatcher, type DispatcherOptions } from '../../src/dispatch/create-dispatcher.ts';
import type { Dispatcher } from '../../src/dispatch/dispatcher.ts';
import type { AvailableConnector } from '../../src/dispatch/worker-options.ts';
import { jsonTextOf } from '../../src/lib/json-text.ts';
import { utf8Of } from '../../src/lib/pieces.ts';
import { type LaterLines, type LogFields, type Logger, laterBytesMax } from '../../src/log.ts';
import type { CommandName, ConnectorName } from '../../src/manifest/names.ts';
import { createSubprocessRunner } from '../../src/runner/subprocess.ts';
import type { Invocation, InvocationId, Outcome } from '../../src/worker/invocation.ts';
import { leftoverMark } from './leftovers.ts';

export const fixturesFolder = fileURLToPath(new URL('../fixtures/connectors', import.meta.url));

export interface FixtureOptions {
  readonly command: readonly string[];
  readonly commands: readonly string[];
  readonly name?: string;
  readonly oneshot?: boolean;
  readonly limits?: Partial<LimitsConfig>;
  readonly workers?: Partial<WorkersConfig>;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string>>;
}

export const limitsDefault: LimitsConfig = {
  memoryBytesMax: 512 * 1024 * 1024,
  cpusMax: 2,
  pidsMax: 256,
  descriptorsMax: 1024,
  fileBytesMax: 64 * 1024 * 1024,
  tmpBytesMax: 64 * 1024 * 1024,
  tmpInodesMax: 10_000,
  invocationTimeoutMs: 30_000,
  startTimeoutMs: 20_000,
  cancelGraceMs: 500,
  messageBytesMax: 4 * 1024 * 1024,
  nestingMax: 512,
};

const pooled: WorkersConfig = {
  mode: 'pooled',
  min: 0,
  max: 1,
  concurrency: 8,
  queueMax: 64,
  idleTimeoutMs: 300_000,
  ageTimeoutMs: 3_600_000,
  invocationsMax: 10_000,
};

/** A connector of test/fixtures/connectors, run bare. */
export function fixture(options: FixtureOptions): AvailableConnector {
  const { command, commands, name = 'fixture', oneshot = false, limits = {}, workers = {}, settings = {}, environment = {} } = options;
  const connector = name as ConnectorName;
  const config: ConnectorConfig = {
    name: connector,
    source: { type: 'folder', path: fixturesFolder },
    network: { type: 'none' },
    secrets: {},
    settings,
    environment: { ...environment, [leftoverMark.name]: leftoverMark.value },
    sandbox: 'none',
    readOnlyPaths: [],
    limits: { ...limitsDefault, ...limits },
    workers: { ...pooled, ...workers } as WorkersConfig,
  };
  return {
    state: 'available',
    name: connector,
    folder: fixturesFolder,
    config,
    manifest: {
      name: connector,
      version: '1.0.0',
      description: '',
      protocol: oneshot ? 'oneshot' : 'bulkhead/1',
      run: { command, environment: {} },
      commands: commands.map((command) => ({
        name: command as CommandName,
        description: '',
        parameters: { type: 'object' },
        context: [],
      })),
      auths: [],
      requests: { network: [], secrets: [] },
    },
  };
}

/** `node FILE ARGUMENTS` of a fixture. */
export function nodeFixture(file: string, commands: readonly string[], options: Partial<FixtureOptions> = {}): AvailableConnector {
  const [name = '', ...args] = file.split(' ');
  return fixture({ commands, command: ['node', name, ...args], ...options });
}

export interface LogLine {
  readonly level: keyof Logger;
  readonly fields: LogFields;
  readonly message: string;
}

export interface TestDispatcher extends AsyncDisposable {
  readonly dispatcher: Dispatcher;
  readonly lines: LogLine[];
}

/** A dispatcher over real processes; disposing it closes it and its runner. */
export function dispatcherOf(connectors: readonly AvailableConnector[], options: Partial<DispatcherOptions> = {}): TestDispatcher {
  const lines: LogLine[] = [];
  const runner = createSubprocessRunner();
  const dispatcher = createDispatcher({
    runnerFor: () => runner,
    policyFor: ({ config }) => ({ sandbox: 'none', network: config.network, limits: config.limits, environment: config.environment }),
    secretsFor: async () => ({ values: { TOKEN: 'hunter2-hunter2' }, mask: createMasker(['hunter2-hunter2']) }),
    logger: recorder(lines),
    proxyVersion: '0.0.0',
    ...options,
  });
  dispatcher.apply(connectors);
  const dispose = async () => {
    await dispatcher.close(Date.now() + 2000);
    await runner.close();
  };
  return { dispatcher, lines, [Symbol.asyncDispose]: dispose };
}

export function recorder(lines: LogLine[]): Logger {
  const record = (level: keyof Logger) => (fields: LogFields, message: string) => void lines.push({ level, fields, message });
  const infoLater = (waiting: LaterLines) => () => {
    const bytes = Buffer.alloc(laterBytesMax);
    record('info')(JSON.parse(`{${bytes.toString('utf8', 0, waiting.put(bytes, 0))}}`) as LogFields, waiting.message);
  };
  return { debug: record('debug'), info: record('info'), infoLater, warn: record('warn'), error: record('error') };
}

export interface InvocationParts {
  readonly connector?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export function invocation(command: string, input: unknown = {}, parts: InvocationParts = {}): Invocation {
  const { connector = 'fixture', timeoutMs = 30_000, signal = new AbortController().signal } = parts;
  return {
    id: randomUUID() as string as InvocationId,
    connector: connector as ConnectorName,
    command: command as CommandName,
    input: jsonTextOf(input),
    engineData: {},
    attempt: 1,
    deadline: Date.now() + timeoutMs,
    expiresAt: performance.now() + timeoutMs,
    signal,
  };
}

/** The body of a success, parsed. */
export function bodyOf(outcome: Outcome): unknown {
  if (outcome.type === 'failure' || outcome.reply.type !== 'body') throw new Error(`not a body: ${describe(outcome)}`);
  return JSON.parse(utf8Of(outcome.reply.body));
}

/** Code and message of a failure. */
export function failureOf(outcome: Outcome): { readonly code: string; readonly message: string; readonly logs: readonly string[] } {
  if (outcome.type !== 'failure') throw new Error(`not a failure: ${describe(outcome)}`);
  const { failure } = outcome;
  if (failure.origin === 'proxy') return { code: failure.error.code, message: failure.error.message, logs: failure.logs };
  return { code: failure.errorCode, message: failure.message, logs: failure.logs };
}

export function describe(outcome: Outcome): string {
  return outcome.type === 'failure' ? `failure ${JSON.stringify(failureOf(outcome))}` : outcome.type;
}
