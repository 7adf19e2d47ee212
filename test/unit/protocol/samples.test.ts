import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { jsonTextOf } from '../../../src/lib/json-text.ts';
import { bytesOf, utf8Of } from '../../../src/lib/pieces.ts';
import { encodeInvoke, encodeOneshot, encodeRequest, type InvokeFields } from '../../../src/protocol/encode.ts';
import { type Incoming, LineReader, lineLimitsDefault } from '../../../src/protocol/lines.ts';
import { readInitialize, readOneshot, readReply } from '../../../src/protocol/reply.ts';

const samples = join(import.meta.dirname, '../../../scripts/generate/samples');

async function run(command: readonly string[], input: readonly Uint8Array[]): Promise<string> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  child.stdin.end(Buffer.concat(input));
  const stdout = await text(child.stdout);
  expect(await exited).toEqual([0, null]);
  return stdout;
}

const shout = (words: unknown): InvokeFields => ({
  command: 'Shout',
  input: jsonTextOf({ text: words }),
  context: { invocationId: 'i', deadline: Date.now() + 10_000, attempt: 1 },
  engineData: {},
});

describe('the connectors that docs/protocol.md shows', () => {
  test('the one in Python speaks the protocol from start to end', async () => {
    const stdout = await run(
      ['python3', join(samples, 'shout.py')],
      [
        encodeRequest('a', 'initialize', {
          protocol: 1,
          proxy: { name: 'p', version: '1' },
          connector: { name: 'c' },
          config: {},
          secrets: {},
        }),
        encodeRequest('b', 'ping', {}),
        ...encodeInvoke({ ...shout('größer "x"'), id: 'c' }).map(bytesOf),
        encodeRequest('d', 'shutdown', {}),
      ],
    );
    const messages: Incoming[] = [];
    const reader = new LineReader(lineLimitsDefault, { message: (m) => messages.push(m), breach: (b) => expect.unreachable(b.message) });
    reader.push(Buffer.from(stdout));
    reader.end();
    const results = messages.map((message) => (message.type === 'result' ? message : expect.unreachable(message.type)));
    expect(results.map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd']);
    expect(readInitialize(results[0]!.result)).toMatchObject({ ok: true, result: { commands: [{ name: 'Shout' }] } });
    const reading = readReply(results[2]!.result);
    if (!reading.ok || reading.reply.type !== 'body') throw new Error('no body');
    expect(JSON.parse(utf8Of(reading.reply.body))).toBe('GRÖSSER "X"');
  });

  test.each([
    ['hello', { type: 'reply', reply: { type: 'body', body: Buffer.from('"HELLO"') } }],
    ['say "x"', { type: 'error', error: { errorCode: 'bad_text', httpStatus: 400 } }],
  ])('the one-shot one in shell answers %j', async (words, expected) => {
    const stdout = await run(['sh', join(samples, 'shout.sh')], encodeOneshot(shout(words), { config: {}, secrets: {} }).map(bytesOf));
    expect(readOneshot(Buffer.from(stdout), lineLimitsDefault)).toMatchObject(expected);
  });
});
