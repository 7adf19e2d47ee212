import type { Command } from 'commander';
import { createLogger } from '../log.ts';
import { startEngineGuard } from '../runner/engine-guard/engine-guard.ts';
import type { CliContext } from './context.ts';
import { logDestination } from './log-destination.ts';

/** `bulkhead engine-guard`: a socket that gives a proxy as much of a container engine as it needs. Runs until SIGTERM or SIGINT. */
export function addEngineGuard(program: Command, { io }: CliContext): void {
  program
    .command('engine-guard')
    .description('give a proxy in a container as much of Docker’s socket as it needs, which is less than root')
    .requiredOption('--listen <path>', 'the socket to make, for the proxy’s server.engine')
    .option('--engine <path>', 'the engine’s own socket', '/var/run/docker.sock')
    .action(async ({ listen, engine }: { readonly listen: string; readonly engine: string }) => {
      const logger = createLogger({ level: 'info', destination: await logDestination(io, 'auto') });
      const stop = new AbortController();
      const { promise: stopped, resolve } = Promise.withResolvers<void>();
      for (const name of ['SIGTERM', 'SIGINT'] as const) io.onSignal(name, resolve, stop.signal);
      await using _guard = await startEngineGuard({ listen, engineSocket: engine, logger, architecture: process.arch });
      logger.info({ listen, engine }, 'guarding the engine');
      await stopped;
      stop.abort();
    });
}
