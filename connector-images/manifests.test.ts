import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { describeParameters } from '../src/manifest/parameters.ts';
import { readManifest } from '../src/manifest/read-manifest.ts';
import { folderOf, startConnector } from './start-connector.ts';

const connectors = readdirSync(folderOf('.')).filter((name) => existsSync(`${folderOf(name)}connector.yaml`));

function manifestOf(connector: string) {
  const file = `${folderOf(connector)}connector.yaml`;
  const result = readManifest({ file, text: readFileSync(file, 'utf8') });
  expect('faults' in result ? result.faults : []).toEqual([]);
  if (!result.ok) throw new Error('unreachable');
  return result.manifest;
}

describe.each(connectors)('connector-images/%s', (connector) => {
  it('has a manifest without faults, named after its folder', () => {
    expect(manifestOf(connector).name).toBe(connector);
  });

  it('has a Dockerfile that runs as nobody in particular, from a base that can be chosen', () => {
    const dockerfile = readFileSync(`${folderOf(connector)}Dockerfile`, 'utf8');
    expect(dockerfile).toMatch(/^ARG BASE=\S+:\S+$/m);
    expect(dockerfile).toMatch(/^USER 10001(?::10001)?$/m);
    expect(dockerfile).toMatch(/^ENTRYPOINT \[/m);
  });

  it('says in its manifest the commands that it has', async () => {
    const { protocol, run, commands } = manifestOf(connector);
    if (protocol !== 'bulkhead/1' || run?.command === undefined) return;
    await using started = await startConnector({ folder: folderOf(connector), command: run.command });
    const declared = JSON.parse(started.lines[0] ?? '').result.commands.map(({ name }: { name: string }) => name);
    expect(declared.toSorted()).toEqual(commands.map(({ name }) => name).toSorted());
  });
});

it('shows modelers what the reference connectors show', () => {
  const shown = (connector: string) =>
    manifestOf(connector).commands.map(
      (command) =>
        `${command.name}: ${describeParameters(command)
          .map(({ id, type, required }) => `${id} ${type}${required ? '' : '?'}`)
          .join(', ')}`,
    );
  const auth = 'basic_auth_username str?, basic_auth_password str?';
  expect(shown('http')).toEqual([
    `DeleteRequestV2: url str, headers any?, params any?, data any?, ${auth}`,
    `GetRequest: url str, headers any?, params any?, ${auth}`,
    `GetRequestV2: url str, headers any?, params any?, ${auth}, attempts int?`,
    `HeadRequestV2: url str, headers any?, params any?, ${auth}, attempts int?`,
    `PatchRequestV2: url str, headers any?, data any?, ${auth}`,
    `PostRequest: url str, headers any?, ${auth}, data any?`,
    `PostRequestV2: url str, headers any?, data any?, ${auth}`,
    `PutRequestV2: url str, headers any?, data any?, ${auth}`,
  ]);
  for (const example of ['example', 'example-python', 'example-shell']) {
    expect(shown(example)).toEqual(['AsyncBodyStatus: upstream_status int?', 'CombineStrings: arg1 str, arg2 str', 'Example: message str']);
  }
});
