import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { launchContainer } from '../../../src/runner/container-launch.ts';
import { connectEngine } from '../../../src/runner/docker-engine.ts';
import { engineAddress, requireEngine, shellImage, textOf } from '../../helpers/docker-runner.ts';
import { startSshEngine } from '../../helpers/ssh-engine.ts';

const local = await requireEngine(['shell']);

describe.skipIf(local === undefined)('an engine by ssh', { timeout: 120_000 }, () => {
  test('runs a container by attach: a megabyte each way, the end of stdin, the exit', async () => {
    if (local === undefined) return;
    const image = await shellImage(local, 'echo', 'echo "to stderr" >&2\nexec cat');
    await using ssh = await startSshEngine(new URL(engineAddress).pathname);
    const folder = await mkdtemp(join(tmpdir(), 'bulkhead-test-'));
    const file = join(folder, 'known_hosts');
    await writeFile(file, `[127.0.0.1]:${ssh.port} ${ssh.keys[0]}\n`);
    const engine = connectEngine(`ssh://ops@127.0.0.1:${ssh.port}`, { knownHosts: [file] });
    expect(await engine.facts()).toMatchObject({ product: 'docker', sharesKernel: false });
    const options = { Image: image, OpenStdin: true, StdinOnce: true, HostConfig: { NetworkMode: 'none' } };
    const container = await launchContainer({ engine, name: `bulkhead-test-ssh-${process.pid}`, options });
    const received = Array.fromAsync(container.streams.stdout);
    const stderr = textOf(container.streams.stderr);
    await container.start();
    const sent = Buffer.alloc(1024 * 1024, 'abcdefghijklmnopqrstuvwxyz\n');
    container.streams.stdin.end(sent);
    expect(Buffer.concat(await received).equals(sent)).toBe(true);
    expect(await stderr).toBe('to stderr\n');
    expect(await container.end()).toMatchObject({ exitCode: 0 });
    await container.remove();
    await rm(folder, { recursive: true });
  });
});
