import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SecretSource } from '../../../src/config/config.ts';
import { readSecret, resolveApiKeys, resolveSecrets, secretBytesMax } from '../../../src/config/secrets.ts';
import { ProxyError } from '../../../src/errors.ts';
import type { ConnectorName } from '../../../src/manifest/names.ts';

let folder = '';
const file = (name: string): SecretSource => ({ type: 'file', file: join(folder, name) });
const command = (...argv: string[]): SecretSource => ({ type: 'command', command: argv });
const environment = { A: 'value of a', EMPTY: '', PATH: process.env['PATH'], LARGE: 'x'.repeat(secretBytesMax + 1) };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'secrets-'));
  await writeFile(join(folder, 'plain'), 'from file\n');
  await writeFile(join(folder, 'crlf'), 'two\nlines \r\n');
  await writeFile(join(folder, 'blank'), '\n');
  await writeFile(join(folder, 'binary'), Buffer.from([0xff, 0xfe, 1]));
  await writeFile(join(folder, 'large'), 'x'.repeat(secretBytesMax + 1));
  await execa('mkfifo', [join(folder, 'pipe')]);
});
afterAll(() => rm(folder, { recursive: true }));

async function refusalOf(promise: Promise<unknown>): Promise<ProxyError> {
  const error: unknown = await promise.then(
    () => expect.fail('read'),
    (reason: unknown) => reason,
  );
  return error instanceof ProxyError ? error : expect.fail(String(error));
}

describe('readSecret', () => {
  it.each([
    [{ type: 'env', env: 'A' }, 'value of a'],
    [{ type: 'file', file: 'plain' }, 'from file'],
    [{ type: 'file', file: 'crlf' }, 'two\nlines '],
    [{ type: 'command', command: ['printf', '%s\\n\\n', 'a b $HOME'] }, 'a b $HOME\n'],
    [{ type: 'command', command: ['sh', '-c', 'echo "$A"; echo noise >&2'] }, 'value of a'],
  ] as const)('reads %j', async (source, secret) => {
    expect(await readSecret(source.type === 'file' ? file(source.file) : source, { environment })).toBe(secret);
  });

  it.each([
    [{ type: 'env', env: 'B' }, /the variable B is not set/],
    [{ type: 'env', env: 'EMPTY' }, /the variable EMPTY is empty/],
    [{ type: 'env', env: 'LARGE' }, /more than 65536 bytes/],
    [{ type: 'file', file: 'missing' }, /the file .*missing is not there/],
    [{ type: 'file', file: 'blank' }, /is empty/],
    [{ type: 'file', file: 'binary' }, /is not UTF-8/],
    [{ type: 'file', file: 'large' }, /more than 65536 bytes/],
    [{ type: 'file', file: '.' }, /is not a file|cannot be read/],
    [{ type: 'file', file: 'pipe' }, /is not a file/],
    [{ type: 'command', command: ['no-such-program-here', 's3cret'] }, /the command no-such-program-here is not there/],
    [{ type: 'command', command: ['sh', '-c', 'echo s3cret; echo s3cret >&2; exit 3'] }, /the command sh ended with exit code 3/],
    [{ type: 'command', command: ['sh', '-c', 'kill -9 $$'] }, /the command sh was ended by SIGKILL/],
    [{ type: 'command', command: ['true'] }, /the command true is empty/],
    [{ type: 'command', command: ['sh', '-c', 'head -c 1000000 /dev/zero'] }, /more than 65536 bytes/],
  ] as const)('refuses %j by its source, without a value', async (source, message) => {
    const error = await refusalOf(readSecret(source.type === 'file' ? file(source.file) : source, { environment }));
    expect(error.code).toBe('secret_missing');
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('s3cret');
  });

  it('ends a command that takes too long, and leaves nothing of it', async () => {
    const startedAt = performance.now();
    // A grandchild that holds stdout, and a child that ignores SIGTERM.
    const hostile = command('sh', '-c', 'trap "" TERM; sleep 61.25 & while :; do sleep 61.25; done');
    const error = await refusalOf(readSecret(hostile, { environment, timeoutMs: 300 }));
    expect(error.message).toMatch(/the command sh did not end within 300 ms/);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await expect.poll(() => processesWith('61.25'), { timeout: 5000 }).toEqual([]);
  });

  it('is ended by its signal, with the signal’s reason', async () => {
    const controller = new AbortController();
    const reading = readSecret(command('sleep', '62.25'), { environment, signal: controller.signal });
    setTimeout(() => controller.abort(new Error('stopped')), 100);
    await expect(reading).rejects.toThrow('stopped');
    await expect.poll(() => processesWith('62.25'), { timeout: 5000 }).toEqual([]);
  });
});

/** Command lines of live processes that hold the text. */
function processesWith(text: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const line = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return line.includes(text) ? [line] : [];
      } catch {
        return [];
      }
    });
}

describe('resolveSecrets', () => {
  const name = 'smtp' as ConnectorName;

  it('gives all by name', async () => {
    expect(await resolveSecrets({ name, secrets: { X: { type: 'env', env: 'A' }, Y: file('plain') } }, { environment })).toEqual({
      X: 'value of a',
      Y: 'from file',
    });
  });

  it('names every one that cannot be read, its source, and where to correct it', async () => {
    const error = await refusalOf(
      resolveSecrets(
        { name, secrets: { X: { type: 'env', env: 'B' }, Y: file('missing'), Z: { type: 'env', env: 'A' } } },
        { environment },
      ),
    );
    expect(error.code).toBe('secret_missing');
    expect(error.message).toMatch(
      /secret X of connector smtp cannot be read: the variable B is not set; secret Y .*missing is not there; correct connectors\.smtp\.secrets$/,
    );
    expect(error.message).not.toContain('value of a');
  });
});

describe('resolveApiKeys', () => {
  const key = (name: string, env: string) => ({ name, key: { type: 'env', env } as const, connectors: ['*'] });

  it('gives the keys', async () => {
    expect(await resolveApiKeys([key('arena', 'A')], { environment })).toEqual([{ name: 'arena', key: 'value of a', connectors: ['*'] }]);
  });

  it.each([
    [[key('arena', 'B')], 'secret_missing', /API key arena cannot be read: the variable B is not set; correct server\.apiKeys/],
    [[key('arena', 'EMPTY')], 'secret_missing', /API key arena .*the variable EMPTY is empty/],
    [[key('a', 'A'), key('b', 'A')], 'invalid_config', /the API keys a and b are the same/],
    [[key('a', 'LINES')], 'invalid_config', /API key a from the variable LINES has line breaks/],
    [[key('a', 'SPACE')], 'invalid_config', /outer spaces/],
  ] as const)('refuses %j', async (keys, code, message) => {
    const error = await refusalOf(resolveApiKeys(keys, { environment: { ...environment, LINES: 'a\nb', SPACE: ' a' } }));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });
});
