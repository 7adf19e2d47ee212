import { execFile } from 'node:child_process';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { batched } from '../../../src/cli/log-destination.ts';

function destination() {
  const stream = new PassThrough();
  const writes: string[] = [];
  stream.on('data', (chunk: Buffer) => writes.push(chunk.toString()));
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

test('very many lines are not held back', () => {
  const { log, writes } = destination();
  for (let count = 0; count < 70; count += 1) log.write(`${'x'.repeat(999)}\n`);
  expect(writes.join('').length).toBeGreaterThan(64 * 1024);
});

test('nothing is lost when the process ends, also by a fault', async () => {
  const module = new URL('../../../src/cli/log-destination.ts', import.meta.url).href;
  const program = (end: string) =>
    `import { batched } from '${module}';
     const log = batched(process.stderr);
     log.write('first\\n');
     setImmediate(() => setImmediate(() => { log.write('last\\n'); ${end} }));`;
  for (const end of ['', 'process.exit(3);', 'throw new Error("fault");']) {
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program(end)]);
    const { stderr } = await run.catch((error: { stderr: string }) => error);
    expect(stderr).toContain('first\n');
    expect(stderr).toContain('last\n');
  }
});
