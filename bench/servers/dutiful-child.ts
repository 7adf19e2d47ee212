/**
 * bare-child.ts with what a proxy owes each call, whatever it is like inside: both bodies are read once as JSON, and the call has an id that
 * nobody can guess, a deadline, a line in the log and its counts. Each by Bulkhead’s own part for it, and with its V8, so that none is slower
 * than it must be; nothing connects them, and there is no pool, no choice of connector or command, no envelope and no sandbox.
 */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { batched } from '../../src/cli/log-destination.ts';
import { createInvocationIds } from '../../src/http/invocation-id.ts';
import { createInvocationLog } from '../../src/http/invocation-log.ts';
import { createMetrics } from '../../src/http/metrics.ts';
import { type Deadline, Deadlines, type Expirable } from '../../src/lib/deadlines.ts';
import { scanJson } from '../../src/lib/json-scan.ts';
import { createLogger } from '../../src/log.ts';
import type { InvocationId } from '../../src/worker/invocation.ts';
import { type Duties, type Owed, serveChild } from './child-server.ts';

// As src/main.ts has them.
setFlagsFromString('--no-allocation-site-pretenuring');
setFlagsFromString('--max-inlined-bytecode-size-cumulative=4000');

const timeoutMs = 30_000;
const names = { connector: 'bench', command: 'CombineStrings' } as const;

const [logFile = '', ...child] = process.argv.slice(2);
const log = await openLog(logFile);
const newId = createInvocationIds();
const deadlines = new Deadlines();
const metrics = createMetrics({ status: () => new Map(), version: '' }).command(names.connector, names.command);

class OwedCall implements Owed, Expirable {
  readonly id: InvocationId = newId();
  readonly headers = ['Invocation-Id', this.id];
  readonly startedAt = performance.now();
  readonly arrivedMs = Date.now();
  readonly requestBytes: number;
  readonly deadline: Deadline;
  readonly #outgoing: ServerResponse;

  constructor(outgoing: ServerResponse, requestBytes: number) {
    this.#outgoing = outgoing;
    this.requestBytes = requestBytes;
    this.deadline = deadlines.add(this.startedAt + timeoutMs, this);
  }

  expire(): void {
    this.#outgoing.destroy();
  }
}

const duties: Duties<OwedCall> = {
  begin: (outgoing, body) => (isJson(body) ? new OwedCall(outgoing, body.length) : undefined),
  isPassedOn: isJson,
  end({ id, arrivedMs, requestBytes, startedAt, deadline }, replyBytes) {
    deadlines.cancel(deadline);
    const totalMs = performance.now() - startedAt;
    const phases = { queueMs: 0, startMs: 0, runMs: totalMs, replyBytes };
    metrics.observe('ok', phases);
    log({
      id,
      ...names,
      keyName: undefined,
      code: 'ok',
      status: 200,
      error: undefined,
      phases,
      totalMs,
      arrivedMs,
      requestBytes,
      replyBytes,
    });
  },
};

function isJson(text: string): boolean {
  return scanJson(text, { nestingMax: 100 }).ok;
}

async function openLog(file: string): Promise<ReturnType<typeof createInvocationLog>> {
  const stream = createWriteStream(file);
  await once(stream, 'open');
  return createInvocationLog(createLogger({ level: 'info', destination: batched(stream) }));
}

serveChild(child, duties);
