import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toUtf8 } from '../../../src/http/text-encoding.ts';

const text = '{"a": "naïve ☃ 😀"}';

function utf32(value: string, bigEndian: boolean): Buffer {
  const points = [...value].map((char) => char.codePointAt(0) ?? 0);
  const bytes = Buffer.alloc(points.length * 4);
  points.forEach((point, index) => {
    if (bigEndian) bytes.writeUInt32BE(point, index * 4);
    else bytes.writeUInt32LE(point, index * 4);
  });
  return bytes;
}

const encoders = {
  'UTF-8': (value: string) => Buffer.from(value),
  'UTF-16LE': (value: string) => Buffer.from(value, 'utf16le'),
  'UTF-16BE': (value: string) => Buffer.from(value, 'utf16le').swap16(),
  'UTF-32LE': (value: string) => utf32(value, false),
  'UTF-32BE': (value: string) => utf32(value, true),
};

describe('toUtf8', () => {
  describe.each(Object.entries(encoders))('%s', (_, encode) => {
    test.each(['', '\ufeff'])('is read with the mark %j', (mark) => {
      expect(toUtf8(encode(mark + text)).toString()).toBe(text);
    });

    test('is told by its zero bytes also when short', () => {
      expect(toUtf8(encode('5')).toString()).toBe('5');
    });

    test('any JSON comes through', () => {
      fc.assert(
        fc.property(fc.json(), (json) => {
          if (json.isWellFormed()) expect(toUtf8(encode(json)).toString()).toBe(json);
        }),
      );
    });
  });

  test('UTF-8 is not copied', () => {
    const bytes = Buffer.from(text);
    expect(toUtf8(bytes)).toBe(bytes);
  });

  test.each([
    ['half a UTF-16 pair', Buffer.from([0xff, 0xfe, 0x00, 0xd8])],
    ['UTF-32 of three bytes', Buffer.from([0xff, 0xfe, 0, 0, 0x7b, 0, 0])],
    ['a UTF-32 point that is none', Buffer.from([0, 0, 0xfe, 0xff, 0x00, 0x11, 0, 0])],
  ])('%s is refused', (_, bytes) => {
    expect(() => toUtf8(bytes)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  test('any bytes give text or invalid_request', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          toUtf8(Buffer.from(bytes));
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_request' });
        }
      }),
    );
  });
});
