import { PassThrough, pipeline, type Readable } from 'node:stream';
import type { Lender } from './lending-socket.ts';
import { type OuterProcess, streamOf } from './outer-process.ts';

/** What a process writes. */
export interface Output {
  readonly stdout: Readable & Partial<Lender>;
  readonly stderr: Readable;
}

export interface KeptOutput {
  /** Whoever takes it reads it from then on, in the same turn, or destroys it: what was kept holds its pipe. */
  take(): Output;
}

export function outputOf(child: OuterProcess): Output {
  return { stdout: streamOf(child, 1), stderr: streamOf(child, 2) };
}

/**
 * Keeps what a process writes until it is taken, also when the process ends before: right after that event Node throws away what nobody reads, and
 * so does SpawnedProcess. To be called before its exit is told.
 */
export function keepOutput(child: OuterProcess): KeptOutput {
  let output = outputOf(child);
  let isTaken = false;
  child.once('exit', () => {
    if (!isTaken) output = { stdout: kept(output.stdout), stderr: kept(output.stderr) };
  });
  return {
    take() {
      isTaken = true;
      return output;
    },
  };
}

/** Ends with the other, whichever way that ends: a pipe that broke is a symptom of the exit. It holds what fits into a stream, the pipe the rest. */
function kept(stream: Readable): Readable {
  return pipeline(stream, new PassThrough(), () => {});
}
