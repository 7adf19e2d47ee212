import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { handleOf, outputDrainTimeoutMs } from '../../../src/runner/process-handle.ts';

describe('handleOf', () => {
  it('tells the exit as soon as the output has ended, whoever still holds another pipe', async () => {
    // What is left behind holds the fourth pipe alone.
    const child = spawn('/bin/sh', ['-c', 'sleep 60 </dev/null >/dev/null 2>&1 & echo $!; exit 3'], {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    });
    const { stdout, exited } = handleOf({ child, label: 'leaver', terminate: () => {}, kill: () => {}, finish: async () => ({}) });
    const output = text(stdout);
    const began = performance.now();
    const { exitCode } = await exited;
    const tookMs = performance.now() - began;
    process.kill(Number(await output), 'SIGKILL');

    expect(exitCode).toBe(3);
    expect(tookMs).toBeLessThan(outputDrainTimeoutMs);
  });

  it('tells the exit of one that had ended before anybody had its handle', async () => {
    const child = spawn('/bin/sh', ['-c', 'kill -KILL $$']);
    await once(child, 'close');
    let finished = 0;
    const finish = async () => {
      finished++;
      return {};
    };
    const { exited } = handleOf({ child, label: 'early', terminate: () => {}, kill: () => {}, finish });

    expect(await exited).toEqual({ exitCode: null, signal: 'SIGKILL' });
    expect(finished).toBe(1);
  });
});
