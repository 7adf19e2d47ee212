import { randomFillSync } from 'node:crypto';
import { cutTexts } from '../lib/cut-texts.ts';
import type { InvocationId } from '../worker/invocation.ts';

const drawnAtOnce = 256;
const randomBytes = 16;
const characters = 36;
/** Where each byte’s two digits stand (RFC 9562, 4). */
const places = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34] as const;
const digits = Buffer.from('0123456789abcdef');

/** Version 4 UUIDs. Their digits are put as bytes, of many at once, in a fifth of the time that Node’s, joined, take. */
export function createInvocationIds(): () => InvocationId {
  const random = Buffer.allocUnsafeSlow(drawnAtOnce * randomBytes);
  const text = Buffer.alloc(drawnAtOnce * characters, '-');
  const draw = (): string => {
    randomFillSync(random);
    for (let id = 0; id < drawnAtOnce; id += 1) putId(random, id * randomBytes, text, id * characters);
    return text.toString('latin1');
  };
  return cutTexts(characters, draw) as () => InvocationId;
}

/** Between the dashes that are there. */
function putId(random: Buffer, from: number, text: Buffer, to: number): void {
  // The bits that say what kind of UUID it is: version 4, variant 10 (RFC 9562, 5.4).
  random[from + 6] = ((random[from + 6] as number) & 0x0f) | 0x40;
  random[from + 8] = ((random[from + 8] as number) & 0x3f) | 0x80;
  for (let index = 0; index < randomBytes; index += 1) {
    const byte = random[from + index] as number;
    const place = to + (places[index] as number);
    text[place] = digits[byte >> 4] as number;
    text[place + 1] = digits[byte & 0x0f] as number;
  }
}
