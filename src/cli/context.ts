import type { CliIo, ExitCode } from './io.ts';
import type { Terminal } from './terminal.ts';

/** What every subcommand gets. */
export interface CliContext {
  readonly io: CliIo;
  readonly terminal: Terminal;
  /** Sets the exit code; the last call holds. */
  finish(code: ExitCode): void;
}
