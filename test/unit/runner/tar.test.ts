import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { type TarEntry, tarOf } from '../../../src/runner/tar.ts';

const entry = (path: string, text: string): TarEntry => ({
  path,
  mode: 0o755,
  size: Buffer.byteLength(text),
  content: () => [Buffer.from(text)],
});
const bytesOf = async (entries: readonly TarEntry[]) => Buffer.concat(await Array.fromAsync(tarOf(entries)));

test('tar reads it: names, modes, owners and bytes', async () => {
  const long = `${'folder/'.repeat(20)}file`;
  const archive = await bytesOf([entry('a', 'hello'), entry(long, 'x'.repeat(513)), entry('empty', '')]);
  const listing = execFileSync('tar', ['-tvf', '-', '--numeric-owner'], { input: archive }).toString().trim().split('\n');
  expect(listing.map((line) => line.split(/\s+/))).toEqual([
    ['-rwxr-xr-x', '0/0', '5', expect.any(String), expect.any(String), 'a'],
    ['-rwxr-xr-x', '0/0', '513', expect.any(String), expect.any(String), long],
    ['-rwxr-xr-x', '0/0', '0', expect.any(String), expect.any(String), 'empty'],
  ]);
  expect(execFileSync('tar', ['-xOf', '-', 'a'], { input: archive }).toString()).toBe('hello');
});

test('equal files give equal bytes', async () => {
  expect(await bytesOf([entry('a', 'b')])).toEqual(await bytesOf([entry('a', 'b')]));
});

test('a file that changes while it is read is an error, not a broken archive', async () => {
  await expect(bytesOf([{ ...entry('a', 'hello'), size: 4 }])).rejects.toThrow('a changed while it was read');
});

test('a path that the format cannot hold is an error', async () => {
  await expect(bytesOf([entry('x'.repeat(200), '')])).rejects.toThrow('too long');
});
