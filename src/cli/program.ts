import { Command, CommanderError } from 'commander';
import { ProxyError } from '../errors.ts';
import { addAudit } from './audit.ts';
import { addCall } from './call.ts';
import { addCheck } from './check.ts';
import { addCompletion } from './completion.ts';
import type { CliContext } from './context.ts';
import { addDiscover } from './discover.ts';
import { addDoctor } from './doctor.ts';
import { addEngineGuard } from './engine-guard.ts';
import { type CliIo, type ExitCode, exitCodes, UsageError } from './io.ts';
import { addList } from './list.ts';
import { addLock } from './lock.ts';
import { addPolicy } from './policy.ts';
import { addServe } from './serve.ts';
import { createTerminal } from './terminal.ts';
import { readVersion } from './version.ts';

/** Runs one command line and says how it ended. Never throws for what a user can do wrong. */
export async function runCli(io: CliIo): Promise<ExitCode> {
  let exitCode: ExitCode = exitCodes.ok;
  const finish = (code: ExitCode): void => {
    exitCode = code;
  };
  const context: CliContext = { io, terminal: createTerminal(io), finish };
  try {
    await createProgram(context).parseAsync(io.argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    return report(error, io);
  }
}

export function createProgram(context: CliContext): Command {
  const { io } = context;
  const program = new Command('bulkhead')
    .description('One HTTP API in front of connectors in any language, each in its own watertight compartment.')
    .version(readVersion())
    .exitOverride()
    .showHelpAfterError('(add --help for the whole usage)')
    .configureOutput({ writeOut: (text) => void io.stdout.write(text), writeErr: (text) => void io.stderr.write(text) })
    .helpCommand('help [command]', 'show the help of a command');
  for (const add of [
    addServe,
    addList,
    addCall,
    addCheck,
    addDoctor,
    addPolicy,
    addLock,
    addDiscover,
    addAudit,
    addEngineGuard,
    addCompletion,
  ])
    add(program, context);
  return program;
}

function report(error: unknown, io: CliIo): ExitCode {
  // Commander has printed its own message by then; exit code 0 stands for --help and --version.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  const terminal = createTerminal(io, io.stderr);
  if (error instanceof UsageError) {
    terminal.line(`${terminal.style('red', 'error:')} ${error.message}`);
    return exitCodes.usage;
  }
  const known = ProxyError.from(error);
  terminal.line(`${terminal.style('red', `${known.code}:`)} ${known.message}`);
  if (known.code === 'internal_error') terminal.line(String(error instanceof Error ? error.stack : error));
  return exitCodes.failed;
}
