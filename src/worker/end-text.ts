import type { ErrorCode } from '../errors.ts';
import type { ProcessExit } from '../runner/runner.ts';

/** Why a worker ended, told after `Connector x (pid 1) `, without a full stop: `ended with exit code 3`. */
export interface EndReason {
  readonly code: ErrorCode;
  readonly text: string;
}

export function reasonOfExit({ exitCode, signal, breach }: ProcessExit): EndReason {
  if (breach !== undefined) return { code: breach.code, text: `was ended: ${breach.message}` };
  return { code: 'connector_crashed', text: signal === null ? `ended with exit code ${exitCode}` : `was ended by ${signal}` };
}

export interface EndTextParts {
  readonly connector: string;
  readonly label: string;
  readonly reason: EndReason;
  /** Said last: what else is known about the end. */
  readonly details: readonly string[];
  readonly stderr: string;
}

/** The one sentence, and the last lines of stderr, that every failure by the end of a process is told with. */
export function endText({ connector, label, reason, details, stderr }: EndTextParts): string {
  const words = [reason.text, ...details].join('; ');
  const sentence = `Connector ${connector} (${label}) ${words}${words.endsWith('.') ? '' : '.'}`;
  return stderr === '' ? sentence : `${sentence} Last lines of its stderr:\n${stderr}`;
}
