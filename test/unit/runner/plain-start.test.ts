import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { ConnectorName } from '../../../src/manifest/names.ts';
import { isRunning } from '../../../src/runner/process-tree.ts';
import type { ProcessSpec, Runner } from '../../../src/runner/runner.ts';
import { createSubprocessRunner } from '../../../src/runner/subprocess.ts';
import type { SandboxPolicy } from '../../../src/sandbox/policy.ts';

const policy: SandboxPolicy = {
  sandbox: 'none',
  network: { type: 'none' },
  limits: {
    memoryBytesMax: 256 * 2 ** 20,
    cpusMax: 1,
    pidsMax: 64,
    descriptorsMax: 256,
    fileBytesMax: 2 ** 26,
    tmpBytesMax: 2 ** 26,
    tmpInodesMax: 4096,
  },
  environment: { GREETING: 'hello' },
};

const never = new AbortController().signal;
const runners: Runner[] = [];

function start(command: readonly string[], options: Partial<ProcessSpec> = {}, signal: AbortSignal = never) {
  const runner = createSubprocessRunner();
  runners.push(runner);
  const source = { type: 'folder', folder: '/', command } as const;
  return runner.start({ connector: 'demo' as ConnectorName, policy, source, onNotice: () => {}, ...options }, signal);
}

afterEach(async () => {
  for (const runner of runners.splice(0)) await runner.close();
});

describe('a connector with sandbox: none', () => {
  it('gets its arguments as they are, and no environment but the policy’s', async () => {
    const process = await start(['sh', '-c', 'printf "%s|" "$@"; env', 'sh', 'a b', '$(id)', "it's"]);
    const output = await text(process.stdout);
    expect(output).toContain("a b|$(id)|it's|");
    expect(output).toContain('GREETING=hello\n');
    expect(output).not.toContain('npm_');
    expect(await process.exited).toEqual({ exitCode: 0, signal: null });
  });

  it('says by name that its program is missing', async () => {
    await expect(start(['no-such-program'])).rejects.toMatchObject({ code: 'connector_start_failed', message: /no-such-program/ });
  });

  it('refuses an image by name', async () => {
    const source = { type: 'image', image: 'x' } as const;
    await expect(start([], { source })).rejects.toMatchObject({ code: 'connector_start_failed' });
  });

  it('echoes what it is sent, and ends when its input ends', async () => {
    const process = await start(['cat']);
    process.stdin.end('ping');
    expect(await text(process.stdout)).toBe('ping');
    expect(await process.exited).toEqual({ exitCode: 0, signal: null });
  });

  it('settles exited though a daemon that left its group holds stdout, and kills the daemon', async () => {
    const process = await start(['sh', '-c', 'setsid sh -c "echo \\$\\$; exec sleep 1000" & sleep 0.2']);
    const [line] = (await once(process.stdout, 'data')) as [Buffer];
    await process.exited;
    expect(await isRunning(Number(line.toString()))).toBe(false);
    expect(process.stdout.destroyed).toBe(true);
  });

  it('is killed whole, once or often, before and after its end', async () => {
    const process = await start(['sh', '-c', 'trap "" TERM; sleep 1000 & echo $!; wait']);
    const [line] = (await once(process.stdout, 'data')) as [Buffer];
    process.terminate();
    process.kill();
    process.kill();
    expect(await process.exited).toEqual({ exitCode: null, signal: 'SIGKILL' });
    process.kill();
    process.terminate();
    expect(await isRunning(Number(line.toString()))).toBe(false);
  });

  it('does not throw when written to after its end', async () => {
    const process = await start(['true']);
    await process.exited;
    process.stdin.write('late');
    await sleep(10);
  });

  it('is not started for a signal that was aborted', async () => {
    await expect(start(['true'], {}, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  });
});
