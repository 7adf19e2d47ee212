import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { keepOutput } from '../../../src/runner/kept-output.ts';

describe('keepOutput', () => {
  it('keeps what a process wrote that ended before anybody read it, more than a stream holds, too', async () => {
    const child = spawn('/bin/sh', ['-c', 'head -c 60000 /dev/zero; echo words >&2']);
    const output = keepOutput(child);
    await once(child, 'exit');
    await sleep(50);
    const { stdout, stderr } = output.take();

    expect(await text(stderr)).toBe('words\n');
    expect((await text(stdout)).length).toBe(60_000);
    expect([child.stdout.destroyed, child.stderr.destroyed]).toEqual([true, true]);
  });

  it('ends the pipes with what was taken', async () => {
    const child = spawn('/bin/sh', ['-c', 'sleep 60 & echo $!']);
    const output = keepOutput(child);
    await once(child, 'exit');
    const { stdout, stderr } = output.take();
    const [pid] = (await once(stdout, 'data')) as [Buffer];
    for (const stream of [stdout, stderr]) stream.destroy();
    const closed = once(child, 'close');
    process.kill(Number(pid), 'SIGKILL');

    await closed;
    expect([child.stdout.destroyed, child.stderr.destroyed]).toEqual([true, true]);
  });

  it('leaves alone what was taken before the end', async () => {
    const child = spawn('/bin/sh', ['-c', 'read line; head -c 60000 /dev/zero; echo words >&2']);
    const { stdout, stderr } = keepOutput(child).take();
    child.stdin.end('go on\n');

    expect([stdout, stderr]).toEqual([child.stdout, child.stderr]);
    expect((await Promise.all([text(stdout), text(stderr)])).map(({ length }) => length)).toEqual([60_000, 6]);
  });
});
