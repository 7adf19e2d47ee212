import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectFolder } from '../../helpers/cli-process.ts';
import { type ServedBulkhead, serveBulkhead } from '../../helpers/served-bulkhead.ts';

const folder = mkdtempSync(join(tmpdir(), 'bulkhead-lines-'));
let bulkhead: ServedBulkhead;

beforeAll(async () => {
  for (const name of ['writes-as-told.ts', 'wire.ts']) cpSync(join(projectFolder, 'test/fixtures/connectors', name), join(folder, name));
  writeFileSync(
    join(folder, 'connector.yaml'),
    'name: told\nversion: 1.0.0\ndescription: d\nprotocol: bulkhead/1\nrun: { command: [node, writes-as-told.ts] }\n' +
      'commands:\n  - { name: Write, description: d, parameters: { type: object, properties: { line: {} } } }\n',
  );
  bulkhead = await serveBulkhead({ config: `connectors:\n  told: { path: ${folder}, sandbox: none, limits: { memory: 512MiB } }\n` });
});
afterAll(async () => {
  await bulkhead[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** Python’s own, which the engine’s requests library is made of. */
const client = `
import http.client, json, sys
connection = http.client.HTTPConnection(sys.argv[1])
connection.request("POST", "/v1/do/told/Write", sys.argv[2].encode(), {"Content-Type": "application/json"})
answer = connection.getresponse()
print(json.dumps({"status": answer.status, "headers": answer.getheaders(), "body": answer.read().decode()}))
`;

interface Seen {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** What the engine’s client sees of a call whose connector writes these pieces as one line, each so many times. */
async function seenOf(line: readonly (readonly [text: string, times: number])[]): Promise<Seen> {
  const { host } = new URL(bulkhead.url);
  const { stdout } = await promisify(execFile)('python3', ['-c', client, host, JSON.stringify({ line })]);
  return JSON.parse(stdout) as Seen;
}

const resultHead = '{"jsonrpc":"2.0","id":"ID","result":';

describe('the engine’s HTTP client can read the answer', () => {
  test('to a result with a header in very many spellings', async () => {
    const spellings = Array.from({ length: 300 }, (_, bits) => {
      return Array.from('last-modified', (letter, place) => ((bits >> place) & 1 ? letter.toUpperCase() : letter)).join('');
    });
    const headers = Object.fromEntries([...new Set(spellings)].map((name, index) => [name, `${index}`]));
    expect(Object.keys(headers).length).toBeGreaterThan(100);
    const { status, headers: seen } = await seenOf([[`${resultHead}{"body":1,"headers":${JSON.stringify(headers)}}}`, 1]]);
    expect(status).toBe(200);
    const last = String(Object.keys(headers).length - 1);
    expect(seen.filter(([name]) => name.toLowerCase() === 'last-modified').map(([, value]) => value)).toEqual([last]);
  });

  test('to a result with a very long type', async () => {
    const { status, body } = await seenOf([
      [`${resultHead}{"spiff":{"response":"x","mimetype":"a/`, 1],
      ['b', 70_000],
      ['"}}}', 1],
    ]);
    expect(status).toBe(502);
    expect(JSON.parse(body).error.error_code).toBe('invalid_result');
  });

  test('to a result in its own form with very many members', async () => {
    const { status, body } = await seenOf([
      [`${resultHead}{"spiff":{"":0`, 1],
      [',"":0', 5_000_000],
      ['}}}', 1],
    ]);
    expect(status).toBe(502);
    expect(JSON.parse(body).error.message).toContain('it has more than 65536 members');
  });

  test('to an error with a very long message', async () => {
    const { status, body } = await seenOf([
      ['{"jsonrpc":"2.0","id":"ID","error":{"message":"', 1],
      ['é', 10_000_000],
      ['"}}', 1],
    ]);
    expect(status).toBe(500);
    expect(JSON.parse(body).error.message).toMatch(/^é{8191}…$/);
  });
});
