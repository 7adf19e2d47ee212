import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { errorMessageBytesMax } from '../../../src/protocol/limits.ts';
import { dispatcherOf, type FixtureOptions, failureOf, invocation, nodeFixture } from '../../helpers/dispatching.ts';
import { type Leftovers, nothingLeft, watchLeftovers } from '../../helpers/leftovers.ts';

let leftovers: () => Promise<Leftovers>;

beforeEach(() => {
  leftovers = watchLeftovers();
});

afterEach(async () => {
  expect(await leftovers()).toEqual(nothingLeft);
});

/** How an invocation fails whose connector writes the pieces as one line, each so many times; ID is the invocation’s. */
async function failureBy(line: readonly (readonly [text: string, times: number])[], options: Partial<FixtureOptions> = {}) {
  await using test = dispatcherOf([nodeFixture('writes-as-told.ts', ['Write'], options)]);
  return failureOf(await test.dispatcher.invoke(invocation('Write', { line })));
}

describe('one line of a connector fails its own calls, not the proxy', () => {
  test('with NaN as its id', async () => {
    const { code, message } = await failureBy([['{"jsonrpc":"2.0","id":NaN,"result":1}', 1]]);
    expect(code).toBe('protocol_violation');
    expect(message).toContain('with an id that the proxy never sent');
  });

  test.each(['ID', 'made-up'])('with a million members in an error for the id %s', async (id) => {
    const line = [
      [`{"jsonrpc":"2.0","id":"${id}","error":{"message":"no"`, 1],
      [',"":0', 1_000_000],
      ['}}', 1],
    ] as const;
    const { code, message } = await failureBy(line, { limits: { messageBytesMax: 8_000_000 } });
    expect(code).toBe('protocol_violation');
    expect(message).toContain('with a wrong error: it has more than 64 members');
  });

  test.each([
    ['a log', '{"jsonrpc":"2.0","method":"log","params":{"message":"m","fields":{"a":', '}}}', 'protocol_violation'],
    ['an id', '{"jsonrpc":"2.0","result":1,"id":', '}', 'protocol_violation'],
    ['an error’s message', '{"jsonrpc":"2.0","id":"ID","error":{"message":', '}}', 'protocol_violation'],
    ['an error’s code', '{"jsonrpc":"2.0","id":"ID","error":{"message":"m","code":', '}}', 'protocol_violation'],
    ['the logs of a reply', '{"jsonrpc":"2.0","id":"ID","result":{"body":1,"logs":', '}}', 'invalid_result'],
  ])('with more levels in %s than can be walked', async (_, head, tail, expected) => {
    const levels = 9000;
    const line = [
      [head, 1],
      ['[', levels],
      [']', levels],
      [tail, 1],
    ] as const;
    const { code, message } = await failureBy(line, { limits: { nestingMax: 10_000 } });
    expect(code).toBe(expected);
    expect(message).toMatch(/it is nested deeper than 512|expected string/);
  });

  test('with an error of a million characters', async () => {
    const line = [
      ['{"jsonrpc":"2.0","id":"ID","error":{"message":"', 1],
      ['\u007f', 1_000_000],
      ['"}}', 1],
    ] as const;
    const { code, message } = await failureBy(line);
    expect(code).toBe('connector_failed');
    expect(message).toBe(`${'\u007f'.repeat(errorMessageBytesMax - 1)}…`);
  });
});
