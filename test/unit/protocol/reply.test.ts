import { describe, expect, test } from 'vitest';
import { type JsonText, trustJsonText } from '../../../src/lib/json-text.ts';
import { utf8Of } from '../../../src/lib/pieces.ts';
import { type Incoming, LineReader, lineLimitsDefault } from '../../../src/protocol/lines.ts';
import { type OneshotReading, type ReplyReading, readError, readInitialize, readOneshot, readReply } from '../../../src/protocol/reply.ts';

function json(text: string): JsonText {
  return trustJsonText(Buffer.from(text));
}

/** With the bytes as text. */
function told(reading: ReplyReading | OneshotReading | ReturnType<typeof readError>): unknown {
  return JSON.parse(JSON.stringify(reading), (_key, value: { type?: unknown; data?: number[] } | null) =>
    value?.type === 'Buffer' && value.data !== undefined ? Buffer.from(value.data).toString() : value,
  );
}

function reasonOf(reading: ReplyReading): string {
  if (reading.ok) throw new Error('accepted');
  expect(reading.breach.code).toBe('invalid_result');
  return reading.breach.message;
}

describe('readReply', () => {
  test('takes body as text and checks the rest', () => {
    const result =
      '{"body": {"10":1,"9":1.0}, "mimetype":"text/plain; charset=utf-8","httpStatus":201,"headers":{"X-A":"ü b"},"logs":["one"],"extra":1}';
    expect(told(readReply(json(result)))).toEqual({
      ok: true,
      accepted: false,
      reply: {
        type: 'body',
        body: '{"10":1,"9":1.0}',
        mimetype: 'text/plain; charset=utf-8',
        httpStatus: 201,
        headers: { 'X-A': 'ü b' },
        logs: ['one'],
      },
    });
  });

  test('takes spiff as text', () => {
    expect(told(readReply(json('{"spiff":{"command_response":{"n":1e400}},"logs":["a"]}')))).toEqual({
      ok: true,
      accepted: false,
      reply: { type: 'spiff', result: '{"command_response":{"n":1e400}}', logs: ['a'] },
    });
  });

  test('takes the last of a body given twice, as parsers do, and a body of null', () => {
    expect(told(readReply(json('{"body":1,"body":null}')))).toMatchObject({ reply: { body: 'null' } });
  });

  test('an accepted one needs no body', () => {
    expect(told(readReply(json('{"accepted":true}')))).toMatchObject({ accepted: true, reply: { type: 'body', body: 'null' } });
  });

  test('never parses the body: what would be slow or strange to parse passes', () => {
    const body = `[${'{"__proto__":[]},'.repeat(100_000)}1e999]`;
    const reading = readReply(json(`{"body":${body}}`));
    if (!reading.ok || reading.reply.type !== 'body') throw new Error('refused');
    expect(utf8Of(reading.reply.body)).toBe(body);
  });

  test('uses the members that the line reader found', () => {
    const messages: Incoming[] = [];
    const reader = new LineReader(lineLimitsDefault, { message: (message) => messages.push(message), breach: () => undefined });
    reader.push(Buffer.from('{"jsonrpc":"2.0","id":"a","result":{"logs":["l"],"body":[1.0]}}\n'));
    const message = messages[0];
    if (message?.type !== 'result' || message.members === undefined) throw new Error('not read by the short way');
    expect(told(readReply(message.result, message.members))).toEqual(told(readReply(message.result)));
  });

  test.each([
    ['null', 'it is not an object'],
    ['[1]', 'it is not an object'],
    ['{}', 'neither "body" nor "spiff"'],
    ['{"body":1,"spiff":{}}', 'both "body" and "spiff"'],
    ['{"body":1,"__proto__":{}}', '__proto__'],
    ['{"body":1,"headers":{"__proto__":"x"}}', '__proto__'],
    ['{"body":1,"mimetype":1}', 'mimetype: expected string'],
    ['{"body":1,"mimetype":"text"}', 'must be a media type'],
    ['{"body":1,"mimetype":"text/plain\\r\\nX: y"}', 'must be a media type'],
    ['{"body":1,"httpStatus":99}', 'httpStatus'],
    ['{"body":1,"httpStatus":200.5}', 'httpStatus'],
    ['{"body":1,"httpStatus":1e400}', 'too large'],
    ['{"body":1,"headers":{"X A":"y"}}', 'a header’s name must be a token'],
    ['{"body":1,"headers":{"X-A":"y\\nSet-Cookie: z"}}', 'a header’s value must have no line break'],
    ['{"body":1,"headers":{"X-A":1}}', 'expected string'],
    ['{"body":1,"logs":["a",1]}', 'logs.1: expected string'],
    ['{"body":1,"accepted":"yes"}', 'accepted: expected boolean'],
  ])('%s is refused', (result, expected) => {
    expect(reasonOf(readReply(json(result)))).toContain(expected);
  });

  test('what is wrong with a long name is told in short', () => {
    const reason = reasonOf(readReply(json(`{"body":1,"headers":{"${'x'.repeat(100_000)} ":"y"}}`)));
    expect(reason).toMatch(/ headers\.x{120}…: a header’s name must be a token/);
  });

  test('fields that are parsed are limited', () => {
    const reply = (bytes: number) => json(`{"body":1,"logs":["${'x'.repeat(bytes - 4)}"]}`);
    expect(readReply(reply(262_144)).ok).toBe(true);
    expect(reasonOf(readReply(reply(262_145)))).toContain('"logs" has more than 262144 bytes');
    expect(reasonOf(readReply(json(`{"body":1${',"x":1'.repeat(64)}}`)))).toContain('more than 64 members');
  });
});

describe('readError', () => {
  test('without data is connector_failed', () => {
    expect(readError({ message: 'no' })).toEqual({ errorCode: 'connector_failed', message: 'no' });
  });

  test('takes code, status, retryable, and detail as text', () => {
    const data = json('{"errorCode":"SmtpDown","httpStatus":503,"retryable":true,"detail":{"n":1.0}}');
    expect(told(readError({ message: 'no', data }))).toEqual({
      errorCode: 'SmtpDown',
      message: 'no',
      httpStatus: 503,
      retryable: true,
      detail: '{"n":1.0}',
    });
  });

  test('data that is no object is the detail', () => {
    expect(told(readError({ message: 'no', data: json('"Traceback…"') }))).toEqual({
      errorCode: 'connector_failed',
      message: 'no',
      detail: '"Traceback…"',
    });
  });

  test('leaves out a detail that is too long, and says so', () => {
    const detail = (bytes: number) => `"${'x'.repeat(bytes - 2)}"`;
    const read = (data: string) => readError({ message: 'no', data: json(data) });
    const note = 'no (Its detail was left out: it has more than 1048576 bytes.)';
    expect(read(detail(1_048_576)).detail).toHaveLength(1_048_576);
    expect(read(detail(1_048_577))).toEqual({ errorCode: 'connector_failed', message: note });
    expect(read(`{"errorCode":"E","detail":${detail(1_048_577)}}`)).toEqual({ errorCode: 'E', message: note });
    const stdout = Buffer.from(`{"error":{"message":"no","errorCode":"E","detail":${detail(1_048_577)}}}`);
    const reading = readOneshot(stdout, { messageBytesMax: 2_000_000, nestingMax: 512 });
    expect(reading).toEqual({ type: 'error', error: { errorCode: 'E', message: note } });
  });

  test.each([
    ['{"errorCode":"a b"}', 'errorCode: must be 1 to 128 of'],
    ['{"httpStatus":200}', 'httpStatus'],
    ['{"retryable":1}', 'retryable: expected boolean'],
    ['{"__proto__":1}', '__proto__'],
  ])('wrong data %s is not used, and that is told', (data, expected) => {
    const error = readError({ message: 'no', data: json(data) });
    expect(error.errorCode).toBe('connector_failed');
    expect(error.message).toMatch(/^no \(The rest of this error was not used: /);
    expect(error.message).toContain(expected);
  });
});

describe('readInitialize', () => {
  test('gives the checked answer', () => {
    const reading = readInitialize(json('{"protocol":1,"commands":[{"name":"A"}],"concurrency":8}'));
    expect(reading).toEqual({ ok: true, result: { protocol: 1, commands: [{ name: 'A' }], concurrency: 8 } });
  });

  test.each([
    ['{"commands":[]}', 'protocol: expected'],
    ['{"protocol":1,"commands":[{}]}', 'commands.0.name: expected'],
    ['{"protocol":1,"commands":[],"concurrency":0}', 'concurrency'],
    ['{"protocol":1,"commands":[{"name":"A","parameters":{"__proto__":1}}]}', '__proto__'],
    ['7', 'expected Object'],
  ])('%s is a breach', (result, expected) => {
    const reading = readInitialize(json(result));
    if (reading.ok) throw new Error('accepted');
    expect(reading.breach.code).toBe('protocol_violation');
    expect(reading.breach.message).toContain(expected);
  });
});

test('what is parsed of an answer is limited', () => {
  const initialized = (bytes: number) => {
    const text = '{"protocol":1,"commands":[],"description":"?"}';
    return readInitialize(json(text.replace('?', 'x'.repeat(bytes - text.length + 1))));
  };
  expect(initialized(1_048_576).ok).toBe(true);
  const large = initialized(1_048_577);
  if (large.ok) throw new Error('accepted');
  expect(large.breach.message).toContain('it has more than 1048576 bytes; leave out what is in the manifest');

  const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
  expect(readInitialize(json(`{"protocol":1,"commands":[],"x":${nested(511)}}`)).ok).toBe(true);
  const deep = readInitialize(json(`{"protocol":1,"commands":[],"x":${nested(512)}}`));
  if (deep.ok) throw new Error('accepted');
  expect(deep.breach.message).toContain('it is nested deeper than 512');
  expect(reasonOf(readReply(json(`{"body":1,"logs":${nested(9000)}}`)))).toContain('it is nested deeper than 512');
});

describe('readOneshot', () => {
  const limits = { messageBytesMax: 1000, nestingMax: 8 };
  const read = (text: string, own = limits) => told(readOneshot(Buffer.from(text), own));

  test('a reply over several lines, as text on one', () => {
    expect(read('\n{\n  "body": {\n"a": 1.0 } }\n')).toEqual({
      type: 'reply',
      accepted: false,
      reply: { type: 'body', body: '{ "a": 1.0 }', logs: [] },
    });
  });

  test('an error with its fields', () => {
    expect(read('{"error":{"message":"no","errorCode":"E","httpStatus":404,"detail":[1.0]}}\n')).toEqual({
      type: 'error',
      error: { errorCode: 'E', message: 'no', httpStatus: 404, detail: '[1.0]' },
    });
    expect(read('{"error":{"message":"no","errorCode":7}}\n')).toMatchObject({ type: 'error', error: { errorCode: 'connector_failed' } });
  });

  test.each([
    ['', 'protocol_violation', 'it ends too early'],
    ['hello\n', 'protocol_violation', '"hello\\n"'],
    ['{"body":1}\n{"body":2}\n', 'protocol_violation', 'something follows'],
    ['{"body":NaN}', 'invalid_result', 'NaN'],
    ['{"error":"no"}', 'invalid_result', '"error" is not an object'],
    ['{"error":{"message":1}}', 'invalid_result', '"error" is not an object'],
    ['[]', 'invalid_result', 'not an object'],
    ['{"body":[[[[[[[[1]]]]]]]]}', 'protocol_violation', 'nested deeper than 8'],
    [`{"body":"${'x'.repeat(1000)}"}`, 'result_too_large', 'more than 1000 bytes'],
  ])('%j is %s', (text, code, expected) => {
    const reading = readOneshot(Buffer.from(text), limits);
    if (reading.type !== 'breach') throw new Error(reading.type);
    expect(reading.breach.code).toBe(code);
    expect(reading.breach.message).toContain(expected);
  });

  test('secrets are masked before they are cut or escaped', () => {
    const reading = readOneshot(Buffer.from('token "p\\w"'), limits, (text) => text.replaceAll('"p\\w"', '***'));
    if (reading.type !== 'breach') throw new Error(reading.type);
    expect(reading.breach.message).toContain('"token ***"');
  });
});
