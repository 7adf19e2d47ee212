import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { AuditRecord, DecisionRecord, EndRecord } from '../../../src/egress/audit-record.ts';
import { postJson, projectFolder } from '../../helpers/cli-process.ts';
import { leftoverMark } from '../../helpers/leftovers.ts';
import { type ServedBulkhead, serveBulkhead } from '../../helpers/served-bulkhead.ts';
import { startTestHosts, type TestHosts } from './test-hosts.ts';

export type Client =
  | 'node fetch'
  | 'node:http'
  | 'python urllib'
  | 'python requests'
  | 'curl'
  | 'java'
  | 'python smtplib'
  | 'python socket'
  | 'node:net'
  | 'perl socket'
  | 'node:tls';

/** What came of one target; `status` is the HTTP status, or the bytes that a raw client got. */
export interface ClientResult {
  readonly target: string;
  readonly ok: boolean;
  readonly status?: number;
  readonly body?: string;
  readonly error?: string;
  readonly ms: number;
}

export interface Answer {
  readonly status: number;
  readonly invocation: string;
  readonly body: unknown;
  readonly logs: readonly string[];
  readonly error: { readonly error_code: string; readonly message: string } | null;
}

export interface EgressFiles extends Disposable {
  readonly config: string;
  readonly auditFolder: string;
}

export interface EgressOptions {
  /** By name: the value of `network`. The name `http` is the http connector, every other one runs the clients of this folder. */
  readonly connectors: (hosts: TestHosts) => Readonly<Record<string, unknown>>;
  /** More of server.egress. */
  readonly egress?: (hosts: TestHosts) => Readonly<Record<string, unknown>>;
}

export interface ServedEgress extends AsyncDisposable {
  readonly hosts: TestHosts;
  readonly log: ServedBulkhead['log'];
  invoke(connector: string, command: string, input: unknown): Promise<Answer>;
  run(connector: string, client: Client, via: 'proxy' | 'direct', targets: readonly string[]): Promise<RunAnswer>;
  records(): readonly AuditRecord[];
}

export interface RunAnswer extends Answer {
  readonly results: readonly ClientResult[];
}

/** A folder with connectors and the config that grants them their network; YAML takes JSON. */
export function writeEgressFiles(hosts: TestHosts, { connectors, egress }: EgressOptions): EgressFiles {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-egress-'));
  chmodSync(folder, 0o755);
  const auditFolder = join(folder, 'audit');
  const certificates = join(hosts.authorityFolder, 'ca.pem');
  const environment = {
    [leftoverMark.name]: leftoverMark.value,
    NODE_EXTRA_CA_CERTS: certificates,
    SSL_CERT_FILE: certificates,
    REQUESTS_CA_BUNDLE: certificates,
    CURL_CA_BUNDLE: certificates,
    // The heap here, as deployers do: the proxy that the gateway sets by the same variable must not be lost.
    JAVA_TOOL_OPTIONS: '-Xmx96m -XX:+UseSerialGC -XX:TieredStopAtLevel=1',
    JDK_JAVA_OPTIONS: `-Djavax.net.ssl.trustStore=${hosts.authorityFolder}/ca.p12 -Djavax.net.ssl.trustStorePassword=changeit`,
  };
  const entryOf = ([name, network]: [string, unknown]) => {
    const path = name === 'http' ? join(projectFolder, 'connector-images/http') : join(folder, name);
    if (name !== 'http') copyClients(path, name);
    const limits = { memory: '512MiB', start: '30s' };
    return [name, { path, network, environment, limits, readOnlyPaths: [hosts.authorityFolder] }] as const;
  };
  const config = {
    server: { audit: { folder: auditFolder }, egress: { dnsServers: [hosts.dnsServer], ...egress?.(hosts) } },
    connectors: Object.fromEntries(Object.entries(connectors(hosts)).map(entryOf)),
  };
  const file = join(folder, 'bulkhead.yaml');
  writeFileSync(file, JSON.stringify(config));
  return { config: file, auditFolder, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

function copyClients(path: string, name: string): void {
  cpSync(join(import.meta.dirname, 'clients'), path, { recursive: true });
  const manifest = join(path, 'connector.yaml');
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('NAME', name));
}

/** A whole proxy with real sandboxes, and a world outside that is on loopback. */
export async function serveEgress(options: EgressOptions): Promise<ServedEgress> {
  const stack = new AsyncDisposableStack();
  const hosts = stack.use(await startTestHosts());
  const files = stack.use(writeEgressFiles(hosts, options));
  const served = stack.use(await serveBulkhead({ config: readFileSync(files.config, 'utf8') }));
  const invoke: ServedEgress['invoke'] = (connector, command, input) => invokeAt(served.url, `${connector}/${command}`, input);
  return {
    hosts,
    log: served.log,
    invoke,
    run: async (connector, client, via, targets) => toRunAnswer(await invoke(connector, 'Run', { client, via, targets })),
    records: () => readAudit(files.auditFolder),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export async function invokeAt(url: string, command: string, input: unknown): Promise<Answer> {
  const response = await postJson(`${url}/v1/do/${command}`, input);
  const envelope = (await response.json()) as {
    readonly command_response: { readonly body: unknown };
    readonly error: Answer['error'];
    readonly spiff__logs?: readonly string[];
  };
  return {
    status: response.status,
    invocation: response.headers.get('invocation-id') ?? '',
    body: envelope.command_response.body,
    logs: envelope.spiff__logs ?? [],
    error: envelope.error ?? null,
  };
}

export function toRunAnswer(answer: Answer): RunAnswer {
  if (answer.error !== null) throw new Error(`the clients did not run: ${JSON.stringify(answer)}`);
  const { results, stderr } = answer.body as { results: readonly ClientResult[]; stderr: string };
  if (results.length === 0) throw new Error(`the client told nothing: ${stderr}`);
  return { ...answer, results };
}

export function readAudit(folder: string): readonly AuditRecord[] {
  const lines = readFileSync(join(folder, 'audit.jsonl'), 'utf8').split('\n');
  // The last one may be half written.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as AuditRecord);
}

export function decisions({ records }: Pick<ServedEgress, 'records'>, invocation: string): readonly DecisionRecord[] {
  return records().filter((record): record is DecisionRecord => record.type === 'decision' && record.invocations.includes(invocation));
}

/** Refusals are written after they are answered, so they are waited for. */
export async function expectDecisions(
  served: Pick<ServedEgress, 'records'>,
  invocation: string,
  expected: readonly unknown[],
): Promise<void> {
  await expect.poll(() => decisions(served, invocation), { timeout: 10_000 }).toMatchObject(expected);
}

/** The ends of all connections that an invocation was allowed; waits until there are as many as were allowed. */
export async function ends(served: Pick<ServedEgress, 'records'>, invocation: string): Promise<readonly EndRecord[]> {
  const allowed = decisions(served, invocation).flatMap(({ verdict, connection }) => (verdict === 'allow' ? [connection] : []));
  const found = () =>
    served.records().filter((record): record is EndRecord => record.type === 'end' && allowed.includes(record.connection));
  await expect.poll(() => found().length, { timeout: 10_000 }).toBe(allowed.length);
  return found();
}
