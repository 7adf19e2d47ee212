import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { waitingBytesMax } from '../../../src/cli/file-lines.ts';

const module = new URL('../../../src/cli/log-destination.ts', import.meta.url).href;

/** A process that logs to its stderr what `body` says, some time after each `turn()`; it ends by itself, or fails. */
const program = (body: string): string[] => [
  '--input-type=module',
  '--eval',
  `import { execFileSync } from 'node:child_process';
   import { setTimeout as pause } from 'node:timers/promises';
   import { batched } from '${module}';
   const log = batched(process.stderr);
   const turn = () => pause(30);
   const line = (text) => log.write(JSON.stringify({ text }) + '\\n');
   ${body}`,
];

test('who logs to a device that is full goes on, and ends well', async () => {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, program(`line('a'); await turn(); line('b'); await turn(); console.log('alive');`), {
    stdio: ['ignore', 'pipe', full],
  });
  closeSync(full);
  const [said, [code]] = await Promise.all([text(child.stdout as Readable), once(child, 'exit')]);
  expect([said, code]).toEqual(['alive\n', 0]);
});

test('who logs to a reader that is gone goes on, and ends well', async () => {
  const body = `process.stdin.resume(); await new Promise((done) => process.stdin.on('end', done));
    for (let count = 0; count < 3; count += 1) { line('a'); await turn(); } console.log('alive');`;
  const child = spawn(process.execPath, program(body), { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stderr.destroy();
  await once(child.stderr, 'close');
  child.stdin.end();
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  expect([said, code]).toEqual(['alive\n', 0]);
});

test('lines that a file does not take are counted, and told of once it takes some; none runs into another', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-log-'));
  const file = join(folder, 'log');
  const log = openSync(file, 'w');
  try {
    // A file of at most 4 KB, and then of any size again: what a disk is that was full. With a listener the signal of it does not end the process.
    const body = `process.on('SIGXFSZ', () => {});
      const limit = (bytes) => execFileSync('prlimit', ['--pid', String(process.pid), '--fsize=' + bytes + ':unlimited']);
      limit(4096);
      for (let count = 0; count < 10; count += 1) line('x'.repeat(983) + (1000 + count));
      await turn(); line('lost'); await turn();
      limit('unlimited');
      line('again'); await turn(); line('and again');`;
    const child = spawn(process.execPath, program(body), { stdio: ['ignore', 'ignore', log] });
    expect(await once(child, 'exit')).toEqual([0, null]);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(lines.slice(0, 4).map((one) => one.length)).toEqual([998, 998, 998, 998]);
    expect(lines[4]?.length).toBeLessThan(998);
    expect(JSON.parse(lines[5] ?? '')).toMatchObject({ level: 'warn', cause: 'EFBIG', lines: 7 });
    expect(lines.slice(6)).toEqual(['{"text":"again"}', '{"text":"and again"}']);
  } finally {
    closeSync(log);
    rmSync(folder, { recursive: true });
  }
});

test('a file is appended to where it is opened so, and takes lines in their order', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-log-'));
  try {
    const run = promisify(execFile);
    const node = JSON.stringify(process.execPath);
    const args = program(`for (let count = 0; count < 3; count += 1) { line(count); await turn(); }`).map(
      (arg) => `'${arg.replaceAll("'", "'\\''")}'`,
    );
    for (let count = 0; count < 2; count += 1) await run('sh', ['-c', `${node} ${args.join(' ')} 2>>${join(folder, 'log')}`]);
    expect(readFileSync(join(folder, 'log'), 'utf8')).toBe('{"text":0}\n{"text":1}\n{"text":2}\n'.repeat(2));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('nothing is lost of more than may wait, nor of what waits when the process is ended', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-log-'));
  const file = join(folder, 'log');
  const log = openSync(file, 'w');
  try {
    // Without a turn in between no write comes back; the last lines of all have never been begun.
    const body = `await turn(); for (let count = 0; count < 30_000; count += 1) line('x'.repeat(90) + String(count).padStart(5, '0'));
      if (process.argv[1] === 'exit') process.exit();`;
    for (const end of ['exit', 'by itself']) {
      const child = spawn(process.execPath, [...program(body), end], { stdio: ['ignore', 'ignore', log] });
      expect(await once(child, 'exit')).toEqual([0, null]);
    }
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const expected = Array.from({ length: 30_000 }, (_, count) => `{"text":"${'x'.repeat(90)}${String(count).padStart(5, '0')}"}`);
    expect(30_000 * `${expected[0]}\n`.length).toBeGreaterThan(2 * waitingBytesMax);
    expect(lines.toSorted()).toEqual(expected.flatMap((line) => [line, line]));
  } finally {
    closeSync(log);
    rmSync(folder, { recursive: true });
  }
});
