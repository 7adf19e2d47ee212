import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { Company, companyMs, TurnShare, turnBytesMax, turnBytesMin } from '../../../src/lib/turn-share.ts';

function flowing() {
  const stream = new PassThrough();
  const other = { mayGoOn: true, isAwaited: true };
  const company = new Company();
  company.comes(0);
  company.comes(0);
  const share = new TurnShare(stream, { mayGoOn: () => other.mayGoOn, isAwaited: () => other.isAwaited, company });
  const sizes: number[] = [];
  stream.on('data', (chunk: Buffer) => {
    sizes.push(chunk.length);
    share.took(chunk.length);
  });
  return { stream, share, sizes, other, company };
}

test('a stream rests once it gave so much, until the next turn', async () => {
  const { stream, sizes } = flowing();
  await nextTurn();
  for (let part = 0; part < 8; part += 1) stream.write(Buffer.alloc(turnBytesMax / 4));
  expect(sizes).toHaveLength(4);
  expect(stream.isPaused()).toBe(true);
  stream.end();
  await once(stream, 'end');
  expect(sizes).toHaveLength(8);
});

test('one that is paused for another reason stays so', async () => {
  const { stream, share, other } = flowing();
  other.mayGoOn = false;
  share.took(turnBytesMax);
  await nextTurn();
  await nextTurn();
  expect(stream.isPaused()).toBe(true);
});

test('one whose call is alone need not rest, unless nobody waits for what comes', async () => {
  const { stream, share, other, company } = flowing();
  company.goes();
  vi.spyOn(performance, 'now').mockReturnValue(companyMs);
  share.took(turnBytesMax);
  expect(stream.isPaused()).toBe(false);
  other.isAwaited = false;
  share.took(turnBytesMax);
  expect(stream.isPaused()).toBe(true);
  vi.restoreAllMocks();
});

test('while small calls come, each gives less, and one of those that rest goes on in a turn, the first first', async () => {
  const { stream, share, company } = flowing();
  const next = new PassThrough().on('data', () => {});
  const nextShare = new TurnShare(next, { mayGoOn: () => true, company });
  share.took(turnBytesMin);
  expect(stream.isPaused()).toBe(false);
  company.ended(performance.now(), turnBytesMin - 1);
  share.took(0);
  nextShare.took(turnBytesMin);
  expect([stream, next].map((one) => one.isPaused())).toEqual([true, true]);
  await nextTurn();
  expect([stream, next].map((one) => one.isPaused())).toEqual([false, true]);
  await nextTurn();
  expect([stream, next].map((one) => one.isPaused())).toEqual([false, false]);
});

test('company is there while two calls are on their way, and for a while after they met; small ones for a while after the last', () => {
  const company = new Company();
  expect(company.turnBytes(0)).toBe(Number.POSITIVE_INFINITY);
  company.comes(0);
  expect(company.turnBytes(10)).toBe(Number.POSITIVE_INFINITY);
  company.comes(20);
  expect(company.turnBytes(20 + 2 * companyMs)).toBe(turnBytesMax);
  company.goes();
  expect(company.turnBytes(19 + companyMs)).toBe(turnBytesMax);
  expect(company.turnBytes(20 + companyMs)).toBe(Number.POSITIVE_INFINITY);
  company.comes(40);
  company.ended(40, turnBytesMin);
  expect(company.turnBytes(40)).toBe(turnBytesMax);
  company.ended(40, turnBytesMin - 1);
  expect(company.turnBytes(39 + companyMs)).toBe(turnBytesMin);
  expect(company.turnBytes(40 + companyMs)).toBe(turnBytesMax);
});
