import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Schema, Validator } from '@cfworker/json-schema';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../../src/config/load-config.ts';
import { readManifest } from '../../../src/manifest/read-manifest.ts';

/** What editors use must say the same as Bulkhead, as far as JSON Schema can say it. */
const schemaOf = async (name: string): Promise<Validator> =>
  new Validator(
    JSON.parse(await readFile(new URL(`../../../docs/schema/${name}.schema.json`, import.meta.url), 'utf8')) as Schema,
    '2020-12',
  );

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'schema-'));
  await mkdir(join(folder, 'a'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('the published schema of bulkhead.yaml', () => {
  it.each([
    ['{ connectors: {} }', true],
    [
      '{ server: { bodyMax: 1.5MiB, drain: 0s, apiKeys: [{ name: x, key: { env: K } }] }, connectors: { a: { path: a, network: ["x.example:1"] } } }',
      true,
    ],
    ['{ connectors: { a: { path: a, network: unrestricted, limits: { cpu: 0.5 }, workers: { mode: single-use, prewarm: 1 } } } }', true],
    ['{ connectors: { a: { path: a, network: { observe: [] }, settings: { x: [1] }, secrets: { S: { command: [x] } } } } }', true],
    ['{}', false],
    ['{ connectors: { A: { path: a } } }', false],
    ['{ connectors: { a: { pth: a } } }', false],
    ['{ connectors: { a: { path: a, network: open } } }', false],
    ['{ connectors: { a: { path: a, network: { observ: [] } } } }', false],
    ['{ connectors: { a: { path: a, limits: { memory: 256 } } } }', false],
    ['{ connectors: { a: { path: a, limits: { memory: 256mb } } } }', false],
    ['{ connectors: { a: { path: a, secrets: { S: value } } } }', false],
    ['{ connectors: { a: { path: a, workers: { max: 0 } } } }', false],
    ['{ server: { port: 70000 }, connectors: {} }', false],
    ['{ server: [], connectors: {} }', false],
  ])('%s: %s', async (text, valid) => {
    expect((await schemaOf('config')).validate(parse(text)).valid).toBe(valid);
    await writeFile(join(folder, 'bulkhead.yaml'), text);
    expect((await loadConfig(join(folder, 'bulkhead.yaml'), { environment: {} })).ok).toBe(valid);
  });
});

describe('the published schema of connector.yaml', () => {
  it.each([
    ['{ name: a, commands: [{ name: B }] }', true],
    [
      '{ name: a, protocol: oneshot, run: { command: [sh, x] }, commands: [{ name: B, context: [task_id], parameters: { type: object } }], requests: { network: ["x.example:1"], secrets: [S] } }',
      true,
    ],
    ['{ name: a, commands: [] }', false],
    ['{ name: a }', false],
    ['{ name: a, version: 1.2, commands: [{ name: B }] }', false],
    ['{ name: a, commands: [{ name: B, context: [x] }] }', false],
    ['{ name: a, commands: [{ name: B, parameters: [] }] }', false],
    ['{ name: a, commands: [{ name: B }], extra: 1 }', false],
  ])('%s: %s', async (text, valid) => {
    expect((await schemaOf('manifest')).validate(parse(text)).valid).toBe(valid);
    expect(readManifest({ text, file: 'm' }).ok).toBe(valid);
  });
});
