import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ServedBulkhead, serveBulkhead } from '../helpers/served-bulkhead.ts';
import { ask, type HttpAnswer } from '../unit/http/served-app.ts';
import { type Difference, differences, omissions } from './differences.ts';
import { type Fixture, readFixtures } from './fixtures.ts';
import { jsonDifference } from './lossless.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const fixtures = readFixtures();

const images = 'PROJECT/connector-images';
const listed = (name: string): string => `  ${name}: { path: PROJECT/test/spiff/connectors/${name}, sandbox: none }`;
const example = `  example: { path: ${images}/example, sandbox: none }`;
// The keyed reference was recorded with these two only.
const connectors = `
connectors:
${example}
  http: { path: ${images}/http, sandbox: none, network: unsafe-host }
`;

const configs = {
  base: [connectors, listed('slack'), listed('smtp'), listed('postgres_v2')].join('\n'),
  keyed: `
server:
  apiKeys: [{ name: arena, key: { env: API_KEY }, connectors: ["*"] }]
  corsOrigins: ["http://localhost:7001", "https://arena.example.com"]
${connectors}`,
  edge: `
connectors:
  edge: { path: PROJECT/test/spiff/connectors/edge, sandbox: none }
`,
  broken: `
connectors:
${example}
  broken: { path: PROJECT/test/spiff/connectors/broken, sandbox: none }
`,
} as const;

let upstream: Upstream;
beforeAll(async () => {
  upstream = await startUpstream();
});
afterAll(() => upstream[Symbol.asyncDispose]());

test('every recorded exchange is run, or left out for a reason; no difference and no reason is left over', () => {
  const names = new Set(fixtures.map(({ name }) => name));
  expect(fixtures).toHaveLength(170);
  expect([...Object.keys(differences), ...Object.keys(omissions)].filter((name) => !names.has(name))).toEqual([]);
  expect(Object.keys(differences).filter((name) => name in omissions)).toEqual([]);
  expect(fixtures.filter(({ instance, name }) => !(instance in configs) && !(name in omissions))).toEqual([]);
});

describe.each(Object.entries(configs))('%s', (instance, config) => {
  let bulkhead: ServedBulkhead;
  beforeAll(async () => {
    bulkhead = await serveBulkhead({ config, environment: { API_KEY: 's3cret' } });
  });
  afterAll(() => bulkhead[Symbol.asyncDispose]());

  const ofInstance = fixtures.filter((fixture) => fixture.instance === instance && !(fixture.name in omissions));

  test.each(ofInstance.filter(({ name }) => !(name in differences)))('$name is as recorded', async (fixture) => {
    expectRecorded(await replay(fixture, bulkhead.url), fixture);
  });

  test.each(ofInstance.filter(({ name }) => name in differences))('$name differs on purpose', async (fixture) => {
    const answer = await replay(fixture, bulkhead.url);
    expectDifference(answer, differences[fixture.name] as Difference);
    // A difference that is none any more must leave the table.
    expect(() => expectRecorded(answer, fixture)).toThrow();
  });
});

/** The recorded place of the upstream, as it is in this run. */
function placed(text: string): string {
  return text.replaceAll('127.0.0.1:7099', `127.0.0.1:${upstream.port}`).replaceAll('{uniq}', `u${upstream.port}`);
}

async function replay({ request }: Fixture, url: string): Promise<HttpAnswer> {
  const { method, path, headers, body, body_base64 } = request;
  const bytes = body_base64 === undefined ? (body === null ? undefined : placed(body)) : Buffer.from(body_base64, 'base64');
  return await ask({ url, method, path, headers, body: bytes });
}

function expectRecorded({ status, headers, body }: HttpAnswer, { response }: Fixture): void {
  expect({ status, type: headers['content-type'] ?? '' }).toEqual({ status: response.status, type: response.content_type });
  expectHeaders(headers, response.headers ?? {});
  const recorded = recordedBody(response.body ?? '');
  if (isJson(recorded)) expect(jsonDifference(body, recorded)).toBeUndefined();
  else expect(body).toBe(recorded);
}

/** The one thing in it that names the client library: the connector says who it is. */
function recordedBody(body: string): string {
  return placed(body).replaceAll('python-requests/<version>', 'bulkhead-http/<version>');
}

function isJson(text: string): boolean {
  return /^\s*[[{]/.test(text);
}

function expectDifference({ status, headers, body }: HttpAnswer, expected: Difference): void {
  expect({ status, type: headers['content-type'] }).toEqual({ status: expected.status, type: expected.contentType ?? 'application/json' });
  expectHeaders(headers, expected.headers ?? {});
  if (expected.body !== undefined && isJson(expected.body)) expect(jsonDifference(body, expected.body)).toBeUndefined();
  else if (expected.body !== undefined) expect(body).toBe(expected.body);
  if (expected.errorCode === undefined) return;
  const { command_response, error, ...others } = JSON.parse(body);
  if (expected.isEnvelope) expect({ command_response, others }).toEqual(failedEnvelope(status));
  else expect({ command_response, others }).toEqual({ command_response: {}, others: {} });
  expect(error.error_code).toBe(expected.errorCode);
  expect(error.message).toContain(expected.message ?? '');
  if ('invocation-id' in headers) expect(error.invocation_id).toBe(headers['invocation-id']);
}

/** Around an error of the connector’s own. */
function failedEnvelope(status: number): object {
  return {
    command_response: { body: {}, mimetype: 'application/json', http_status: status },
    others: { command_response_version: 2, spiff__logs: expect.any(Array) },
  };
}

/** The order of what is allowed does not count. */
function expectHeaders(actual: HttpAnswer['headers'], expected: Readonly<Record<string, string>>): void {
  const lists = new Set(['allow', 'access-control-allow-methods']);
  const sorted = (value: unknown): string => String(value).split(', ').toSorted().join(', ');
  for (const [header, value] of Object.entries(expected)) {
    const name = header.toLowerCase();
    const is = actual[name];
    if (lists.has(name)) expect({ [name]: sorted(is) }).toEqual({ [name]: sorted(value) });
    else expect({ [name]: is }).toEqual({ [name]: value });
  }
}
