import * as fc from 'fast-check';

/** Texts that JSON has beside what JSON.stringify writes: white space, escapes, long numbers, keys twice, keys with a meaning in JavaScript. */
export function jsonTexts(depth = 3): fc.Arbitrary<string> {
  const space = fc.array(fc.constantFrom(' ', '\t', '\r', '\n'), { maxLength: 3 }).map((characters) => characters.join(''));
  const { value } = fc.letrec<{ value: string; array: string; object: string }>((tie) => ({
    value: fc.oneof({ maxDepth: depth, withCrossShrink: true }, jsonScalars(), tie('array'), tie('object')),
    array: fc.tuple(space, fc.array(tie('value'), { maxLength: 4 }), space).map(([before, items, after]) => {
      return `[${before}${items.join(`${after},${before}`)}${after}]`;
    }),
    object: fc.tuple(space, fc.array(fc.tuple(jsonKeys(), tie('value')), { maxLength: 5 }), space).map(([before, members, after]) => {
      return `{${before}${members.map(([key, value]) => `${key}${after}:${before}${value}`).join(`${after},${before}`)}${after}}`;
    }),
  }));
  return fc.tuple(space, value, space).map((parts) => parts.join(''));
}

export function jsonKeys(): fc.Arbitrary<string> {
  return fc.oneof(
    fc.constantFrom('"a"', '"b"', '"\\u0061"', '""', '"__proto__"', '"constructor"', '"10"', '"9"', '"spiff__task_data"', '"\\ud800"'),
    jsonStrings(),
  );
}

function jsonStrings(): fc.Arbitrary<string> {
  const piece = fc.oneof(
    // Any code points, surrogates too; fc.string with its unit "binary" takes seconds to make its tables.
    fc.array(fc.oneof(fc.nat(0x7f), fc.nat(0x10ffff)), { maxLength: 6 }).map((points) => {
      return JSON.stringify(String.fromCodePoint(...points)).slice(1, -1);
    }),
    fc.string({ unit: 'grapheme-ascii', maxLength: 40 }).map((text) => JSON.stringify(text).slice(1, -1)),
    fc.constantFrom('\\"', '\\\\', '\\/', '\\b', '\\n', '\\u00e9', '\\ud83d\\ude00', '\\ud800', '\\udfff', 'é', '😀', '\u007f', '\u2028'),
  );
  return fc.array(piece, { maxLength: 8 }).map((pieces) => `"${pieces.join('')}"`);
}

function jsonScalars(): fc.Arbitrary<string> {
  return fc.oneof(
    jsonStrings(),
    fc.constantFrom('true', 'false', 'null', '0', '-0', '1.0', '1e400', '-1E-7', '12345678901234567890123', `0.${'3'.repeat(60)}`),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => JSON.stringify(number)),
  );
}

/** JSON with a few bytes changed, removed, doubled or put in: mostly broken, and broken in every corner of the grammar. */
export function mutatedJson(): fc.Arbitrary<Uint8Array> {
  const byte = fc.oneof(
    fc.constantFrom(...Buffer.from('{}[]",:\\u019-+.eEtrufalsn \n\r\t\0\x1f\x7fNI')),
    fc.constantFrom(0x80, 0xbf, 0xc0, 0xc3, 0xed, 0xa0, 0xf0, 0x9f, 0xf4, 0xff),
    fc.nat(255),
  );
  const edit = fc.record({ at: fc.nat(400), kind: fc.constantFrom('replace', 'insert', 'remove', 'truncate'), byte });
  return fc.tuple(jsonTexts(), fc.array(edit, { minLength: 1, maxLength: 4 })).map(([text, edits]) => {
    return edits.reduce<Uint8Array>((bytes, { at, kind, byte: value }) => {
      const offset = bytes.length === 0 ? 0 : at % bytes.length;
      const before = bytes.subarray(0, offset);
      if (kind === 'truncate') return before;
      const rest = bytes.subarray(kind === 'insert' ? offset : offset + 1);
      return Buffer.concat([before, kind === 'remove' ? Buffer.of() : Buffer.of(value), rest]);
    }, Buffer.from(text));
  });
}

/** What JSON.parse takes, on bytes that are UTF-8. */
export function parsesAsJson(bytes: Uint8Array): boolean {
  try {
    // Buffer.toString would drop nothing and throw nothing; a fatal decoder refuses what is not UTF-8 and keeps a byte order mark.
    JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    return true;
  } catch {
    return false;
  }
}

/** Without the white space that JSON allows around a value. */
export function trimJson(text: string): string {
  return text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '');
}

/** The same bytes at another alignment and within a larger buffer, whose other bytes would end strings and numbers differently. */
export function misaligned(bytes: Uint8Array, shift: number): Uint8Array {
  const larger = Buffer.alloc(bytes.length + shift + 8, '"');
  larger.set(bytes, shift);
  return larger.subarray(shift, shift + bytes.length);
}
