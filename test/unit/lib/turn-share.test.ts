import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { TurnShare, turnBytesMax } from '../../../src/lib/turn-share.ts';

function flowing() {
  const stream = new PassThrough();
  const other = { mayGoOn: true };
  const share = new TurnShare(stream, () => other.mayGoOn);
  const sizes: number[] = [];
  stream.on('data', (chunk: Buffer) => {
    sizes.push(chunk.length);
    share.took(chunk.length);
  });
  return { stream, share, sizes, other };
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
