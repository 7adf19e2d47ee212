import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { company, turnBytesMax, turnBytesMin } from '../../../src/lib/turn-share.ts';
import { type Lender, lendingSocket } from '../../../src/runner/lending-socket.ts';

interface Pipe {
  readonly output: Socket & Lender;
  write(text: string): void;
  end(): void;
}

async function pipe(): Promise<Pipe> {
  const before = readdirSync('/proc/self/fd').length;
  const folder = await mkdtemp(join(tmpdir(), 'bulkhead-lending-'));
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  const output = lendingSocket({ fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK) });
  const input = openSync(path, constants.O_WRONLY);
  let isOpen = true;
  const end = (): void => {
    if (isOpen) closeSync(input);
    isOpen = false;
  };
  onTestFinished(async () => {
    end();
    output.destroy();
    await rm(folder, { recursive: true });
    await vi.waitFor(() => expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before));
  });
  return { output, write: (line) => void writeSync(input, line), end };
}

const read = (output: Socket, bytes: number): Promise<void> => vi.waitFor(() => expect(output.bytesRead).toBe(bytes));
const ended = (output: Socket): Promise<unknown> => new Promise((resolve) => output.once('end', resolve));

test('is read as any other socket by who does not take it', async () => {
  const { output, write, end } = await pipe();
  write('one ');
  await read(output, 4);
  write('two');
  end();
  expect(await text(output)).toBe('one two');
});

test('what is read otherwise has memory of its own, however little it is', async () => {
  const { output, write, end } = await pipe();
  const chunks: Buffer[] = [];
  output.on('data', (chunk: Buffer) => chunks.push(chunk));
  for (const byte of 'abc') {
    write(byte);
    await vi.waitFor(() => expect(chunks.at(-1)?.toString()).toBe(byte));
  }
  end();
  await ended(output);
  expect(chunks.map(({ buffer }) => buffer.byteLength)).toEqual([1, 1, 1]);
});

test('gives what waited first, then lends what comes, and ends', async () => {
  const { output, write, end } = await pipe();
  const told: string[] = [];
  let lent: Buffer | undefined;
  write('waited ');
  await read(output, 7);
  output.on('data', (chunk: Buffer) => told.push(`data ${chunk.toString()}`));
  output.lendTo((bytes) => {
    lent = bytes;
    told.push(`lent ${bytes.toString()}`);
  });
  await vi.waitFor(() => expect(told).toHaveLength(1));
  write('first');
  await vi.waitFor(() => expect(told).toHaveLength(2));
  const kept = lent;
  write('secnd');
  end();
  await ended(output);
  expect(told).toEqual(['data waited ', 'lent first', 'lent secnd']);
  expect(kept?.toString()).toBe('secnd');
  // Never all of its memory, which whoever copies a chunk would empty.
  expect(kept?.buffer.byteLength).toBeGreaterThan(turnBytesMax);
});

test('lends nothing while it is paused, and loses nothing', async () => {
  const { output, write, end } = await pipe();
  let told = '';
  output.on('data', (chunk: Buffer) => {
    told += chunk.toString();
  });
  output.lendTo((bytes) => {
    told += bytes.toString();
    output.pause();
  });
  write('a');
  await vi.waitFor(() => expect(told).toBe('a'));
  write('b');
  await pause(20);
  expect(told).toBe('a');
  output.resume();
  await vi.waitFor(() => expect(told).toBe('ab'));
  output.resume();
  end();
  await ended(output);
  expect(told).toBe('ab');
});

test('reads no more than it can hold while nobody takes it, and the rest afterwards', async () => {
  const { output, write, end } = await pipe();
  const part = 'x'.repeat(60_000);
  write(part);
  await read(output, part.length);
  write(part);
  await read(output, 2 * part.length);
  expect(output.readableLength).toBeGreaterThanOrEqual(output.readableHighWaterMark);
  write(part);
  await pause(20);
  expect(output.bytesRead).toBe(2 * part.length);
  end();
  expect(await text(output)).toBe(part.repeat(3));
});

// The last one here: what came then is remembered for a second.
test('reads less at once while small calls come', async () => {
  const { output, write, end } = await pipe();
  const lengths: number[] = [];
  const all = turnBytesMax / 2;
  const total = () => lengths.reduce((sum, length) => sum + length, 0);
  const readAll = async () => {
    lengths.length = 0;
    write('a'.repeat(all));
    await vi.waitFor(() => expect(total()).toBe(all));
    return Math.max(...lengths);
  };
  output.on('data', () => {});
  output.lendTo((bytes) => lengths.push(bytes.length));
  expect(await readAll()).toBe(all);
  company.comes(performance.now());
  company.comes(performance.now());
  company.ended(performance.now(), 0);
  // What it reads into next was settled after the last read.
  await readAll();
  expect(await readAll()).toBe(turnBytesMin);
  company.goes();
  company.goes();
  end();
  await ended(output);
});
