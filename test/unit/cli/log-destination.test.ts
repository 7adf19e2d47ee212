import { execFile } from 'node:child_process';
import { PassThrough, Writable } from 'node:stream';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { batched, batchLinesMax } from '../../../src/cli/log-destination.ts';
import { laterBytesMax } from '../../../src/log.ts';

function destination() {
  const stream = new PassThrough();
  const writes: string[] = [];
  stream.setEncoding('utf8').on('data', (text: string) => writes.push(text));
  return { log: batched(stream), writes };
}

test('lines of one turn are one write, and those that follow closely are another', async () => {
  const { log, writes } = destination();
  for (const line of ['a\n', 'b\n']) log.write(line);
  expect(writes).toEqual([]);
  await nextTurn();
  expect(writes).toEqual(['a\nb\n']);
  log.write('c\n');
  await nextTurn();
  log.write('d\n');
  await pause(50);
  expect(writes).toEqual(['a\nb\n', 'c\nd\n']);
});

test('a line of any length and any characters is written whole, in its place', async () => {
  const { log, writes } = destination();
  const lines = ['first\n', `${'😀é'.repeat(50_000)}\n`, 'größer\n'];
  for (const line of lines) log.write(line);
  await pause(50);
  expect(writes.join('')).toBe(lines.join(''));
});

test('very many lines are not held back', () => {
  const { log, writes } = destination();
  for (let count = 0; count < 70; count += 1) log.write(`${'x'.repeat(999)}\n`);
  expect(writes.join('').length).toBeGreaterThan(60_000);
});

test('a line that is to be made is made when it is written, in its place', async () => {
  const { log, writes } = destination();
  let isMade = false;
  log.write('a\n');
  log.writeLater?.((into, at) => {
    isMade = true;
    return at + into.write('b\n', at);
  });
  log.write('c\n');
  expect(isMade).toBe(false);
  await nextTurn();
  expect(writes).toEqual(['a\nb\nc\n']);
});

test('not more than so many lines wait to be made', () => {
  const { log, writes } = destination();
  for (let count = 0; count <= batchLinesMax; count += 1) log.writeLater?.((into, at) => at + into.write(`${count}\n`, at));
  expect(writes.join('').split('\n')).toHaveLength(batchLinesMax + 1);
});

test('lines that fill more than one piece come whole and in order, whatever their kind', async () => {
  const { log, writes } = destination();
  const longest = `${'x'.repeat(laterBytesMax - 1)}\n`;
  const expected: string[] = [];
  for (let count = 0; count < batchLinesMax; count += 1) {
    const text = count % 100 === 0 ? `${'é'.repeat(500)}${count}\n` : longest;
    expected.push(text);
    if (text === longest) log.writeLater?.((into, at) => at + into.write(text, at));
    else log.write(text);
  }
  await pause(50);
  expect(writes.join('')).toBe(expected.join(''));
});

test('what was written is not touched by the batch that follows', async () => {
  const kept: Buffer[] = [];
  const stream = new Writable({ write: (chunk: Buffer, _encoding, done) => done(void kept.push(chunk)) });
  const log = batched(stream);
  for (const text of ['a\n', 'b\n']) {
    log.writeLater?.((into, at) => at + into.write(text, at));
    await pause(30);
  }
  expect(kept.map(String)).toEqual(['a\n', 'b\n']);
});

test('nothing is lost when the process ends, also by a fault', async () => {
  const module = new URL('../../../src/cli/log-destination.ts', import.meta.url).href;
  const program = (end: string) =>
    `import { batched } from '${module}';
     const log = batched(process.stderr);
     log.write('first\\n');
     setImmediate(() => setImmediate(() => { log.writeLater((into, at) => at + into.write('last\\n', at)); ${end} }));`;
  for (const end of ['', 'process.exit(3);', 'throw new Error("fault");']) {
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program(end)]);
    const { stderr } = await run.catch((error: { stderr: string }) => error);
    expect(stderr).toContain('first\n');
    expect(stderr).toContain('last\n');
  }
});
