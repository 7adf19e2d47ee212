import { execFile } from 'node:child_process';
import { constants, openSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';
import { endOf } from './attach-stream.ts';
import { type Lender, lendingSocket } from './lending-socket.ts';

/** stdin and stdout of one container as named pipes in a folder that is mounted into it. */
export interface ContainerPipes {
  readonly folder: string;
  readonly stdin: Writable;
  readonly stdout: Readable & Lender;
  /** To be told once the container has opened its end of stdin; what closes it waits for that. */
  opened(): void;
  /** Closes our ends and removes the folder. Idempotent. */
  close(): Promise<void>;
}

/**
 * Makes the pipes and opens our ends before any container can. What the engine copies twice on an attach, the kernel hands over once
 * here: a round trip costs what a subprocess's does.
 */
export async function makePipes(folder: string): Promise<ContainerPipes> {
  const [inPath, outPath] = [join(folder, 'stdin'), join(folder, 'stdout')];
  // Whatever user the container runs as must be able to open them, and nobody else sees the folder.
  await promisify(execFile)('mkfifo', ['-m', '0666', inPath, outPath]);
  // Read and write: a writer alone would have to wait for the container to open its end.
  const writeEnd = openSync(inPath, constants.O_RDWR | constants.O_NONBLOCK);
  const readEnd = openSync(outPath, constants.O_RDONLY | constants.O_NONBLOCK);
  const input = new Socket({ fd: writeEnd, readable: false, writable: true });
  const stdout = lendingSocket({ fd: readEnd });
  for (const socket of [input, stdout]) socket.on('error', () => {});
  const open = Promise.withResolvers<void>();
  return {
    folder,
    // A named pipe has no half: the container reads its end once the last writer has closed.
    stdin: endOf(input, () => void open.promise.then(() => input.destroySoon())),
    stdout,
    opened: open.resolve,
    async close() {
      input.destroy();
      stdout.destroy();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
