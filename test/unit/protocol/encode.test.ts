import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { type JsonText, trustJsonText } from '../../../src/lib/json-text.ts';
import { bytesOf, type Piece } from '../../../src/lib/pieces.ts';
import { encodeInvoke, encodeNotification, encodeOneshot, encodeRequest, type InvokeFields } from '../../../src/protocol/encode.ts';
import { OneshotDocumentSchema, ProxyMessageSchema } from '../../../src/protocol/messages.ts';

function json(text: string): JsonText {
  return trustJsonText(Buffer.from(text));
}

function textOf(pieces: readonly Piece[]): string {
  return Buffer.concat(pieces.map(bytesOf)).toString();
}

const invoke: InvokeFields = {
  command: 'SendEmail',
  input: json('{"10":1,"9":1.0,"big":123456789012345678901,"s":"\\ud800"}'),
  context: { invocationId: 'inv-1', deadline: 1_790_000_000_000, attempt: 1 },
  engineData: {},
};

describe('encodeInvoke', () => {
  test('is the message of the specification with the caller’s bytes in it, on one line', () => {
    const text = textOf(encodeInvoke({ ...invoke, id: 'a1' }));
    expect(text).toBe(
      '{"jsonrpc":"2.0","id":"a1","method":"invoke","params":{"command":"SendEmail",' +
        '"input":{"10":1,"9":1.0,"big":123456789012345678901,"s":"\\ud800"},' +
        '"context":{"invocationId":"inv-1","deadline":1790000000000,"attempt":1}}}\n',
    );
    expect(v.is(ProxyMessageSchema, JSON.parse(text))).toBe(true);
  });

  test('hands over the engine’s data and the trace context where given', () => {
    const engineData = {
      taskData: json('{"n":2.0}'),
      processInstanceId: json('7'),
      processModelIdentifier: json('"m/x"'),
      taskId: json('"t"'),
      callbackUrl: json('"http://x"'),
    };
    const context = { ...invoke.context, traceparent: '00-aa-bb-01' };
    const text = textOf(encodeInvoke({ ...invoke, id: 'a1', context, engineData }));
    expect(text).toContain(
      '"attempt":1,"traceparent":"00-aa-bb-01","taskData":{"n":2.0},"processInstanceId":7,"processModelIdentifier":"m/x","taskId":"t","callbackUrl":"http://x"}}}\n',
    );
    expect(v.is(ProxyMessageSchema, JSON.parse(text))).toBe(true);
  });

  test('of texts it is one text; bytes are not copied', () => {
    const engineData = { taskId: trustJsonText('"t"') };
    expect(encodeInvoke({ ...invoke, input: trustJsonText('{"a":1}'), engineData, id: 'a1' })).toHaveLength(1);
    const input = json(`{"x":"${'x'.repeat(100_000)}"}`);
    const pieces = encodeInvoke({ ...invoke, input, id: 'a1' });
    expect(pieces).toContain(input);
    expect(v.is(ProxyMessageSchema, JSON.parse(textOf(pieces)))).toBe(true);
  });
});

test('encodeOneshot is the params with config and secrets, ended by LF', () => {
  const text = textOf(encodeOneshot({ ...invoke, engineData: { taskId: json('null') } }, { config: { a: 1 }, secrets: { S: 'x\n' } }));
  expect(text.endsWith('"taskId":null},"config":{"a":1},"secrets":{"S":"x\\n"}}\n')).toBe(true);
  expect(v.is(OneshotDocumentSchema, JSON.parse(text))).toBe(true);
});

test('what is not ASCII passes as it is, in a small message and in a large one', () => {
  for (const length of [1, 100_000]) {
    const value = 'é€😀'.repeat(length);
    const fields = { ...invoke, input: json(JSON.stringify({ value })) };
    expect(JSON.parse(textOf(encodeInvoke({ ...fields, id: 'a1' })))).toMatchObject({ params: { input: { value } } });
    const document: unknown = JSON.parse(textOf(encodeOneshot(fields, { config: { value }, secrets: { S: value } })));
    expect(document).toMatchObject({ input: { value }, config: { value }, secrets: { S: value } });
  }
});

test('requests and notifications are messages of the specification', () => {
  const initialize = {
    protocol: 1,
    proxy: { name: 'bulkhead', version: '1' },
    connector: { name: 'x' },
    config: { line: 'a\nb' },
    secrets: { S: 'ü' },
  };
  const messages = [
    encodeRequest('a', 'initialize', initialize),
    encodeRequest('b', 'ping', {}),
    encodeRequest('c', 'shutdown', {}),
    encodeNotification('cancel', { invocationId: 'i', reason: 'deadline' }),
  ].map(String);
  for (const message of messages) {
    expect(message.indexOf('\n')).toBe(message.length - 1);
    expect(v.is(ProxyMessageSchema, JSON.parse(message))).toBe(true);
  }
});
