import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ServedBulkhead, serveBulkhead } from '../helpers/served-bulkhead.ts';
import { type Difference, differences, omissions } from './differences.ts';
import { readFixtures } from './fixtures.ts';
import { expectDifference, expectRecorded, replay } from './replay.ts';
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
    expectRecorded(await replay(fixture, bulkhead.url, upstream.port), fixture, upstream.port);
  });

  test.each(ofInstance.filter(({ name }) => name in differences))('$name differs on purpose', async (fixture) => {
    const answer = await replay(fixture, bulkhead.url, upstream.port);
    expectDifference(answer, differences[fixture.name] as Difference);
    // A difference that is none any more must leave the table.
    expect(() => expectRecorded(answer, fixture, upstream.port)).toThrow();
  });
});
