import { describe, expect, test } from 'vitest';
import type { Answer } from '../../../src/http/answer.ts';
import { spiffAnswer } from '../../../src/http/spiff-result.ts';
import { trustJsonText } from '../../../src/lib/json-text.ts';
import { utf8Of } from '../../../src/lib/pieces.ts';

function answerOf(text: string, status: 200 | 202 = 200): Answer | Error {
  return spiffAnswer(trustJsonText(Buffer.from(text)), status);
}

function bodyOf(answer: Answer | Error): string {
  if (answer instanceof Error) throw answer;
  return `${answer.head ?? ''}${utf8Of(answer.bytes ?? '')}${answer.tail ?? ''}`;
}

const response = '"command_response": {"body": [1.0, 12345678901234567890, "\\ud800"], "http_status": 404}';

describe('a result of version 2', () => {
  const lines = ['egress_denied: “a”', 'two'];
  const told = '"egress_denied: \\u201ca\\u201d", "two"';
  test.each([
    ['"spiff__logs": ["own"], "error": null', `"spiff__logs": ["own", ${told}], "error": null`],
    ['"spiff__logs": [ ]', `"spiff__logs": [ ${told}]`],
    ['"error": null', `"error": null, "spiff__logs": [${told}]`],
    ['"spiff__logs": "text"', '"spiff__logs": "text"'],
  ])('gets the lines of the proxy after its own: %s', (given, expected) => {
    const wrap = (members: string) => `{"command_response_version": 2, ${response}, ${members}}`;
    expect(bodyOf(spiffAnswer(trustJsonText(Buffer.from(wrap(given))), 200, lines))).toBe(wrap(expected));
  });

  test.each([
    `{"command_response_version": 2, ${response}}`,
    `{"command_response_version": 2, ${response}, "error": null, "spiff__logs": ["l"], "anything": [1]}`,
    `{"command_response_version": 1.5, ${response}}`,
    `{"command_response_version": 3e0, ${response}, "error": "a text"}`,
    `{"command_response_version": 1e400, ${response}, "error": {"error_code": "X", "message": "m"}}`,
    `{"command_response_version": null, "command_response_version": 2, ${response}, "error": {"message": "m"}}`,
  ])('is passed on whole at 200: %s', (text) => {
    const answer = answerOf(text);
    expect(answer).toMatchObject({ status: 200, contentType: 'application/json' });
    expect(bodyOf(answer)).toBe(text);
  });

  test.each([
    ['command_response', '{"command_response_version": 2}'],
    ['command_response', '{"command_response_version": 2, "command_response": null}'],
    ['command_response', '{"command_response_version": 2, "command_response": "text"}'],
    ['command_response', '{"command_response_version": 2, "command_response": []}'],
    ['command_response_version', `{"command_response_version": "2", ${response}}`],
    ['command_response_version', `{"command_response_version": null, ${response}}`],
    ['command_response_version', `{"command_response_version": [2], ${response}}`],
    ['spiff__logs', `{"command_response_version": 2, ${response}, "spiff__logs": null}`],
    ['message', `{"command_response_version": 2, ${response}, "error": {"error_code": "X"}}`],
  ])('that would crash the client by its %s is invalid_result: %s', (member, text) => {
    const error = answerOf(text);
    expect(error).toMatchObject({ code: 'invalid_result', message: expect.stringContaining(member) });
  });
});

describe('a result with many members', () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `"${index}": 0`).join(', ');

  test('is passed on whole, as far as its members are looked at', () => {
    const text = `{${many(65_534)}, "command_response_version": 2, ${response}}`;
    expect(bodyOf(answerOf(text))).toBe(text);
  });

  test.each([
    ['it has more than 65536 members', `{${many(65_535)}, "command_response_version": 2, ${response}}`],
    ['its error has more than 65536 members', `{"command_response_version": 2, ${response}, "error": {${many(65_537)}}}`],
  ])('beyond that is invalid_result: %s', (reason, text) => {
    expect(answerOf(text)).toMatchObject({ code: 'invalid_result', message: expect.stringContaining(reason) });
    expect(answerOf(text, 202)).toMatchObject({ code: 'invalid_result' });
  });
});

describe('a result of version 1', () => {
  test.each([
    [
      'an object is its own text',
      '{"response": {"10": 1.0, "9": 1e2}, "mimetype": "application/json"}',
      'application/json',
      '{"10": 1.0, "9": 1e2}',
    ],
    ['a string is decoded', '{"response": "na\\u00efve \\u2603", "mimetype": "application/json"}', 'application/json', 'naïve ☃'],
    ['a list is joined', '{"response": ["a", "b"], "mimetype": "text/plain"}', 'text/plain; charset=utf-8', 'ab'],
    [
      'a list is joined however its strings are written',
      '{"response": [ "\\"," ,\t"\\\\","", "[1]" , "\\ud83d","\\ude00☃" ], "mimetype": "text/plain"}',
      'text/plain; charset=utf-8',
      '",\\[1]😀☃',
    ],
    ['an empty list is nothing', '{"response": [ ], "mimetype": "text/plain"}', 'text/plain; charset=utf-8', ''],
    ['null is nothing', '{"response": null, "mimetype": "application/json"}', 'application/json', ''],
    ['text gets a charset', '{"response": "x", "mimetype": "text/csv"}', 'text/csv; charset=utf-8', 'x'],
    ['XML gets a charset', '{"response": "<a/>", "mimetype": "application/xml"}', 'application/xml; charset=utf-8', '<a/>'],
    ['XML by its ending too', '{"response": "<a/>", "mimetype": "image/svg+xml"}', 'image/svg+xml; charset=utf-8', '<a/>'],
    ['no type is HTML', '{"response": "x", "mimetype": null}', 'text/html; charset=utf-8', 'x'],
    ['an empty type stays', '{"response": "x", "mimetype": ""}', '', 'x'],
    ['version true is 1', '{"command_response_version": true, "response": "x", "mimetype": "a/b"}', 'a/b', 'x'],
    ['version 1 is 1', '{"command_response_version": 1, "response": "x", "mimetype": "a/b"}', 'a/b', 'x'],
  ])('%s', (_, text, contentType, body) => {
    const answer = answerOf(text);
    expect(answer).toMatchObject({ status: 200, contentType });
    expect(bodyOf(answer)).toBe(body);
  });

  test.each(['b', '\\u0062'])('has a type of up to 256 characters, however written: %s', (character) => {
    const answer = answerOf(`{"response": "x", "mimetype": "${'\\u0061'}/${character.repeat(254)}"}`);
    expect(answer).toMatchObject({ status: 200, contentType: `a/${'b'.repeat(254)}` });
  });

  test('as a list of very many strings is joined in one pass', () => {
    const count = 1_000_000;
    const answer = answerOf(`{"response": [${'"ab", '.repeat(count)}"c"], "mimetype": "text/plain"}`);
    expect(bodyOf(answer)).toBe(`${'ab'.repeat(count)}c`);
  });

  test.each([
    ['404', 404],
    ['"404"', 404],
    ['" +4_0_4 "', 404],
    ['404.9', 404],
    ['4.04e2', 404],
    ['999', 999],
  ])('status %s is %i', (status, expected) => {
    expect(answerOf(`{"response": "x", "status": ${status}, "mimetype": "text/plain"}`)).toMatchObject({ status: expected });
  });

  test.each([
    '{}',
    '{"response": "x"}',
    '{"status": 200, "mimetype": "text/plain"}',
    '{"response": 5, "mimetype": "application/json"}',
    '{"response": true, "mimetype": "application/json"}',
    '{"response": [{"a": 1}], "mimetype": "application/json"}',
    '{"response": ["a", ["b"]], "mimetype": "application/json"}',
    '{"response": ["a", 1], "mimetype": "application/json"}',
    '{"response": ["\\ud800", "a"], "mimetype": "application/json"}',
    '{"response": "\\ud800", "mimetype": "application/json"}',
    '{"response": "x", "mimetype": 5}',
    '{"response": "x", "mimetype": "a/b\\r\\nX-Injected: 1"}',
    `{"response": "x", "mimetype": "a/${'b'.repeat(255)}"}`,
    `{"response": "x", "mimetype": [${'{},'.repeat(1000)}{}]}`,
    `{"response": "x", "mimetype": "a/b", "status": "${' '.repeat(100)}200"}`,
    '{"response": "x", "mimetype": "a/b", "status": null}',
    '{"response": "x", "mimetype": "a/b", "status": "OK"}',
    '{"response": "x", "mimetype": "a/b", "status": true}',
    '{"response": "x", "mimetype": "a/b", "status": 0}',
    '{"response": "x", "mimetype": "a/b", "status": 199}',
    '{"response": "x", "mimetype": "a/b", "status": 1000}',
    '[1]',
    '"text"',
    'null',
    '5',
  ])('%s is invalid_result', (text) => {
    expect(answerOf(text)).toMatchObject({ code: 'invalid_result' });
  });
});

describe('an accepted result', () => {
  test.each(['{"response": "async", "status": 418, "mimetype": "text/plain"}', '{"command_response_version": 2}', '{}', '[1]', '"text"'])(
    'is passed on whole at 202: %s',
    (text) => {
      const answer = answerOf(text, 202);
      expect(answer).toMatchObject({ status: 202, contentType: 'application/json' });
      expect(bodyOf(answer)).toBe(text);
    },
  );

  test.each(['null', 'true', '5', '{"spiff__logs": null}', '{"command_response_version": "2"}', '{"error": {"error_code": "X"}}'])(
    'that would crash the client is invalid_result: %s',
    (text) => {
      expect(answerOf(text, 202)).toMatchObject({ code: 'invalid_result' });
    },
  );
});
