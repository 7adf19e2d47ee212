import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createMasker } from '../../../src/config/masker.ts';
import { bytesOf, textBytesMax, utf8Of } from '../../../src/lib/pieces.ts';
import { type Breach, type Incoming, type LineLimits, LineReader, lineLimitsDefault } from '../../../src/protocol/lines.ts';
import { jsonTexts } from '../../helpers/json-arbitraries.ts';

interface Reading {
  readonly messages: readonly Incoming[];
  readonly breaches: readonly Breach[];
}

/** The same whether the reader keeps the chunks or they are lent to it, one after the other in the same memory. */
function read(chunks: readonly (Uint8Array | string)[], limits: Partial<LineLimits> = {}, mask?: (text: string) => string): Reading {
  const kept = readBy((reader, chunk) => reader.push(Buffer.from(chunk)), chunks, limits, mask);
  const lend = (reader: LineReader, chunk: Uint8Array | string): void => {
    const bytes = Buffer.from(chunk);
    reader.push(bytes, 'lent');
    bytes.fill('?');
  };
  const lent = readBy(lend, chunks, limits, mask);
  expect(told(lent)).toEqual(told(kept));
  return kept;
}

function readBy(
  push: (reader: LineReader, chunk: Uint8Array | string) => void,
  chunks: readonly (Uint8Array | string)[],
  limits: Partial<LineLimits>,
  mask?: (text: string) => string,
): Reading {
  const messages: Incoming[] = [];
  const breaches: Breach[] = [];
  const reader = new LineReader(
    { ...lineLimitsDefault, ...limits },
    { message: (message) => messages.push(message), breach: (breach) => breaches.push(breach), ...(mask === undefined ? {} : { mask }) },
  );
  for (const chunk of chunks) push(reader, chunk);
  reader.end();
  return { messages, breaches };
}

/** For comparing: JSON as text, whichever way it is held, and without `members`, which only the shortest way of reading finds. */
function told({ messages, breaches }: Reading): unknown {
  return JSON.parse(
    JSON.stringify({ messages, breaches }, (key, value: unknown) => {
      if (key === 'members') return undefined;
      if (value instanceof Uint8Array) return Buffer.from(value).toString();
      if (key === 'result' && typeof value === 'string') return utf8Of(value);
      return isSerialisedBuffer(value) ? Buffer.from(value.data).toString() : value;
    }),
  );
}

function isSerialisedBuffer(value: unknown): value is { data: number[] } {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer' && 'data' in value;
}

function breachOf(text: string | Uint8Array, limits: Partial<LineLimits> = {}): Breach {
  const { messages, breaches } = read([text], limits);
  expect(messages).toEqual([]);
  expect(breaches).toHaveLength(1);
  return breaches[0]!;
}

const answer = '{"jsonrpc":"2.0","id":"a1","result":{"body":1}}\n';

describe('messages', () => {
  test.each([
    ['JSON.stringify’s layout', '{"jsonrpc":"2.0","id":"a1","result":{"body":1.0}}\n', '{"body":1.0}'],
    ['Python’s layout', '{"jsonrpc": "2.0", "id": "a1", "result": {"body": 1e400}}\n', '{"body": 1e400}'],
    ['another order', '{"result":{"10":1,"9":123456789012345678901},"id":"a1","jsonrpc":"2.0"}\n', '{"10":1,"9":123456789012345678901}'],
    ['CR LF', '{"jsonrpc":"2.0","id":"a1","result":{}}\r\n', '{}'],
    ['CR between tokens', '{"jsonrpc":"2.0","id":"a1","result":{\r"a":\r1}}\n', '{ "a": 1}'],
    ['white space around', ' \t{ "jsonrpc" : "2.0" , "id" : "a1" , "result" : null } \n', 'null'],
    ['an escaped id', '{"jsonrpc":"2.0","id":"\\u00611","result":"\\ud800"}\n', '"\\ud800"'],
    ['more members', '{"jsonrpc":"2.0","id":"a1","result":[1,2],"extra":{"a":1}}\n', '[1,2]'],
    ['blank lines before', '\n\r\n  \n{"jsonrpc":"2.0","id":"a1","result":true}\n', 'true'],
  ])('a result in %s keeps its text', (_layout, line, expected) => {
    const { messages, breaches } = read([line]);
    expect(breaches).toEqual([]);
    const message = messages[0]!;
    if (message.type !== 'result') throw new Error(message.type);
    expect(message.id).toBe('a1');
    expect(utf8Of(message.result)).toBe(expected);
    expect(message.lineBytes).toBe(Buffer.byteLength(line.trimStart().length < line.length ? line.split('\n').at(-2)! : line.slice(0, -1)));
  });

  test('the members of a result in a known layout come along, by offsets of the result', () => {
    const { messages } = read(['{"jsonrpc":"2.0","id":"a1","result":{"body":[1,2],"mimetype":"a/b"}}\n']);
    const message = messages[0]!;
    if (message.type !== 'result') throw new Error(message.type);
    const texts = message.members?.map(({ key, valueStart, valueEnd }) => [
      key,
      bytesOf(message.result).toString('utf8', valueStart, valueEnd),
    ]);
    expect(texts).toEqual([
      ['body', '[1,2]'],
      ['mimetype', '"a/b"'],
    ]);
  });

  test.each([
    ['a text', textBytesMax],
    ['bytes', textBytesMax + 1],
  ])('a result is held as %s in a line of %d bytes, and is the same', (held, bytes) => {
    const line = (filling: string) => `{"jsonrpc":"2.0","id":"a1","result":{"body":"é${filling}"}}`;
    const whole = line('x'.repeat(bytes - Buffer.byteLength(line(''))));
    const message = read([`${whole}\n`]).messages[0]!;
    if (message.type !== 'result') throw new Error(message.type);
    expect(message.lineBytes).toBe(bytes);
    expect(typeof message.result === 'string' ? 'a text' : 'bytes').toBe(held);
    expect(utf8Of(message.result)).toBe(whole.slice(whole.indexOf('{"body"'), -1));
  });

  test('an error keeps its data as text', () => {
    const line = '{"jsonrpc":"2.0","id":"a1","error":{"code":-32000,"message":"no \\"x\\"","data":{"errorCode":"E","detail":{"n":1.0}}}}\n';
    expect(told(read([line]))).toEqual({
      messages: [
        {
          type: 'error',
          id: 'a1',
          error: { message: 'no "x"', code: -32000, data: '{"errorCode":"E","detail":{"n":1.0}}' },
          lineBytes: line.length - 1,
        },
      ],
      breaches: [],
    });
  });

  test('notifications are parsed', () => {
    const lines = [
      '{"jsonrpc":"2.0","method":"log","params":{"message":"hi","level":"warn","fields":{"a":[1,{"b":null}]}}}',
      '{"jsonrpc":"2.0","method":"log","params":{"message":"hi"}}',
      '{"jsonrpc":"2.0","method":"progress","params":{"invocationId":"i","progress":0.5,"total":1}}',
    ];
    expect(read([`${lines.join('\n')}\n`])).toEqual({
      messages: [
        { type: 'notification', method: 'log', params: { message: 'hi', level: 'warn', fields: { a: [1, { b: null }] } } },
        { type: 'notification', method: 'log', params: { message: 'hi', level: 'info' } },
        { type: 'notification', method: 'progress', params: { invocationId: 'i', progress: 0.5, total: 1 } },
      ],
      breaches: [],
    });
  });

  test.each(['NaN', 'Infinity', '-Infinity', '[{"a":NaN}]'])('a result with %s spoils its own invocation only', (value) => {
    const { messages, breaches } = read([`{"jsonrpc": "2.0", "id": "a1", "result": {"body": ${value}}}\n`, answer]);
    expect(breaches).toEqual([]);
    expect(messages[0]).toMatchObject({ type: 'invalid', id: 'a1', breach: { code: 'invalid_result', id: 'a1' } });
    expect(messages[1]).toMatchObject({ type: 'result' });
  });

  test('__proto__ within a result is the connector’s own affair', () => {
    expect(read(['{"jsonrpc":"2.0","id":"a1","result":{"body":{"__proto__":1}}}\n']).breaches).toEqual([]);
  });
});

describe('breaches', () => {
  test.each([
    ['text', 'hello\n', 'no message (it does not begin with {): "hello". Print to stderr, or use an SDK, which moves stdout away.'],
    ['a batch', '[{"jsonrpc":"2.0","id":"a","result":1}]\n', 'an array; there are no batches'],
    ['a lone scalar', '42\n', '"42"'],
    ['Python’s repr', "{'a': 1}\n", 'byte 1: a key in double quotes is expected): "{\'a\': 1}"'],
    ['two messages on a line', `${answer.trimEnd()}${answer}`, 'something follows the value'],
    ['control characters', '\u001b[31mred\u0000\\\n', '"\\x1b[31mred\\x00\\\\"'],
    ['a message without version', '{"id":"a","result":1}\n', 'without the member "jsonrpc": "2.0"'],
    ['a message of version 1', '{"jsonrpc":"1.0","id":"a","result":1}\n', 'without the member "jsonrpc": "2.0"'],
    ['a request', '{"jsonrpc":"2.0","id":"a","method":"sampling","params":{}}\n', 'that is a request'],
    ['an unknown notification', '{"jsonrpc":"2.0","method":"hello","params":{}}\n', 'with the method "hello"'],
    ['neither id nor method', '{"jsonrpc":"2.0","result":1}\n', 'neither an id nor a method'],
    ['a number as id', '{"jsonrpc":"2.0","id":1,"result":1}\n', 'with an id that the proxy never sent'],
    ['NaN as id', '{"jsonrpc":"2.0","id":NaN,"result":1}\n', 'with an id that the proxy never sent'],
    ['an id with NaN in it', '{"jsonrpc":"2.0","id":[NaN],"error":{"message":"x"}}\n', 'with an id that the proxy never sent'],
    ['a long id', `{"jsonrpc":"2.0","id":"${'a'.repeat(65)}","result":1}\n`, 'with an id that the proxy never sent'],
    ['id null', '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}\n', 'Parse error'],
    ['result and error', '{"jsonrpc":"2.0","id":"a","result":1,"error":{"message":"x"}}\n', 'exactly one of result and error'],
    ['neither result nor error', '{"jsonrpc":"2.0","id":"a"}\n', 'exactly one of result and error'],
    ['an id twice', '{"jsonrpc":"2.0","id":"a","id":"b","result":1}\n', 'with the member id twice'],
    ['a result twice', '{"jsonrpc":"2.0","id":"a","result":1,"result":2}\n', 'with the member result twice'],
    ['__proto__ beside the id', '{"jsonrpc":"2.0","id":"a","result":1,"__proto__":{}}\n', 'with a key __proto__'],
    [
      '__proto__ within params',
      '{"jsonrpc":"2.0","method":"log","params":{"message":"m","fields":{"a":[{"__proto__":1}]}}}\n',
      '__proto__',
    ],
    ['__proto__ within an error', '{"jsonrpc":"2.0","id":"a","error":{"message":"m","__proto__":1}}\n', '__proto__'],
    ['NaN in a notification', '{"jsonrpc":"2.0","method":"log","params":{"message":"m","fields":{"a":NaN}}}\n', 'NaN or Infinity'],
    [
      'an infinity in a notification',
      '{"jsonrpc":"2.0","method":"progress","params":{"invocationId":"i","progress":1e400}}\n',
      'too large',
    ],
    ['a log without message', '{"jsonrpc":"2.0","method":"log"}\n', 'message: expected'],
    ['a wrong level', '{"jsonrpc":"2.0","method":"log","params":{"message":"m","level":"loud"}}\n', 'level: expected'],
    ['an error without message', '{"jsonrpc":"2.0","id":"a","error":{"code":1}}\n', 'it has no message'],
    ['an error with many members', `{"jsonrpc":"2.0","id":"a","error":{"message":"m"${',"x":0'.repeat(64)}}}\n`, 'more than 64 members'],
    ['an error that is text', '{"jsonrpc":"2.0","id":"a","error":"no"}\n', 'it has no message'],
    ['an end within a message', '{"jsonrpc":"2.0","id":"a"', 'ended within a message, after 25 bytes'],
    ['an end within text', 'Traceback', '"Traceback"'],
  ])('%s', (_name, text, expected) => {
    const breach = breachOf(text);
    expect(breach.code).toBe('protocol_violation');
    expect(breach.message).toContain(expected);
  });

  test('bytes that are not UTF-8', () => {
    const line = Buffer.concat([Buffer.from('{"jsonrpc":"2.0","id":"a","result":"'), Buffer.of(0xff, 0xfe), Buffer.from('"}\n')]);
    expect(breachOf(line)).toMatchObject({ code: 'protocol_violation', message: expect.stringContaining('it is not UTF-8') as string });
  });

  test('nesting, the message counted', () => {
    const nested = (depth: number) => `{"jsonrpc":"2.0","id":"a","result":${'['.repeat(depth)}${']'.repeat(depth)}}\n`;
    expect(read([nested(511)]).messages).toHaveLength(1);
    expect(breachOf(nested(512)).message).toContain('nested deeper than 512');
    expect(breachOf(nested(1_000_000)).message).toContain('nested deeper than 512');
    expect(breachOf(nested(3), { nestingMax: 3 }).message).toContain('nested deeper than 3');
  });

  test('the size of a message, and whose answer it was', () => {
    const line = (bytes: number) => `{"jsonrpc":"2.0","id":"a1","result":"${'x'.repeat(bytes - 39)}"}\n`;
    expect(read([line(500)], { messageBytesMax: 500 }).messages).toHaveLength(1);
    const breach = breachOf(line(501), { messageBytesMax: 500 });
    expect(breach).toMatchObject({ code: 'result_too_large', id: 'a1' });
    expect(breach.message).toContain('more than 500 bytes');
    expect(breachOf(line(lineLimitsDefault.messageBytesMax + 1)).code).toBe('result_too_large');
  });

  test('a line that never ends keeps no more than the limit', () => {
    const messages: Incoming[] = [];
    const breaches: Breach[] = [];
    const limits = { ...lineLimitsDefault, messageBytesMax: 8_000_000 };
    const reader = new LineReader(limits, { message: (m) => messages.push(m), breach: (b) => breaches.push(b) });
    reader.push(Buffer.from('{"jsonrpc":"2.0","id":"a1","result":"'));
    const before = process.memoryUsage().arrayBuffers;
    for (let count = 0; count < 10_000 && breaches.length === 0; count += 1) reader.push(Buffer.alloc(65_536, 'x'));
    expect(breaches).toMatchObject([{ code: 'result_too_large', id: 'a1' }]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(40_000_000);
  });

  test('blank lines in a row', () => {
    expect(read(['\n'.repeat(64), answer, ' \r\n'.repeat(64), answer]).messages).toHaveLength(2);
    expect(breachOf('\n'.repeat(65)).message).toContain('more than 64 blank lines');
    expect(breachOf('\n\n\n', { blankLinesMax: 2 }).message).toContain('more than 2 blank lines');
  });

  test('the size of a notification', () => {
    const line = (bytes: number) => `{"jsonrpc":"2.0","method":"log","params":{"message":"${'x'.repeat(bytes - 56)}"}}\n`;
    expect(read([line(300)], { notificationBytesMax: 300 }).messages).toHaveLength(1);
    expect(breachOf(line(301), { notificationBytesMax: 300 }).message).toContain('more than 300 bytes');
    expect(breachOf(line(lineLimitsDefault.notificationBytesMax + 1)).message).toContain('a notification of more than');
  });

  test('an excerpt is cut at 200 characters and secrets in it are masked first, also one across the cut', () => {
    const secret = 'hunter2-hunter2-hunter2';
    const mask = (text: string) => text.replaceAll(secret, '***');
    const [breach] = read([`${'a'.repeat(190)}${secret}${'b'.repeat(5000)}\n`], {}, mask).breaches;
    expect(breach?.message).toContain(`"${'a'.repeat(190)}***bbbbbbb…"`);
    expect(read([`{"x": ${secret}}\n`], {}, mask).breaches[0]?.message).toContain('"{\\"x\\": ***}"'.replaceAll('\\', ''));
  });

  test.each([
    ['without a line break', 'the secret is SECRET', {}],
    ['as a line', 'the secret is SECRET\n', {}],
    ['where stdout ended within it', 'the secret is CUT', {}],
    ['as a line longer than a message may be', 'the secret is SECRET\n', { messageBytesMax: 1000 }],
    ['within a message that is none', '{"secret": SECRET}\n', {}],
    ['in place of a method', '{"jsonrpc":"2.0","method":"SECRET"}\n', {}],
  ])('a secret longer than what is looked at is masked %s', (_, text, limits) => {
    const secret = Array.from({ length: 300 }, (_, index) => `${index}`.padStart(9, 'hunter')).join('');
    const written = text.replace('SECRET', secret).replace('CUT', secret.slice(0, 500));
    const [breach] = read([written], limits, createMasker([secret])).breaches;
    expect(breach?.message).toContain('[secret]');
    expect(breach?.message).not.toContain('hunt');
  });

  test('text without a line break is told as soon as it is long enough to show', () => {
    const breaches: Breach[] = [];
    const reader = new LineReader(lineLimitsDefault, { message: () => undefined, breach: (breach) => breaches.push(breach) });
    reader.push(Buffer.alloc(1024, 'Enter password: '));
    expect(breaches).toEqual([]);
    reader.push(Buffer.from('E'));
    expect(breaches).toHaveLength(1);
  });
});

describe('ends', () => {
  test('at the first breach, within the chunk that holds it', () => {
    const { messages, breaches } = read([`${answer}oops\n${answer}oops\n`, answer, 'oops\n']);
    expect(messages).toHaveLength(1);
    expect(breaches).toHaveLength(1);
  });

  test('when the worker stops it from a message, within the chunk', () => {
    let count = 0;
    const reader = new LineReader(lineLimitsDefault, {
      message() {
        count += 1;
        reader.stop();
      },
      breach: () => expect.unreachable(),
    });
    reader.push(Buffer.from(`${answer.repeat(1000)}oops`));
    reader.push(Buffer.from(answer));
    reader.end();
    expect(count).toBe(1);
  });

  test('silently after whole messages and blanks', () => {
    expect(read([answer, '  ']).breaches).toEqual([]);
    expect(read([]).breaches).toEqual([]);
  });
});

describe('however the bytes are split', () => {
  const piece = fc.oneof(
    { weight: 6, arbitrary: jsonTexts(3).map((text) => `{"jsonrpc":"2.0","id":"a1","result":${text.replace(/\n/g, ' ')}}\n`) },
    { weight: 2, arbitrary: jsonTexts(3).map((text) => `{"id":"é","result":${text.replace(/\n/g, ' ')}, "jsonrpc":"2.0"}\n`) },
    { weight: 2, arbitrary: fc.constantFrom('\n', ' \r\n', '{"jsonrpc": "2.0", "id": "b", "result": NaN}\r\n') },
    { weight: 2, arbitrary: fc.constant('{"jsonrpc":"2.0","method":"log","params":{"message":"m"}}\n') },
    { weight: 1, arbitrary: fc.constantFrom('x'.repeat(2000), ' '.repeat(1100), '{"jsonrpc":"2.0","id":"c1","result":"', '[', '{') },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('latin1')) },
  );
  const stream = fc.array(piece, { maxLength: 8 }).map((pieces) => Buffer.from(pieces.join('')));
  const limits = fc.constantFrom<Partial<LineLimits>>(
    {},
    { messageBytesMax: 60 },
    { messageBytesMax: 1500 },
    { blankLinesMax: 1, nestingMax: 3 },
  );

  test('the same messages and the same breach', () => {
    void fc.assert(
      fc.property(stream, limits, fc.array(fc.nat(4000), { maxLength: 12 }), (bytes, limit, cuts) => {
        const whole = told(read([bytes], limit));
        const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
        const chunks = [0, ...places].map((place, index) => bytes.subarray(place, places[index] ?? bytes.length));
        expect(told(read(chunks, limit))).toEqual(whole);
        const single = Array.from(bytes, (_, index) => bytes.subarray(index, index + 1));
        expect(told(read(single, limit))).toEqual(whole);
      }),
      { numRuns: 400 },
    );
  });

  test('random bytes never throw, never tell two breaches, and end in at most one answer a line', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.array(fc.constantFrom(...Buffer.from('{}[]":,\n\r jsonrpc2.0id"a')), { maxLength: 200 }).map((list) => Buffer.from(list)),
    );
    void fc.assert(
      fc.property(fc.array(bytes, { maxLength: 6 }), (chunks) => {
        const { breaches, messages } = read(chunks);
        expect(breaches.length).toBeLessThanOrEqual(1);
        expect(messages.length).toBeLessThanOrEqual(Buffer.concat(chunks).filter((byte) => byte === 0x0a).length);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a long line is read as it comes', () => {
  const rows = JSON.stringify(Array.from({ length: 8000 }, (_, index) => ({ id: index, name: `Käufer ${index}` })));
  test.each([
    ['JSON.stringify’s layout', `{"jsonrpc":"2.0","id":"a1","result":{"body":${rows}}}\n`],
    ['Python’s layout', `{"jsonrpc": "2.0", "id": "a1", "result": {"body": ${rows}}}\n`],
    ['CR LF', `{"jsonrpc":"2.0","id":"a1","result":{"body":${rows}}}\r\n`],
    ['a CR between tokens', `{"jsonrpc":"2.0","id":"a1","result":{"body":\r${rows}}}\n`],
    ['another order', `{"result":{"body":${rows}},"id":"a1","jsonrpc":"2.0"}\n`],
    ['an error', `{"jsonrpc":"2.0","id":"a1","error":{"code":1,"message":"m","data":${rows}}}\n`],
    ['a member behind the result', `{"jsonrpc":"2.0","id":"a1","result":${rows},"extra":1}\n`],
    ['a number as result', `{"jsonrpc":"2.0","id":"a1","result":${'1'.repeat(200_000)}}\n`],
    ['a result that is not finite', `{"jsonrpc":"2.0","id":"a1","result":{"body":${rows},"n":NaN}}\n`],
    ['no JSON', `{"jsonrpc":"2.0","id":"a1","result":{"body":${rows.replace('"id":5000,', '"id":5000 ')}}}\n`],
    ['no JSON at its end', `{"jsonrpc":"2.0","id":"a1","result":{"body":${rows}}\n`],
    ['a brace too many', `{"jsonrpc":"2.0","id":"a1","result":{"body":${rows}}}}\n`],
    ['too much nesting', `{"jsonrpc":"2.0","id":"a1","result":[${rows},${'['.repeat(600)}]}\n`],
    ['no end', `{"jsonrpc":"2.0","id":"a1","result":{"body":${rows}}}`],
  ])('%s: the same as in one chunk, and the next line too', (_, line) => {
    const bytes = Buffer.from(line + answer.replace('a1', 'a2'));
    const whole = told(read([bytes]));
    for (const chunkBytes of [70_001, 65_536, 10_000]) {
      const count = Math.ceil(bytes.length / chunkBytes);
      const chunks = Array.from({ length: count }, (_part, index) => bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes));
      expect(told(read(chunks))).toEqual(whole);
    }
    const lastByte = bytes.length - answer.length;
    for (const cut of [lastByte - 3, lastByte - 2, lastByte - 1, lastByte]) {
      expect(told(read([bytes.subarray(0, 90_000), bytes.subarray(90_000, cut), bytes.subarray(cut)]))).toEqual(whole);
    }
  });
});

describe('is linear', () => {
  test.each([
    [4, 1],
    [32, 100],
    [32, 4095],
    [32, 4096],
    [32, 65_536],
  ])(
    '%d MB in chunks of %d bytes',
    (megabytes, chunkBytes) => {
      const line = Buffer.from(`{"jsonrpc":"2.0","id":"a1","result":"${'x'.repeat(megabytes * 1_000_000)}"}\n`);
      const messages: Incoming[] = [];
      const reader = new LineReader(lineLimitsDefault, { message: (m) => messages.push(m), breach: (b) => expect.unreachable(b.message) });
      const before = performance.now();
      for (let at = 0; at < line.length; at += chunkBytes) reader.push(line.subarray(at, at + chunkBytes));
      expect(messages).toHaveLength(1);
      // About a second on an idle machine; a reader that joins what it has with each chunk would take hours.
      expect(performance.now() - before).toBeLessThan(30_000);
    },
    60_000,
  );
});
