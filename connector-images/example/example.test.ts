import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { folderOf, runOneshot, startConnector } from '../start-connector.ts';

type Run = (command: string, input: string, context?: Readonly<Record<string, unknown>>) => Promise<string>;

/** The answer's own text, from a real process. */
function persistent(connector: string, command: readonly string[]): Run {
  return async (name, input, context = {}) => {
    await using started = await startConnector({ folder: folderOf(connector), command });
    await started.invoke(name, input, context);
    return /"(?:result|error)":(.*)\}$/.exec(started.lines.at(-1) ?? '')?.[1] ?? '';
  };
}

function oneshot(connector: string, command: readonly string[]): Run {
  return async (name, input, context = {}) => {
    const document = `{"command":"${name}","input":${input},"context":${JSON.stringify({ invocationId: 'i', deadline: 0, attempt: 1, ...context })}}`;
    const { stdout, stderr, code } = await runOneshot({ folder: folderOf(connector), command }, document);
    expect([code, stderr]).toEqual([0, '']);
    return stdout.trimEnd();
  };
}

const shells = ['sh', 'dash', 'bash', 'busybox sh'].filter((shell) => spawnSync(`${shell} -c true`, { shell: true }).status === 0);
const runs: readonly (readonly [string, Run])[] = [
  ['example (TypeScript)', persistent('example', ['node', 'main.ts'])],
  ['example-python', persistent('example-python', ['python3', 'main.py'])],
  ...shells.map((shell) => [`example-shell under ${shell}`, oneshot('example-shell', [...shell.split(' '), 'main.sh'])] as const),
];
const envelope = (body: string) =>
  `{"spiff":{"command_response_version":2,"command_response":{"body":${body},"mimetype":"application/json"},"error":null,"spiff__logs":[]}`;
/** Spaces between tokens are free; inside the values of this test there are none. */
const compact = (json: string) => json.replaceAll(/([,:]) /g, '$1');

describe.each(runs)('%s', (_, run) => {
  it.each([
    ['"hello"', '"world"'],
    ['null', 'null'],
    ['123456789012345678901234567890', '[1.0,1e400,0.1,-0.0,1E2,-0]'],
    ['"\\ud800"', '{"10":1,"9":{"arg1":"inner"}}'],
    ['"a\\"},{\\\\"', '"\\u0000\\n"'],
  ])('CombineStrings gives back %s and %s as they were', async (arg1, arg2) => {
    const answer = await run('CombineStrings', `{"arg1":${arg1}, "arg2":${arg2}}`);
    expect(compact(answer)).toContain(
      envelope(`{"command_response":{"example_response":"whatever you want","arg1":${arg1},"arg2":${arg2}}}`),
    );
  });

  it('Example gives back its message', async () => {
    expect(await run('Example', '{"message":"naïve ☃"}').then(JSON.parse)).toMatchObject({
      spiff: { command_response: { body: { example_response: 'whatever you want', message: 'naïve ☃' } } },
    });
  });

  it.each([
    ['is accepted when a callback is awaited', { callbackUrl: 'http://127.0.0.1:9/callback' }, true],
    ['is an ordinary answer without a callback', {}, false],
    ['takes a null callback for none', { callbackUrl: null }, false],
  ])('AsyncBodyStatus refuses to start, and %s', async (_name, context, accepted) => {
    const answer = JSON.parse(await run('AsyncBodyStatus', '{"upstream_status":500}', context));
    expect(answer.spiff).toEqual({
      command_response_version: 2,
      command_response: { body: { started: false }, mimetype: 'application/json', http_status: 500 },
      error: { error_code: 'AsyncStartRejected', message: 'The async command rejected the start request.' },
      spiff__logs: [],
    });
    expect(answer.accepted ?? false).toBe(accepted);
  });

  it('says that an unknown command is unknown', async () => {
    expect(await run('Nope', '{}')).toContain('This connector has no command Nope.');
  });
});
