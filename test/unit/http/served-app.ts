import { request } from 'node:http';
import { type Catalog, type CatalogEntry, createCatalog } from '../../../src/catalog/catalog.ts';
import type { ConnectorConfig } from '../../../src/config/config.ts';
import type { Dispatcher } from '../../../src/dispatch/dispatcher.ts';
import { ProxyError } from '../../../src/errors.ts';
import { createApp } from '../../../src/http/app.ts';
import type { AppOptions, Readiness } from '../../../src/http/app-options.ts';
import { createMetrics } from '../../../src/http/metrics.ts';
import { type ServerLimits, startServer } from '../../../src/http/server.ts';
import { trustJsonText } from '../../../src/lib/json-text.ts';
import { createLogger } from '../../../src/log.ts';
import type { ConnectorName } from '../../../src/manifest/names.ts';
import { readManifest } from '../../../src/manifest/read-manifest.ts';
import type { Invocation, Outcome, Phases } from '../../../src/worker/invocation.ts';

export const phases: Phases = { queueMs: 0, startMs: 0, runMs: 1, replyBytes: 2 };

/** Answers with the input as the body. */
export function echo({ input }: Invocation): Outcome {
  return { type: 'success', reply: { type: 'body', body: input, logs: [] }, phases };
}

export function spiff(text: string, type: 'success' | 'accepted' = 'success'): () => Outcome {
  return () => ({ type, reply: { type: 'spiff', result: trustJsonText(Buffer.from(text)), logs: [] }, phases });
}

interface ServedAppOptions extends Partial<Omit<AppOptions, 'server' | 'metrics' | 'dispatcher'>> {
  readonly server?: Partial<AppOptions['server']>;
  readonly limits?: Partial<ServerLimits>;
  readonly invoke?: (invocation: Invocation) => Outcome | Promise<Outcome>;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** The API on a port of its own, with commands that run in this process: what is tested is http/, nothing below it. */
export async function serveApp({ invoke = echo, server, limits, ...options }: ServedAppOptions = {}) {
  const invocations: Invocation[] = [];
  const lines: Record<string, unknown>[] = [];
  const dispatcher = inMemoryDispatcher(invocations, invoke);
  const app = createApp({
    catalog: constant(testCatalog()),
    keys: [],
    logger: createLogger({ level: 'info', destination: { write: (line) => void lines.push(JSON.parse(line)) } }),
    readiness: constant<Readiness>({ state: 'ready', controls: [] }),
    version: '1.2.3',
    ...options,
    dispatcher,
    metrics: createMetrics({ status: dispatcher.status, version: '1.2.3' }),
    server: { bodyBytesMax: 1_000_000, bodyTimeoutMs: 5_000, corsOrigins: [], invocationsMax: 100, metrics: true, ...server },
  });
  const running = await startServer({
    app,
    host: '127.0.0.1',
    port: 0,
    limits: { headersTimeoutMs: 5_000, bodyTimeoutMs: 5_000, ...limits },
  });
  return {
    ...running,
    invocations,
    lines,
    port: Number(new URL(running.url).port),
    async ask(method: string, path: string, { headers = {}, body }: { headers?: object; body?: string | Buffer } = {}) {
      return ask({ url: running.url, method, path, headers, body });
    },
    async invoke(body: string | Buffer, headers: object = {}) {
      return ask({
        url: running.url,
        method: 'POST',
        path: '/v1/do/test/Echo',
        headers: { 'Content-Type': 'application/json', ...headers },
        body,
      });
    },
    async [Symbol.asyncDispose]() {
      await running.close(Date.now());
      app[Symbol.dispose]();
    },
  };
}

interface Ask {
  readonly url: string;
  readonly method: string;
  readonly path: string;
  readonly headers: object;
  readonly body: string | Buffer | undefined;
}

/** Not fetch, which normalises paths and headers that are tested here. A connection of its own, as the engine makes one. */
export async function ask({ url, method, path, headers, body }: Ask): Promise<HttpAnswer> {
  const { hostname, port } = new URL(url);
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const length = body === undefined || 'Transfer-Encoding' in headers ? {} : { 'Content-Length': Buffer.byteLength(body) };
  const sent = request({ host: hostname, port, method, path, headers: { ...length, ...headers }, agent: false }, (answer) => {
    const chunks: Buffer[] = [];
    answer.on('data', (chunk: Buffer) => chunks.push(chunk));
    answer.on('error', reject);
    answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks).toString() }));
  });
  sent.on('error', reject);
  sent.end(body);
  return promise;
}

/** Two connectors with readable manifests and one without. */
export function testCatalog(): Catalog {
  return createCatalog([availableEntry('test'), availableEntry('other'), brokenEntry]);
}

export function availableEntry(name: string, text = manifestText(name)): CatalogEntry {
  const read = readManifest({ text, file: 'connector.yaml' });
  if (!read.ok) throw new Error(JSON.stringify(read.faults));
  const config = connectorConfig(name);
  return { connector: { state: 'available', name: config.name, config, manifest: read.manifest }, checks: read.checks };
}

const manifestText = (name: string): string => `
name: ${name}
version: 1.0.0
description: For tests
run: { command: [never-started] }
commands:
  - name: Echo
    description: Anything
    parameters: { type: object, additionalProperties: true }
  - name: Strict
    description: One text
    parameters:
      type: object
      required: [text]
      properties: { text: { type: string }, count: { type: integer }, anything: {} }
  - name: Context
    description: With the engine's data
    context: [task_data, process_instance_id, process_model_identifier, task_id, callback_url]
`;

const brokenEntry: CatalogEntry = {
  connector: {
    state: 'unavailable',
    name: 'broken' as ConnectorName,
    config: connectorConfig('broken'),
    reason: new ProxyError('connector_unavailable', 'Connector broken has a manifest with faults: no commands.'),
    faults: [],
  },
  checks: new Map(),
};

function connectorConfig(name: string): ConnectorConfig {
  return {
    name: name as ConnectorName,
    source: { type: 'folder', path: `/connectors/${name}` },
    network: { type: 'none' },
    secrets: { TOKEN: { type: 'command', command: ['print-token', 'hunter2'] } },
    settings: {},
    environment: { MODE: 'fast' },
    sandbox: 'enforced',
    limits: { invocationTimeoutMs: 30_000, nestingMax: 64, messageBytesMax: 500_000 } as ConnectorConfig['limits'],
    workers: { mode: 'single-use', prewarm: 0, max: 1, queueMax: 1, idleTimeoutMs: 1000 },
  } as unknown as ConnectorConfig;
}

function inMemoryDispatcher(invocations: Invocation[], invoke: (invocation: Invocation) => Outcome | Promise<Outcome>): Dispatcher {
  return {
    async invoke(invocation) {
      // As it was: its memory is given back with the answer.
      invocations.push({ ...invocation, input: structuredClone(invocation.input) });
      return invoke(invocation);
    },
    status: () =>
      new Map([['test', { workers: { starting: 0, ready: 1, busy: 2, closing: 0 }, queueLength: 3, running: 4, restarts: 5 }]]) as never,
    apply() {},
    async close() {},
  };
}

function constant<T>(value: T): () => T {
  return () => value;
}
