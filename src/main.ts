#!/usr/bin/env node
import { executionAsyncResource } from 'node:async_hooks';
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';

// Of libuv's threads half may look up names, for the four lookups of egress/resolve.ts at once, and files have the other half. By default there
// are four. It is read when the first thread is needed, so this comes first.
process.env['UV_THREADPOOL_SIZE'] ??= '8';

// What was compiled before need not be compiled again: a quarter of the start of a command. It is kept where whoever can write could change the
// code itself, not in the directory for temporary files; where nobody may write, it is done without.
// Whoever runs this from source does well to name the folder in NODE_COMPILE_CACHE: this file itself then need not wait for what takes the types away.
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/compiled', import.meta.url)));
const { runCli } = await import('./cli/program.ts');

// V8 lets a site whose objects survived for a while make all further ones in the old generation, for good. One stall while many calls
// are on their way is enough, and from then on all that a call's objects refer to is kept until the next major collection. Of the
// processes under load one in six came into that state: minor collections took seven times as long, calls a quarter more CPU.
setFlagsFromString('--no-allocation-site-pretenuring');
// After some seconds with little to do V8 shrinks its young generation to 1 MB, and then doubles it only when as much as it holds has
// survived. Little of a call survives: one caller after a pause had 60 minor collections a second, each waking three threads, for 8 % of the
// calls. Growing eightfold it comes back to 8 or to the 16 MB that it has under load, and so to 22 or 6 collections. Not while the process
// starts, of which much survives: 300 workers that nobody calls yet would have it at 16 MB, too.
setTimeout(() => setFlagsFromString('--semi-space-growth-factor=8'), 30_000).unref();
// By default V8 lets a small heap grow by 16 MB until its next major collection, which it begins as soon as no more is left of them than
// its young generation holds. That is 16 MB, too: with bodies of 10 MB it collected at each call, for a quarter of the CPU.
// Now a heap may grow to two and a half times what lives in it.
setFlagsFromString('--heap-growing-percent=150');
// By default V8 puts 920 bytes of bytecode into one optimized function at most, which our part of a call uses up, so that Node's HTTP functions
// stay calls. With room for four times as much, the user time of a small call is 2 to 9 % less (64 connections, as the machine has it).
setFlagsFromString('--max-inlined-bytecode-size-cumulative=4000');

// A major collection that finds none of the objects that Node makes for `process.nextTick`, as in an idle process, has V8 forget their
// hidden class, for which it then gives up its shortcuts for good: each tick took 350 ns, not 50. One that is kept prevents that.
const keptTicks: object[] = [];
process.nextTick(() => keptTicks.push(executionAsyncResource()));

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

// All that was to be done is done, and the process ends by itself, but for a name server that is silent: getaddrinfo cannot be called off.
setTimeout(end, 500).unref();

/**
 * Not by `process.exit` alone, which waits for the threads of the pool, and so for the name server's time-outs, 10 s and more. A program in the
 * place of this one has none of its threads. It runs no handlers of `exit`, which write the last lines of the log: they run before.
 */
function end(): void {
  const code = process.exitCode ?? 0;
  process.emit('exit', Number(code));
  try {
    process.execve?.(process.execPath, [process.execPath, '--eval', `process.exitCode = ${code}`]);
  } finally {
    // Where the program itself is gone, as after an update.
    process.exit();
  }
}
