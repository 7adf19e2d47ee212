#!/usr/bin/env node
import { runCli } from './cli/program.ts';

// The only file that touches the process: what it reads goes down as values, what comes back is an exit code.
process.exitCode = await runCli({
  argv: process.argv.slice(2),
  environment: process.env,
  cwd: process.cwd(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  onSignal: (name, handler, signal) => {
    process.on(name, handler);
    signal.addEventListener('abort', () => process.off(name, handler), { once: true });
  },
});
