import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

export const projectFolder = fileURLToPath(new URL('../..', import.meta.url));

export interface CliResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly program?: readonly string[];
}

/** Runs the CLI from source as a user does, and waits for its end. */
export async function runCliProcess(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = spawnCli(args, options);
  child.stdin?.end(options.input ?? '');
  const exited = once(child, 'exit');
  const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!)]);
  const [exitCode] = await exited;
  return { exitCode: exitCode as number | null, stdout, stderr };
}

function spawnCli(args: readonly string[], { environment = {}, program = [join(projectFolder, 'src/main.ts')] }: CliOptions): ChildProcess {
  const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', NODE_NO_WARNINGS: '1', ...environment };
  return spawn(process.execPath, [...program, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] });
}

export interface ServeProcess extends AsyncDisposable {
  readonly url: string;
  readonly child: ChildProcess;
  readonly pid: number;
  /** Log lines so far. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  readonly exited: Promise<number | null>;
  /** Waits for a log line. */
  logged(isIt: (line: Readonly<Record<string, unknown>>) => boolean): Promise<Readonly<Record<string, unknown>>>;
}

const waitTimeoutMs = 30_000;

/** `bulkhead serve` on a free port, ready. */
export async function startServeProcess(args: readonly string[], options: CliOptions = {}): Promise<ServeProcess> {
  const child = spawnCli(['serve', '--port', '0', '--log-format', 'json', ...args], options);
  const lines: Record<string, unknown>[] = [];
  const raw: string[] = [];
  const waiting = new Set<() => void>();
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  child.stdout?.resume();
  followLines(child, (line) => {
    raw.push(line);
    const value = parsed(line);
    if (value !== undefined) lines.push(value);
    for (const look of waiting) look();
  });
  const logged: ServeProcess['logged'] = (isIt) =>
    new Promise((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(timer);
        waiting.delete(look);
      };
      const look = (): void => {
        const found = lines.find(isIt);
        if (found === undefined) return;
        stop();
        resolve(found);
      };
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`no such log line within ${waitTimeoutMs} ms; the log:\n${raw.join('\n')}`));
      }, waitTimeoutMs);
      waiting.add(look);
      look();
      void exited.then((code) => {
        stop();
        reject(new Error(`serve ended with exit code ${code}; the log:\n${raw.join('\n')}`));
      });
    });
  const { url } = await logged((line) => typeof line['url'] === 'string');
  const dispose = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
  };
  return { url: url as string, child, pid: child.pid!, log: lines, exited, logged, [Symbol.asyncDispose]: dispose };
}

function followLines(child: ChildProcess, line: (text: string) => void): void {
  let rest = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) line(part);
  });
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
  write(files: Readonly<Record<string, string>>): Promise<void>;
}

/** A folder that sandboxes may read too. */
export async function temporaryFolder(files: Readonly<Record<string, string>> = {}): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), 'bulkhead-cli-'));
  const write = async (more: Readonly<Record<string, string>>): Promise<void> => {
    for (const [name, content] of Object.entries(more)) {
      await mkdir(dirname(join(path, name)), { recursive: true });
      await writeFile(join(path, name), content);
    }
  };
  await chmod(path, 0o755);
  await write(files);
  return { path, write, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export async function postJson(url: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  return await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
}
