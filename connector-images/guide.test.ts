import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readManifest } from '../src/manifest/read-manifest.ts';
import { folderOf, runOneshot, startConnector } from './start-connector.ts';

const guide = readFileSync(new URL('../docs/connectors.md', import.meta.url), 'utf8');
let root: string;

/** Writes every block of the guide that begins with the name of a file, as a reader would, and copies the SDKs beside them. */
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'bulkhead-guide-'));
  for (const [, file = '', text = ''] of guide.matchAll(/```\w+\n(?:#|\/\/) (\S+\/\S+)\n([\s\S]*?)```/g)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  const copies = { greet: ['bulkhead.py'], 'greet-shell': ['bulkhead.sh', 'json.awk'], 'greet-node': ['bulkhead.ts'] };
  for (const [connector, files] of Object.entries(copies))
    for (const file of files) copyFileSync(`${folderOf('sdk')}${file}`, join(root, connector, file));
  writeFileSync(join(root, 'greet-node/package.json'), '{ "type": "module" }');
});
afterAll(() => rmSync(root, { recursive: true }));

describe('the connectors of docs/connectors.md', () => {
  it.each(['greet', 'greet-shell'])('%s has a manifest without faults', (connector) => {
    const result = readManifest({ file: 'connector.yaml', text: readFileSync(join(root, connector, 'connector.yaml'), 'utf8') });
    expect('faults' in result ? result.faults : []).toEqual([]);
  });

  it.each([
    ['greet', ['python3', 'main.py']],
    ['greet-node', ['node', 'main.ts']],
  ])('%s greets', async (connector, command) => {
    await using started = await startConnector({ folder: join(root, connector), command });
    expect((await started.invoke('Greet', '{"name":"Ada \\u2603 \\"x\\""}')).result).toEqual({ body: { greeting: 'Hello Ada ☃ "x"' } });
  });

  it('greet-shell greets', async () => {
    const document = '{"command":"Greet","input":{"name":"Ada \\u2603 \\"x\\""},"context":{"invocationId":"i"}}';
    const { stdout, code } = await runOneshot({ folder: join(root, 'greet-shell'), command: ['sh', 'main.sh'] }, document);
    expect([code, JSON.parse(stdout)]).toEqual([0, { body: { greeting: 'Hello Ada ☃ "x"' } }]);
  });

  it('greet answers the line that the guide prints into it', async () => {
    const [, line = ''] = /printf '%s\\n' '(\{.*\})' \| python3 greet\/main\.py/.exec(guide) ?? [];
    const { stdout, code } = await runOneshot({ folder: join(root, 'greet'), command: ['python3', 'main.py'] }, `${line}\n`);
    expect([code, stdout]).toEqual([0, '{"jsonrpc":"2.0","id":"1","result":{"body":{"greeting":"Hello Ada"}}}\n']);
  });
});
