import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { connectEngine } from '../../../src/runner/docker-engine.ts';
import { makeHostKey, type SshEngine, startSshEngine } from '../../helpers/ssh-engine.ts';
import { type StandInEngine, startStandIn } from '../../helpers/stand-in-engine.ts';

const info = { Architecture: 'x86_64', KernelVersion: 'x', MemoryLimit: true, SwapLimit: true, CpuCfsQuota: true, PidsLimit: true };

describe('an engine by ssh', { timeout: 60_000 }, () => {
  let standIn: StandInEngine;
  let ssh: SshEngine;
  let folder = '';
  let file = '';

  beforeAll(async () => {
    standIn = await startStandIn(({ url }, response) => {
      response.setHeader('content-type', 'application/json').end(JSON.stringify(url?.includes('version') ? { Version: '24.0.0' } : info));
    });
    ssh = await startSshEngine(standIn.socketPath, { types: ['ed25519', 'ecdsa', 'rsa'] });
    folder = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
    file = join(folder, 'known_hosts');
  });

  afterAll(async () => {
    await ssh?.[Symbol.asyncDispose]();
    await standIn?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  const connectWith = async (lines: string) => {
    await writeFile(file, lines);
    return connectEngine(`ssh://ops@127.0.0.1:${ssh.port}`, { knownHosts: [join(folder, 'nowhere'), file] });
  };
  const name = () => `[127.0.0.1]:${ssh.port}`;

  test.each([0, 1, 2])('is asked when its key is known, whichever of its three is (%i)', async (index) => {
    const engine = await connectWith(`${name()} ${ssh.keys[index]}\n`);
    expect(await engine.facts()).toMatchObject({ version: '24.0.0', sharesKernel: false });
    expect(ssh.commands.at(-1)).toBe('docker system dial-stdio');
  });

  test.each([
    {
      what: 'unknown',
      line: () => '',
      says: /shows the key SHA256:\S{43} \(ssh-ed25519\), which is not in .*known_hosts\. Connect once by “ssh -p \d+ ops@127/,
    },
    {
      what: 'another one',
      line: () => `${name()} ${makeHostKey('ed25519').public}`,
      says: /have another.*somebody is in between.*ssh-keygen -R '\[127/,
    },
    { what: 'revoked', line: () => `${name()} ${ssh.keys[0]}\n@revoked * ${ssh.keys[0]}`, says: /marked as revoked/ },
    { what: 'known without the port', line: () => `127.0.0.1 ${ssh.keys[0]}`, says: /which is not in/ },
  ])('is sent nothing when its key is $what', async ({ line, says }) => {
    const asked = ssh.commands.length;
    const engine = await connectWith(`${line()}\n`);
    await expect(engine.facts()).rejects.toMatchObject({ code: 'engine_unavailable', message: expect.stringMatching(says) });
    expect(ssh.commands).toHaveLength(asked);
  });

  test('is asked as soon as its key is known', async () => {
    const engine = await connectWith('');
    await expect(engine.facts()).rejects.toMatchObject({ code: 'engine_unavailable' });
    await writeFile(file, `${name()} ${ssh.keys[0]}\n`);
    expect(await engine.facts()).toMatchObject({ version: '24.0.0' });
  });

  test('that lets in who has given up by then is left', async () => {
    const asked = Promise.withResolvers<void>();
    const enter = Promise.withResolvers<void>();
    await using slow = await startSshEngine(standIn.socketPath, {
      async onLogin() {
        asked.resolve();
        await enter.promise;
      },
    });
    await writeFile(file, `[127.0.0.1]:${slow.port} ${slow.keys[0]}\n`);
    const engine = connectEngine(`ssh://ops@127.0.0.1:${slow.port}`, { knownHosts: [file] });
    const given = new AbortController();
    const asking = engine.request({
      what: 'asking',
      signal: given.signal,
      run: (docker, abortSignal) => docker.listContainers({ abortSignal }),
    });
    const failed = expect(asking).rejects.toThrow('given up');
    await asked.promise;
    given.abort(new Error('given up'));
    await failed;
    expect(slow.connections()).toBe(1);
    enter.resolve();
    await vi.waitFor(() => expect(slow.connections()).toBe(0), { timeout: 20_000 });
  });

  test('keeps no connection once it has answered', async () => {
    const engine = await connectWith(`${name()} ${ssh.keys[0]}\n`);
    await engine.request({ what: 'asking', run: (docker) => docker.info() });
    await vi.waitFor(() => expect(ssh.connections()).toBe(0), { timeout: 20_000 });
  });

  test('whose host runs no command is told as away', async () => {
    await using closed = await startSshEngine(standIn.socketPath, { refusesCommands: true });
    await writeFile(file, `[127.0.0.1]:${closed.port} ${closed.keys[0]}\n`);
    const engine = connectEngine(`ssh://ops@127.0.0.1:${closed.port}`, { knownHosts: [file] });
    await expect(engine.facts()).rejects.toMatchObject({ code: 'engine_unavailable', message: expect.stringContaining('exec') });
  });

  test('that is away is told as away', async () => {
    const gone = await startSshEngine(standIn.socketPath);
    await gone[Symbol.asyncDispose]();
    await expect(connectEngine(`ssh://ops@127.0.0.1:${gone.port}`).facts()).rejects.toMatchObject({
      code: 'engine_unavailable',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });
});
