import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Output, outputOf } from './kept-output.ts';
import { type OuterProcess, signalNames, streamOf, untilEnded } from './outer-process.ts';
import type { ConnectorProcess, ProcessExit } from './runner.ts';

/** How long output that a dead process left behind may still take to arrive, before our ends are closed. */
export const outputDrainTimeoutMs = 500;

export interface HandleOptions {
  readonly child: OuterProcess;
  /** Default: the child’s own. */
  readonly output?: Output;
  readonly label: string;
  readonly terminate: () => void;
  readonly kill: () => void;
  /** Ends what the process left behind and waits for it; runs once, after the process itself has ended. */
  readonly finish: () => Promise<Partial<ProcessExit>>;
}

/** A child process, which may have ended already, as a ConnectorProcess. Its three streams are pipes. */
export function handleOf({ child, output = outputOf(child), label, terminate, kill, finish }: HandleOptions): ConnectorProcess {
  const stdin = streamOf(child, 0);
  const { stdout, stderr } = output;
  // A broken pipe is a symptom; the exit says why.
  for (const stream of [stdin, stdout, stderr]) stream.on('error', () => {});
  let isOver = false;
  const whenOpen = (act: () => void) => () => {
    if (!isOver) act();
  };
  // Listened for before anything is awaited: a process may end, and close its streams, in the same turn. Not the child's own `close`, which
  // waits for further pipes, too: one on which something is left that nobody reads never closes.
  const closed = Promise.all([stdout, stderr].map(untilClosed));
  const exited = untilEnded(child).then(async () => {
    isOver = true;
    const end: EndOfChild = { exitCode: child.exitCode, signal: child.signalCode };
    const more = await finish();
    await Promise.race([closed, sleep(outputDrainTimeoutMs, undefined, { ref: false })]);
    for (const stream of [stdin, stdout, stderr]) stream.destroy();
    return { ...end, ...more };
  });
  return { stdin, stdout, stderr, exited, label, terminate: whenOpen(terminate), kill: whenOpen(kill) };
}

interface EndOfChild {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

async function untilClosed(stream: Readable): Promise<void> {
  if (!stream.closed) await new Promise<void>((resolve) => stream.once('close', () => resolve()));
}

/** A shell or a sandbox tells of a signal by 128 + its number. */
export function endFromShellCode(exitCode: number | null): EndOfChild {
  const signal = exitCode === null || exitCode <= 128 ? undefined : signalNames.get(exitCode - 128);
  return signal === undefined ? { exitCode, signal: null } : { exitCode: null, signal };
}
