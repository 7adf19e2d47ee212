import { execFile } from 'node:child_process';
import { closeSync, constants, existsSync, openSync } from 'node:fs';
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

/** Folders with named pipes in them. */
export interface PipeFolders {
  take(): Promise<string>;
  /** Soon makes one for the next who takes. */
  makeAhead(): void;
  /** Removes one that nobody took. Nothing may be asked of it afterwards. */
  close(): Promise<void>;
}

/** Until the engine has been asked for whatever it was asked for before. */
const aheadMs = 20;

/**
 * Named pipes take a program to be made, and to start one from a process of the proxy's size takes its event loop 25 ms: a twentieth of a
 * container's start, unless it is done while the engine works for the start before.
 */
export function createPipeFolders(makeFolder: () => Promise<string>): PipeFolders {
  let spare: Promise<string | undefined> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const make = async (): Promise<string> => {
    const folder = await makeFolder();
    // Whatever user the container runs as must be able to open them, and nobody else sees the folder.
    await promisify(execFile)('mkfifo', ['-m', '0666', inPathOf(folder), outPathOf(folder)]);
    return folder;
  };
  const takeSpare = async (): Promise<string | undefined> => {
    const taken = spare;
    spare = undefined;
    return await taken;
  };
  return {
    async take() {
      const folder = await takeSpare();
      // One may have waited for weeks, where whatever cleans up old files finds it.
      const isThere = folder !== undefined && [inPathOf(folder), outPathOf(folder)].every((path) => existsSync(path));
      return isThere ? folder : await make();
    },
    makeAhead() {
      timer ??= setTimeout(() => {
        timer = undefined;
        // Whoever takes it then makes its own, and is told why that cannot be.
        spare ??= make().catch(() => undefined);
      }, aheadMs).unref();
    },
    async close() {
      clearTimeout(timer);
      const left = await takeSpare();
      if (left !== undefined) await rm(left, { recursive: true, force: true });
    },
  };
}

function inPathOf(folder: string): string {
  return join(folder, 'stdin');
}

function outPathOf(folder: string): string {
  return join(folder, 'stdout');
}

/**
 * Opens our ends of a folder's pipes before any container can. What the engine copies twice on an attach, the kernel hands over once
 * here: a round trip costs what a subprocess's does. Where they cannot be opened, the folder is removed.
 */
export async function openPipes(folder: string): Promise<ContainerPipes> {
  try {
    return pipesOn(folder, openEnds(folder));
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

interface PipeEnds {
  readonly writeEnd: number;
  readonly readEnd: number;
}

function openEnds(folder: string): PipeEnds {
  // Read and write: a writer alone would have to wait for the container to open its end.
  const writeEnd = openSync(inPathOf(folder), constants.O_RDWR | constants.O_NONBLOCK);
  try {
    return { writeEnd, readEnd: openSync(outPathOf(folder), constants.O_RDONLY | constants.O_NONBLOCK) };
  } catch (error) {
    closeSync(writeEnd);
    throw error;
  }
}

function pipesOn(folder: string, { writeEnd, readEnd }: PipeEnds): ContainerPipes {
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
