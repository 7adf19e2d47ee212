import { describe, expect, test } from 'vitest';
import { createMasker } from '../../../src/config/masker.ts';
import { trustJsonText } from '../../../src/lib/json-text.ts';
import { readErrorMessage } from '../../../src/protocol/error-object.ts';
import { errorMessageBytesMax } from '../../../src/protocol/limits.ts';
import { readOneshot } from '../../../src/protocol/reply.ts';

function messageOf(text: string, mask = (message: string) => message): string {
  const message = readErrorMessage(trustJsonText(Buffer.from(text)), mask);
  if (!message.ok) throw new Error(message.reason);
  return message.value;
}

describe('the message of an error', () => {
  test('is whole up to its limit', () => {
    const message = 'x'.repeat(errorMessageBytesMax - 2);
    expect(messageOf(`"${message}"`)).toBe(message);
    expect(messageOf(`"${message}x"`)).toBe(`${message}x…`);
    expect(messageOf(`"${message}xyz"`)).toBe(`${message}x…`);
  });

  test.each(['é', '☃', '😀', '\\n', '\\\\', '\\"', '\\u00e9', '\\ud83d\\ude00', '\\\\u00e9'])('of %s is cut between characters', (unit) => {
    for (let shift = 0; shift < 13; shift += 1) {
      const text = `"${'x'.repeat(shift)}${unit.repeat(errorMessageBytesMax)}"`;
      const message = messageOf(text);
      expect(message.endsWith('…')).toBe(true);
      const beginning = message.slice(0, -1);
      expect(beginning.isWellFormed()).toBe(true);
      expect((JSON.parse(text) as string).startsWith(beginning)).toBe(true);
      // The quote, and at most one character less than there is room for.
      const bytes = Buffer.byteLength(unit) * ((beginning.length - shift) / (JSON.parse(`"${unit}"`) as string).length);
      expect(shift + bytes).toBeGreaterThan(errorMessageBytesMax - 1 - 2 * Buffer.byteLength(unit));
    }
  });

  test('shows nothing of a secret that the cut goes through', () => {
    const secret = 'hunter2-hunter2-hunter2';
    const mask = createMasker([secret]);
    for (let shown = 0; shown <= secret.length; shown += 1) {
      const before = 'x'.repeat(errorMessageBytesMax - 1 - shown);
      const message = messageOf(`"${before}${secret} was refused"`, mask);
      expect(message).toMatch(shown < 4 ? /^x+h?u?n?…$/ : /^x+\[secret\]…$/);
    }
  });

  test('that is long and no text is refused like a short one', () => {
    const long = `[${'{},'.repeat(errorMessageBytesMax)}1]`;
    expect(readErrorMessage(trustJsonText(Buffer.from(long)), (text) => text)).toMatchObject({ ok: false });
  });

  test('is limited in a one-shot document too', () => {
    const stdout = Buffer.from(`{"error":{"message":"${'x'.repeat(100_000)}","errorCode":"E"}}`);
    const reading = readOneshot(stdout, { messageBytesMax: 1_000_000, nestingMax: 512 });
    if (reading.type !== 'error') throw new Error(reading.type);
    expect(reading.error).toEqual({ errorCode: 'E', message: `${'x'.repeat(errorMessageBytesMax - 1)}…` });
  });
});
