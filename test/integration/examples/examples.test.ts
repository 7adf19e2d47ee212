import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { postJson, projectFolder, type ServeProcess, startServeProcess, temporaryFolder } from '../../helpers/cli-process.ts';
import { account, startFakeS3 } from '../../helpers/fake-s3.ts';

const examples = join(projectFolder, 'examples');
const apiKeyHeader = 'spiff-connector-proxy-api-key';

interface Answered {
  readonly status: number;
  readonly body: unknown;
  readonly error: { readonly error_code: string; readonly message: string } | null;
}

async function invoke(served: ServeProcess, id: string, input: unknown, key?: string): Promise<Answered> {
  const response = await postJson(`${served.url}/v1/do/${id}`, input, key === undefined ? {} : { [apiKeyHeader]: key });
  const answer = (await response.json()) as { command_response: { body?: unknown }; error: Answered['error'] };
  return { status: response.status, body: answer.command_response.body, error: answer.error };
}

describe('conflicting SDKs and Java, in one proxy', () => {
  // Installs from the package registry, or from npm's cache.
  beforeAll(async () => void (await promisify(execFile)(join(examples, 'conflicting-sdks/setup'))), 180_000);

  it('all answer, each with its own version of its SDK', { timeout: 120_000 }, async () => {
    await using folder = await temporaryFolder();
    const texts = await Promise.all(['conflicting-sdks', 'java-connector'].map((name) => absoluteConfig(name, 'bulkhead.yaml')));
    const [first = '', second = ''] = texts;
    await folder.write({ 'bulkhead.yaml': first + second.slice(second.indexOf('\nconnectors:') + '\nconnectors:'.length) });
    await using served = await startServeProcess(['--config', join(folder.path, 'bulkhead.yaml')]);
    const id = 'cfbff0d1-9375-5685-968c-48ce8b15ae17';
    const [orders, shipments, prices] = await Promise.all([
      invoke(served, 'orders/MakeId', { name: 'example.com' }),
      invoke(served, 'shipments/MakeId', { name: 'example.com' }),
      invoke(served, 'prices/AddTax', { net: 19.9, rate_percent: 19 }),
    ]);
    expect(orders.body).toEqual({ id, sdk: 'uuid 3.4.0' });
    expect(shipments.body).toEqual({ id, sdk: 'uuid 14.0.3' });
    expect(prices.body).toEqual({ tax: 3.78, gross: 23.68, java: expect.any(Number) });
  });
});

describe('client isolation', () => {
  const keys = { CLIENT_A_KEY: 'key-of-client-a', CLIENT_B_KEY: 'key-of-client-b' };
  const environment = {
    ...keys,
    CLIENT_A_AWS_ACCESS_KEY_ID: account.accessKeyId,
    CLIENT_A_AWS_SECRET_ACCESS_KEY: account.secretAccessKey,
  };
  /** Whatever would tell of AWS. */
  const trace = /aws|ListBuckets|Presign|amazon|s3\b/i;

  it('A uses AWS at its own proxy; B’s proxy has no trace of it, and takes no key of A', async () => {
    await using s3 = await startFakeS3();
    await using folder = await temporaryFolder({
      'a.yaml': withFakeS3(await absoluteConfig('client-isolation', 'client-a.yaml'), s3.host),
    });
    await using a = await startServeProcess(['--config', join(folder.path, 'a.yaml')], { environment });
    // B's proxy is not even given what is A's.
    await using b = await startServeProcess(['--config', join(examples, 'client-isolation/client-b.yaml')], {
      environment: { CLIENT_B_KEY: keys.CLIENT_B_KEY },
    });
    expect((await invoke(a, 'aws/ListBuckets', {}, keys.CLIENT_A_KEY)).body).toEqual({ buckets: ['invoices', 'photos'] });
    expect((await fetch(`${b.url}/v1/commands`, { headers: { [apiKeyHeader]: keys.CLIENT_A_KEY } })).status).toBe(401);
    expect((await fetch(`${a.url}/v1/commands`, { headers: { [apiKeyHeader]: keys.CLIENT_B_KEY } })).status).toBe(401);
    expect(await allThatIsShown(b, keys.CLIENT_B_KEY)).not.toMatch(trace);
  });

  it('at one proxy, B’s key sees nothing of aws in any list, and an error does not tell that it is there', async () => {
    await using s3 = await startFakeS3();
    await using folder = await temporaryFolder({
      'one.yaml': withFakeS3(await absoluteConfig('client-isolation', 'one-proxy.yaml'), s3.host),
    });
    await using served = await startServeProcess(['--config', join(folder.path, 'one.yaml')], { environment });
    expect((await invoke(served, 'aws/ListBuckets', {}, keys.CLIENT_A_KEY)).body).toEqual({ buckets: ['invoices', 'photos'] });
    expect((await invoke(served, 'example/Example', { message: 'hi' }, keys.CLIENT_B_KEY)).status).toBe(200);
    // A's key does see it, so that the next line can fail.
    expect(await allThatIsShown(served, keys.CLIENT_A_KEY)).toMatch(trace);
    expect(await allThatIsShown(served, keys.CLIENT_B_KEY)).not.toMatch(trace);
    const refused = await invoke(served, 'aws/ListBuckets', {}, keys.CLIENT_B_KEY);
    const unknown = await invoke(served, 'no-such/Command', {}, keys.CLIENT_B_KEY);
    expect(refused.status).toBe(404);
    expect({ ...refused, error: { ...refused.error, invocation_id: '' } }).toEqual({
      ...unknown,
      error: { ...unknown.error, invocation_id: '' },
    });
  });

  it('a wrong secret is a failure with S3’s own code, and a key that climbs is refused', async () => {
    await using s3 = await startFakeS3();
    await using folder = await temporaryFolder({
      'a.yaml': withFakeS3(await absoluteConfig('client-isolation', 'client-a.yaml'), s3.host),
    });
    const wrong = { ...environment, CLIENT_A_AWS_SECRET_ACCESS_KEY: 'another-secret' };
    await using a = await startServeProcess(['--config', join(folder.path, 'a.yaml')], { environment: wrong });
    const answer = await invoke(a, 'aws/ListBuckets', {}, keys.CLIENT_A_KEY);
    expect([answer.status, answer.error?.error_code]).toEqual([400, 'SignatureDoesNotMatch']);
    const link = await invoke(a, 'aws/PresignGet', { bucket: 'invoices', key: '2026/11 (a).pdf' }, keys.CLIENT_A_KEY);
    expect((link.body as { url: string }).url).toContain(
      `http://${s3.host}/invoices/2026/11%20%28a%29.pdf?X-Amz-Algorithm=AWS4-HMAC-SHA256&`,
    );
    const climbing = await invoke(a, 'aws/PresignGet', { bucket: 'invoices', key: '../photos/me.jpg' }, keys.CLIENT_A_KEY);
    expect([climbing.status, climbing.error?.error_code]).toEqual([400, 'InvalidKey']);
  });
});

/** An example's config as it is, but for its paths, so that it can be changed and lie elsewhere. */
async function absoluteConfig(example: string, file: string): Promise<string> {
  const folder = join(examples, example);
  const text = await readFile(join(folder, file), 'utf8');
  return text.replace(/(path: )(\.\S+)/g, (_, key: string, path: string) => `${key}${join(folder, path)}`);
}

function withFakeS3(config: string, host: string): string {
  return config
    .replace('{ region: eu-central-1 }', `{ region: eu-central-1, endpoint: "http://${host}" }`)
    .replace('s3.eu-central-1.amazonaws.com:443', host);
}

/** Every page that a key can read, in one text. */
async function allThatIsShown({ url }: ServeProcess, key: string): Promise<string> {
  const paths = [
    '/v1/commands',
    '/v1/connectors',
    '/v1/auths',
    '/openapi.json',
    '/readyz',
    '/healthz',
    '/metrics',
    '/liveness',
    '/docs',
    '/',
  ];
  const pages = paths.map(async (path) => {
    const response = await fetch(`${url}${path}`, { headers: { [apiKeyHeader]: key } });
    return `${path} ${response.status} ${JSON.stringify([...response.headers])} ${await response.text()}`;
  });
  return (await Promise.all(pages)).join('\n');
}
