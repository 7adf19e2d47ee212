/**
 * Two proxies in one process, each with its own config: what differs between them is then theirs, not the luck of a process. The first is
 * started as a user does it, so that the process is what that makes of it.
 */
import { runCli } from '../../src/cli/program.ts';

const [node = '', , first = '', second = ''] = process.argv;
const serve = (config: string): readonly string[] => ['serve', '--config', config];

process.argv = [node, 'src/main.ts', ...serve(first)];
const started = import('../../src/main.ts');
const { stdin, stdout, stderr, env: environment } = process;
const onSignal = (name: NodeJS.Signals, handler: () => void): void => void process.on(name, handler);
await runCli({ argv: serve(second), environment, cwd: process.cwd(), stdin, stdout, stderr, onSignal });
await started;
