import { Command, CommanderError } from 'commander';
import { ProxyError } from '../errors.ts';
import type { CliContext } from './context.ts';
import { type CliIo, type ExitCode, exitCodes, UsageError } from './io.ts';
import { createTerminal } from './terminal.ts';
import { readVersion } from './version.ts';

type AddCommand = (program: Command, context: CliContext) => void;

/** In the order of the help. Each is loaded when it is asked for: together they take longer to load than one takes to run. */
const commands: Readonly<Record<string, () => Promise<AddCommand>>> = {
  serve: async () => (await import('./serve.ts')).addServe,
  list: async () => (await import('./list.ts')).addList,
  call: async () => (await import('./call.ts')).addCall,
  check: async () => (await import('./check.ts')).addCheck,
  doctor: async () => (await import('./doctor.ts')).addDoctor,
  policy: async () => (await import('./policy.ts')).addPolicy,
  lock: async () => (await import('./lock.ts')).addLock,
  discover: async () => (await import('./discover.ts')).addDiscover,
  audit: async () => (await import('./audit.ts')).addAudit,
  'engine-guard': async () => (await import('./engine-guard.ts')).addEngineGuard,
  completion: async () => (await import('./completion.ts')).addCompletion,
};

/** Of the help where it is not shown on a terminal. */
const helpColumns = 100;

/** Runs one command line and says how it ended. Never throws for what a user can do wrong. */
export async function runCli(io: CliIo): Promise<ExitCode> {
  let exitCode: ExitCode = exitCodes.ok;
  const finish = (code: ExitCode): void => {
    exitCode = code;
  };
  const context: CliContext = { io, terminal: createTerminal(io), finish };
  try {
    const program = await createProgram(context);
    await program.parseAsync(io.argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    return report(error, io);
  }
}

/** For the command line that `io` has; to be run, or asked for its help. */
export async function createProgram(context: CliContext): Promise<Command> {
  const { io } = context;
  const program = new Command('bulkhead')
    .description('One HTTP API in front of connectors in any language, each in its own watertight compartment.')
    .version(readVersion())
    .exitOverride()
    .showHelpAfterError('(add --help for the whole usage)')
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      getOutHelpWidth: () => io.stdout.columns ?? helpColumns,
      getErrHelpWidth: () => io.stderr.columns ?? helpColumns,
    })
    .helpCommand('help [command]', 'show the help of a command');
  for (const add of await Promise.all(wanted(io.argv).map((load) => load()))) add(program, context);
  return program;
}

/** The command that stands first. All of them where it is none, for then there is something to say about them, as a completion script has. */
function wanted([first = '']: readonly string[]): readonly (() => Promise<AddCommand>)[] {
  const isAboutAll = first === 'completion' || !Object.hasOwn(commands, first);
  return Object.entries(commands).flatMap(([name, load]) => (isAboutAll || name === first ? [load] : []));
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
