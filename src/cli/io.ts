import type { Readable, Writable } from 'node:stream';

/** All that a subcommand may know of the world around it; main.ts fills it from the process, tests from plain values. */
export interface CliIo {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdin: Readable;
  readonly stdout: TerminalStream;
  readonly stderr: TerminalStream;
  /** Calls the handler for each such signal until `signal` aborts. */
  onSignal(name: 'SIGTERM' | 'SIGINT' | 'SIGHUP', handler: () => void, signal: AbortSignal): void;
}

export type TerminalStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** What a run of the CLI tells the shell. `usage` follows the convention of shells and sysexits-free tools: 2 for a wrong call. */
export const exitCodes = { ok: 0, failed: 1, usage: 2 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** A wrong call of the CLI: told in one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
