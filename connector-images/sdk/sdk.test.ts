import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { staleCopies } from '../../scripts/sync-sdk.ts';
import { lineLimitsDefault } from '../../src/protocol/limits.ts';
import { folderOf, type StartedConnector, startConnector } from '../start-connector.ts';
import { JsonText } from './bulkhead.ts';

// Two connectors that do the same, each told in its own language; every test below runs against both.
const node = `
import { ConnectorError, JsonText, reply, serve } from './bulkhead.ts';
import { existsSync } from 'node:fs';
import { stdout } from 'node:process';
console.log('printed while loading');
let goOn;
const odd = {
  detail: () => { throw new ConnectorError('late', { errorCode: 'Late', detail: { at: 1n } }); },
  thrown: () => Promise.reject(Object.create(null)),
  raised: () => { throw Object.defineProperty(new Error(), 'message', { get() { throw new TypeError('no'); } }); },
  level: (c) => c.log('loud', 'x'),
  progress: (c) => c.progress(Number.NaN),
};
const busyFor = (ms) => { const end = performance.now() + ms; while (performance.now() < end); };
serve({
  version: '3.1.4',
  start: ({ config }) => { if (config.broken) throw new ConnectorError('settings.broken is set'); },
  close: () => console.error('closed'),
  commands: {
    Echo: (_input, { text }) => ({ got: text.value }),
    Print: () => { console.log('{"jsonrpc":"2.0","id":"request-2","result":{}}'); process.stdout.write('noise'); stdout.write('more'); return 1; },
    Odd: ({ what }, c) => odd[what](c),
    LogObject: (_input, c) => c.log('error', new Error('as it is')),
    LogLong: (_input, c) => c.log('warn', '\\u0001'.repeat(300_000), { n: 1 }),
    Text: () => new JsonText('{"a":\\n"caf\u00e9 \u{1f600}",\\r\\n"b": 1.0}'),
    Fail: () => { throw new ConnectorError('no such thing', { errorCode: 'NotThere', httpStatus: 404, retryable: false, detail: { a: 1 } }); },
    Raise: () => { throw new RangeError('out of it'); },
    Context: (input, c) => ({ config: c.config, secrets: c.secrets, taskData: c.taskData, callbackUrl: c.callbackUrl, attempt: c.attempt, input }),
    Full: () => reply({ body: 'made', mimetype: 'text/plain', httpStatus: 201, headers: { 'X-A': 'b' }, logs: ['one'] }),
    Tell: (_input, c) => { c.log('warn', 'careful', { n: 1 }); c.progress(1, 2, 'half'); return null; },
    Wait: (_input, { signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve({ stopped: true }))),
    LookLate: (_input, context) => new Promise((resolve) => { goOn = () => resolve({ stopped: context.signal.aborted }); }),
    GoOn: () => goOn(),
    Compute: () => { busyFor(10); return null; },
    Nap: () => new Promise((resolve) => setTimeout(resolve, 1)),
    ComputeUntil: ({ file }) => { const end = Date.now() + 4000; while (!existsSync(file) && Date.now() < end) busyFor(1); return existsSync(file); },
  },
});`;
const python = `
from bulkhead import ConnectorError, JsonText, Reply, command, serve
import datetime
import os
import threading
import time
print("printed while loading")
go_on = threading.Event()

@command
def Echo(input, ctx):
    return {"got": input["value"]}

@command
def Print(input, ctx):
    print('{"jsonrpc":"2.0","id":"request-2","result":{}}')
    os.system("echo noise")
    return 1

class Untellable(Exception):
    def __str__(self):
        raise ValueError("no")

class Unmade(ConnectorError):
    def __init__(self):
        pass

@command
def Odd(input, ctx):
    what = input["what"]
    if what == "detail":
        raise ConnectorError("late", error_code="Late", detail={"at": datetime.datetime.now()})
    if what == "thrown":
        raise Untellable()
    if what == "raised":
        raise Unmade()
    if what == "level":
        ctx.log("loud", "x")
    if what == "progress":
        ctx.progress(float("nan"))

@command
def LogObject(input, ctx):
    ctx.log("error", Exception("as it is"))

@command
def LogLong(input, ctx):
    ctx.log("warning", "\\U0001f600" * 300000, n=1)

@command
def Text(input, ctx):
    return JsonText('{"a":\\n"caf\u00e9 \u{1f600}",\\r\\n"b": 1.0}')

@command
def Fail(input, ctx):
    raise ConnectorError("no such thing", error_code="NotThere", http_status=404, retryable=False, detail={"a": 1})

class RangeError(Exception):
    pass

@command
def Raise(input, ctx):
    raise RangeError("out of it")

@command
def Context(input, c):
    return {"config": c.config, "secrets": c.secrets, "taskData": c.task_data, "callbackUrl": c.callback_url, "attempt": c.attempt, "input": input}

@command
def Full(input, ctx):
    return Reply("made", mimetype="text/plain", http_status=201, headers={"X-A": "b"}, logs=["one"])

@command
def Tell(input, ctx):
    ctx.log("warn", "careful", n=1)
    ctx.progress(1, 2, "half")

@command
async def Wait(input, ctx):
    return {"stopped": ctx.cancelled.wait(20)}

@command
def LookLate(input, ctx):
    go_on.wait(20)
    return {"stopped": ctx.cancelled.is_set()}

@command
def GoOn(input, ctx):
    go_on.set()

def busy_for(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass

@command
def Nap(input, ctx):
    time.sleep(0.001)

@command
def Compute(input, ctx):
    busy_for(0.01)

@command
def ComputeUntil(input, ctx):
    end = time.monotonic() + 4
    while not os.path.exists(input["file"]) and time.monotonic() < end:
        busy_for(0.001)
    return os.path.exists(input["file"])

def start(config, secrets):
    if config.get("broken"):
        raise ConnectorError("settings.broken is set")

serve(version="3.1.4", start=start, close=lambda: os.write(2, b"closed\\n"))`;

/** For a machine that is busy. */
const patient = { timeout: 5000 };

const kinds = [
  { kind: 'TypeScript', file: 'main.ts', program: 'node', source: node, sdk: 'bulkhead.ts' },
  { kind: 'Python', file: 'main.py', program: 'python3', source: python, sdk: 'bulkhead.py' },
  // What the SDK takes json's own parts from is CPython's own.
  {
    kind: 'Python (no _json)',
    file: 'main.py',
    program: 'python3',
    source: `import sys\nsys.modules["_json"] = None\n${python}`,
    sdk: 'bulkhead.py',
  },
  {
    kind: 'Python (another _json)',
    file: 'main.py',
    program: 'python3',
    source: `import _json\n_json.make_encoder = None\n${python}`,
    sdk: 'bulkhead.py',
  },
];

it('is copied into every connector that uses it', () => {
  expect(staleCopies()).toEqual([]);
});

describe.each(kinds)('the $kind SDK', ({ file, program, source, sdk }) => {
  let folder: string;
  let connector: StartedConnector;
  const start = (config: unknown = { region: 'x' }) =>
    startConnector({ folder, command: [program, file], config, secrets: { TOKEN: 's' } });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'bulkhead-sdk-'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(folder, file), source);
    symlinkSync(join(folderOf('sdk'), sdk), join(folder, sdk));
    connector = await start();
  });
  afterAll(async () => {
    await connector[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  it('answers the handshake with its commands', () => {
    const { result } = JSON.parse(connector.lines[0] ?? '');
    expect(result).toMatchObject({ protocol: 1, version: '3.1.4', commands: expect.arrayContaining([{ name: 'Echo' }, { name: 'Wait' }]) });
    expect(result.concurrency).toBeGreaterThan(1);
  });

  it('does not keep an answer for what came with it and computes for long', async () => {
    const file = join(folder, 'go-on');
    const invoke = (id: string, command: string): string =>
      JSON.stringify({ jsonrpc: '2.0', id, method: 'invoke', params: { command, input: { file }, context: { invocationId: id } } });
    const answer = (id: string): string | undefined => connector.lines.find((line) => line.includes(`"id":"${id}"`));
    connector.send(`${invoke('quick-one', 'Compute')}\n${invoke('long-one', 'ComputeUntil')}\n`);
    await vi.waitFor(() => expect(answer('quick-one')).toBeDefined(), { timeout: 3000 });
    writeFileSync(file, '');
    await vi.waitFor(() => expect(answer('long-one')).toContain('"body":true'), patient);
  });

  it('writes an answer in the layout that is read fastest', async () => {
    const line = await connector.request('invoke', { command: 'Echo', input: { value: 'a' }, context: { invocationId: 'i' } });
    expect(line).toMatch(/^\{"jsonrpc":"2\.0","id":"request-\d+","result":\{"body":\{"got":"a"\}\}\}$/);
  });

  it.each([
    '123456789012345678901234567890',
    `-${'9'.repeat(6_000)}`,
    '1.0',
    '-0',
    '-0.0',
    '1e400',
    '1E2',
    '1.10',
    '0.1000000000000000055511151231257827',
    '{"10":1,"9":2,"a":{"2":3,"1":4}}',
    '"\\ud800"',
    '"\\u0000\\u001f\\\\\\"/"',
    '[[],{},"",null,true,false,[1.50,{"k":1e999}]]',
  ])('gives back %s as it was', async (value) => {
    const line = await connector.request('invoke', {
      command: 'Echo',
      input: new JsonText(`{"other":1,"value": ${value} }`),
      context: { invocationId: 'i' },
    });
    expect(line.endsWith(`"result":{"body":{"got":${value}}}}`)).toBe(true);
  });

  it('gives back any JSON, and keeps the text of all numbers', async () => {
    const values = fc.json({ stringUnit: 'binary', maxDepth: 4 }).filter((json) => !json.includes('__proto__'));
    await fc.assert(
      fc.asyncProperty(values, async (value) => {
        const { result } = await connector.invoke('Echo', `{"value":${value}}`);
        expect(result).toEqual({ body: { got: JSON.parse(value) } });
      }),
      { numRuns: 100 },
    );
  });

  it('keeps what is printed, also while loading, away from the protocol', async () => {
    const { result } = await connector.invoke('Print', '{}');
    expect(result).toEqual({ body: 1 });
    await expect.poll(connector.stderr).toMatch(/printed while loading[\s\S]*noise/);
    if (program === 'node') await expect.poll(connector.stderr).toContain('noisemore');
  });

  it('names failures', async () => {
    const failed = await connector.invoke('Fail', '{}');
    expect(failed.error).toEqual({
      code: -32000,
      message: 'no such thing',
      data: { errorCode: 'NotThere', httpStatus: 404, retryable: false, detail: { a: 1 } },
    });
    const raised = await connector.invoke('Raise', '{}');
    expect(raised.error).toEqual({ code: -32000, message: 'out of it', data: { errorCode: 'RangeError' } });
    await expect.poll(connector.stderr).toContain('RangeError: out of it');
    const unknown = await connector.invoke('toString', '{}');
    expect(unknown.error?.data).toEqual({ errorCode: 'command_not_found' });
  });

  it.each([
    ['detail', /^late \(The rest of this error is no JSON: TypeError\.\)$/, { errorCode: 'Late' }],
    ['thrown', /cannot be told|no more can be told/, {}],
    ['raised', /^$|cannot be told/, expect.anything()],
    ['level', /^A log level is /, expect.anything()],
    ['progress', /finite numbers|not JSON compliant/, expect.anything()],
  ])('goes on after a command that fails by an odd %s', async (what, message, data) => {
    const { error } = await connector.invoke('Odd', JSON.stringify({ what }));
    expect(error).toEqual({ code: -32000, message: expect.stringMatching(message), data });
    expect((await connector.invoke('Echo', '{"value":1}')).result).toEqual({ body: { got: 1 } });
  });

  it('tells of what is no text as text, and cuts what the proxy would not take', async () => {
    await connector.invoke('LogObject', '{}', { invocationId: 'object' });
    await connector.invoke('LogLong', '{}', { invocationId: 'long' });
    const [object, long] = ['object', 'long'].map((id) => connector.lines.find((line) => line.includes(`"invocationId":"${id}"`)) ?? '');
    expect(JSON.parse(object ?? '').params).toMatchObject({ level: 'error', message: expect.stringMatching(/as it is$/) });
    expect(Buffer.byteLength(long ?? '')).toBeLessThanOrEqual(lineLimitsDefault.notificationBytesMax);
    const { level, message, fields } = JSON.parse(long ?? '').params;
    expect([level, message.slice(-6), message.length > 20_000, fields]).toEqual(['warn', ' (cut)', true, undefined]);
  });

  it('puts the text of any JSON on one line, as it was else', async () => {
    const line = await connector.request('invoke', { command: 'Text', input: {}, context: { invocationId: 'i' } });
    expect(JSON.parse(line).result).toEqual({ body: { a: 'café 😀', b: 1 } });
    expect(line).toContain('"b": 1.0}');
  });

  it('hands over settings, secrets and the engine data that was sent', async () => {
    const { result } = await connector.invoke('Context', '{"a":1}', { taskData: { k: 1 }, callbackUrl: 'http://x/', attempt: 2 });
    expect(result?.['body']).toEqual({
      config: { region: 'x' },
      secrets: { TOKEN: 's' },
      taskData: { k: 1 },
      callbackUrl: 'http://x/',
      attempt: 2,
      input: { a: 1 },
    });
  });

  it('says more than a body where asked to', async () => {
    const { result } = await connector.invoke('Full', '{}');
    expect(result).toEqual({ body: 'made', mimetype: 'text/plain', httpStatus: 201, headers: { 'X-A': 'b' }, logs: ['one'] });
  });

  it('sends log lines and progress before the answer, with the id of the invocation', async () => {
    await connector.invoke('Tell', '{}', { invocationId: 'tell-1' });
    expect(connector.lines.slice(-3).map((line) => JSON.parse(line))).toMatchObject([
      { method: 'log', params: { invocationId: 'tell-1', level: 'warn', message: 'careful', fields: { n: 1 } } },
      { method: 'progress', params: { invocationId: 'tell-1', progress: 1, total: 2, message: 'half' } },
      { result: { body: null } },
    ]);
  });

  it('answers each of very many at once exactly once, behind what it said', async () => {
    const { length } = connector.lines;
    const ids = Array.from({ length: 500 }, (_, index) => `many-${index}`);
    await Promise.all(ids.map((invocationId) => connector.invoke('Tell', '{}', { invocationId })));
    const told = connector.lines.slice(length).map((line) => JSON.parse(line) as { id?: string; method?: string });
    expect(told.filter(({ method }) => method === 'log')).toHaveLength(ids.length);
    expect(new Set(told.flatMap(({ id }) => id ?? [])).size).toBe(ids.length);
    expect(told).toHaveLength(3 * ids.length);
  });

  it('runs as many at once as it said, and more as soon as one has ended', async () => {
    const waits = Array.from({ length: 7 }, (_, index) => connector.invoke('Wait', '{}', { invocationId: `busy-${index}` }));
    for (let count = 0; count < 20; count += 1) expect((await connector.invoke('Echo', '{"value":1}')).error).toBeUndefined();
    for (const index of waits.keys()) {
      connector.send(`{"jsonrpc":"2.0","method":"cancel","params":{"invocationId":"busy-${index}","reason":"client gone"}}\n`);
    }
    for (const { result } of await Promise.all(waits)) expect(result).toEqual({ body: { stopped: true } });
  });

  const invokeLine = (command: string, id: string) =>
    `{"jsonrpc":"2.0","id":"${id}","method":"invoke","params":{"command":"${command}","input":{"value":1},"context":{"invocationId":"${id}","deadline":1,"attempt":1}}}\n`;
  const cancelLine = (id: string) => `{"jsonrpc":"2.0","method":"cancel","params":{"invocationId":"${id}","reason":"client gone"}}\n`;
  const hasAnswered = (id: string) => connector.lines.some((text) => text.includes(id));

  it('holds up no answer behind a command that takes its time, when all came at once', async () => {
    for (const round of [1, 2, 3]) {
      const { length } = connector.lines;
      const order = round === 1 ? ['Echo', 'Wait', 'Echo', 'Echo'] : ['Wait', 'Echo', 'Echo', 'Echo'];
      connector.send(order.map((command, index) => invokeLine(command, `${round}-${command}-${index}`)).join(''));
      const echoes = () => connector.lines.slice(length).filter((text) => text.includes('-Echo-'));
      await expect.poll(() => echoes().length, patient).toBe(3);
      const waiting = `${round}-Wait-${order.indexOf('Wait')}`;
      connector.send(cancelLine(waiting));
      await expect.poll(() => hasAnswered(waiting), patient).toBe(true);
    }
  });

  it('holds up no answer either when more came than it runs at once', async () => {
    for (const round of [1, 2, 3]) {
      const waits = Array.from({ length: 8 }, (_, index) => `full-${round}-${index}`);
      connector.send(
        waits
          .slice(1)
          .map((id) => invokeLine('Wait', id))
          .join(''),
      );
      connector.send(invokeLine('Echo', `first-${round}`) + invokeLine('Wait', waits[0] ?? '') + invokeLine('Echo', `last-${round}`));
      await expect.poll(() => hasAnswered(`first-${round}`), patient).toBe(true);
      connector.send(waits.map(cancelLine).join(''));
      await expect.poll(() => [...waits, `last-${round}`].every(hasAnswered), patient).toBe(true);
    }
  });

  it('answers each of a mix of quick and slow ones exactly once', async () => {
    const { length } = connector.lines;
    const commands = ['Echo', 'Echo', 'Compute', 'Echo', 'Wait', 'Nap', 'Echo', 'Nap'];
    const ids = Array.from({ length: 240 }, (_, index) => `mix-${index}`);
    const left = ids.map((id, index) => ({ id, command: commands[((index * index) % 31) % commands.length] ?? '' }));
    const caller = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const { id, command } = next;
        const answered = connector.invoke(command, '{"value":1}', { invocationId: id });
        if (command === 'Wait') setTimeout(() => connector.send(cancelLine(id)), 3);
        expect((await answered).error).toBeUndefined();
      }
    };
    await Promise.all(Array.from({ length: 8 }, caller));
    const answers = connector.lines.slice(length).map((line) => JSON.parse(line) as { id: string });
    expect(answers).toHaveLength(ids.length);
    expect(new Set(answers.map(({ id }) => id)).size).toBe(ids.length);
  });

  it('ends when it is sent what it cannot read, also amid a command', async () => {
    await using own = await start();
    own.send(invokeLine('Wait', 'amid'));
    expect((await own.invoke('Echo', '{"value":1}')).error).toBeUndefined();
    own.send('nonsense\n');
    await expect.poll(() => own.child.exitCode, patient).toBe(1);
    expect(own.stderr()).toMatch(/JSON/);
  });

  it('cancels the invocation that is named, while others go on', async () => {
    const waiting = connector.invoke('Wait', '{}', { invocationId: 'wait-1' });
    const echoed = await connector.invoke('Echo', '{"value":1}');
    expect(echoed.result).toEqual({ body: { got: 1 } });
    connector.send('{"jsonrpc":"2.0","method":"cancel","params":{"invocationId":"wait-1","reason":"client gone"}}\n');
    expect((await waiting).result).toEqual({ body: { stopped: true } });
  });

  it('tells of a cancellation also who looks only afterwards', async () => {
    const late = connector.invoke('LookLate', '{}', { invocationId: 'late-1' });
    await connector.invoke('Echo', '{"value":1}');
    connector.send(cancelLine('late-1'));
    await connector.invoke('GoOn', '{}');
    expect((await late).result).toEqual({ body: { stopped: true } });
  });

  it('takes lines in any pieces and several at once', async () => {
    const { length } = connector.lines;
    const line = (id: string) => `{"jsonrpc":"2.0","id":"${id}","method":"ping","params":{}}\n`;
    const all = line('p1') + line('p2') + line('p3');
    for (const piece of all.match(/[\s\S]{1,7}/g) ?? []) {
      connector.send(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => connector.lines.length).toBe(length + 3);
    expect(connector.lines.slice(length)).toEqual(['p1', 'p2', 'p3'].map((id) => `{"jsonrpc":"2.0","id":"${id}","result":{}}`));
  });

  it('fails one invocation alone when its input is nested too deep', async () => {
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    const answer = JSON.parse(
      await connector.request('invoke', { command: 'Context', input: new JsonText(`{"value":${deep}}`), context: { invocationId: 'i' } }),
    );
    expect(answer.result ?? answer.error).toBeDefined();
    expect((await connector.invoke('Echo', '{"value":2}')).result).toEqual({ body: { got: 2 } });
  });

  it('fails the start with the reason of its start hook', async () => {
    await using broken = await start({ broken: true });
    expect(JSON.parse(broken.lines[0] ?? '').error.message).toBe('settings.broken is set');
  });

  it('answers shutdown and ends with 0 when stdin ends, nothing left behind', async () => {
    await using own = await start();
    expect(JSON.parse(await own.request('shutdown', {})).result).toEqual({});
    expect(await own.end()).toBe(0);
    expect(own.stderr()).toContain('closed');
  });

  it('ends, though a command never does, soon after stdin has ended', async () => {
    await using own = await start();
    own.send('{"jsonrpc":"2.0","id":"w","method":"invoke","params":{"command":"Wait","input":{},"context":{"invocationId":"w"}}}\n');
    expect(await own.end()).toBe(0);
  });
});

describe('the Python SDK with coroutines and forks', () => {
  const source = `
from bulkhead import command, serve
import asyncio
import os

@command
async def Rest(input, ctx):
    try:
        await asyncio.sleep(20)
    except asyncio.CancelledError:
        return {"stopped": ctx.cancelled.is_set()}

@command
def Fork(input, ctx):
    child = os.fork()
    if child == 0:
        raise ValueError("in the child")
    return {"child": os.waitpid(child, 0)[1] != 0}

async def start(config, secrets):
    await asyncio.sleep(0)
    if config.get("broken"):
        raise ValueError("settings.broken is set")

async def close():
    os.write(2, b"closed\\n")

serve(start=start, close=close)`;
  let folder: string;
  const startIt = (config: unknown = {}) => startConnector({ folder, command: ['python3', 'main.py'], config });
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'bulkhead-sdk-'));
    writeFileSync(join(folder, 'main.py'), source);
    symlinkSync(join(folderOf('sdk'), 'bulkhead.py'), join(folder, 'bulkhead.py'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('cancels a coroutine with its invocation', async () => {
    await using connector = await startIt();
    const resting = connector.invoke('Rest', '{}', { invocationId: 'rest' });
    await connector.request('ping', {});
    connector.send('{"jsonrpc":"2.0","method":"cancel","params":{"invocationId":"rest","reason":"client gone"}}\n');
    expect((await resting).result).toEqual({ body: { stopped: true } });
  });

  it('runs coroutines at the start and at the end', async () => {
    await using broken = await startIt({ broken: true });
    expect(JSON.parse(broken.lines[0] ?? '').error.message).toBe('settings.broken is set');
    await using connector = await startIt();
    expect(JSON.parse(await connector.request('shutdown', {})).result).toEqual({});
    expect(await connector.end()).toBe(0);
    expect(connector.stderr()).toContain('closed');
  });

  it('has a forked child answer nothing in its parent’s name', async () => {
    await using connector = await startIt();
    const { length } = connector.lines;
    expect((await connector.invoke('Fork', '{}')).result).toEqual({ body: { child: true } });
    await connector.request('ping', {});
    expect(connector.lines).toHaveLength(length + 2);
  });
});

describe('the Python SDK where no thread can be started', () => {
  it('runs one command after the other', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'bulkhead-sdk-'));
    symlinkSync(join(folderOf('sdk'), 'bulkhead.py'), join(folder, 'bulkhead.py'));
    // More than there are addresses, for the stack of each.
    writeFileSync(join(folder, 'main.py'), `import threading\nthreading.stack_size(1 << 60)\n${python}`);
    await using connector = await startConnector({ folder, command: ['python3', 'main.py'] });
    const answers = await Promise.all(
      ['Nap', 'Compute', 'Nap', 'Nap', 'Nap', 'Compute', 'Echo'].map((name) => connector.invoke(name, '{"value":1}')),
    );
    expect(answers.map(({ result }) => result?.['body'])).toEqual([null, null, null, null, null, null, { got: 1 }]);
    rmSync(folder, { recursive: true });
  });
});

describe.each(['', 'import sys; sys.modules["_json"] = None'])('the Python SDK after %j', (before) => {
  const source = `${before}
from bulkhead import command, serve
import sys

@command
def Loaded(input, ctx):
    return [name for name in ("json", "re", "asyncio", "traceback", "select") if name in sys.modules]

@command
def Give(input, ctx):
    circle = []
    circle.append(circle)
    return {"nan": [float("nan")], "infinite": float("-inf"), "circle": circle, "strange": {1, 2}, "keys": {1: 2, None: 3}}[input["what"]]

serve()`;
  let folder: string;
  let connector: StartedConnector;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'bulkhead-sdk-'));
    writeFileSync(join(folder, 'main.py'), source);
    symlinkSync(join(folderOf('sdk'), 'bulkhead.py'), join(folder, 'bulkhead.py'));
    // Without what else may be installed, which loads what it likes.
    connector = await startConnector({ folder, command: ['python3', '-S', 'main.py'] });
  });
  afterAll(async () => {
    await connector[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });
  const invoke = async (command: string, input: unknown) =>
    JSON.parse(await connector.request('invoke', { command, input, context: { invocationId: 'i' } }));

  it('has loaded nothing that takes long to load', async () => {
    expect((await invoke('Loaded', {})).result.body).toEqual(before === '' ? [] : ['json', 're']);
  });

  it.each([
    ['nan', 'ValueError', 'not JSON compliant'],
    ['infinite', 'ValueError', 'not JSON compliant'],
    ['circle', 'ValueError', 'Circular reference'],
    ['strange', 'TypeError', 'set is not JSON serializable'],
  ])('fails the call whose answer is %s', async (what, errorCode, text) => {
    expect((await invoke('Give', { what })).error).toMatchObject({ message: expect.stringContaining(text), data: { errorCode } });
    expect((await invoke('Give', { what: 'keys' })).result.body).toEqual({ 1: 2, null: 3 });
  });
});

describe('JsonText', () => {
  it('splits any JSON into the texts that JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: 'binary' }), fc.constantFrom(undefined, 2, '\t\r\n '), (json, space) => {
        const value: unknown = JSON.parse(json);
        const text = new JsonText(JSON.stringify(value, null, space));
        expect(text.items().map((item) => item.parse())).toEqual(Array.isArray(value) ? value : []);
        const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
        expect(text.entries().map(([name, member]) => [JSON.parse(name), member.parse()])).toEqual(isObject ? Object.entries(value) : []);
      }),
    );
  });

  it('keeps digits also for a plain JSON.stringify', () => {
    expect(JSON.stringify({ a: new JsonText('[1.0,{"b":1e400}]') })).toBe('{"a":[1.0,{"b":1e400}]}');
  });

  it('cannot be forged by a value that looks like its mark', () => {
    const value = { a: new JsonText('1.0'), b: '00000000-0000-0000-0000-000000000000:0', c: '"x:0"' };
    expect(JsonText.stringify(value)).toBe('{"a":1.0,"b":"00000000-0000-0000-0000-000000000000:0","c":"\\"x:0\\""}');
  });
});
