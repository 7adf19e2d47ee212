import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { JsonText } from './sdk/bulkhead.ts';

/** A connector's folder. */
export function folderOf(connector: string): string {
  return fileURLToPath(new URL(`./${connector}/`, import.meta.url));
}

export interface Answer {
  readonly id: string;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string; readonly data?: Readonly<Record<string, unknown>> };
}

export interface StartedConnector extends AsyncDisposable {
  readonly child: ChildProcess;
  /** Every line of stdout so far, as written. */
  readonly lines: readonly string[];
  readonly stderr: () => string;
  /** Sends a request and gives the answer's own text. */
  request(method: string, params: unknown): Promise<string>;
  /** `input` is JSON text; the answer is parsed. */
  invoke(command: string, input: string, context?: Readonly<Record<string, unknown>>): Promise<Answer>;
  send(line: string): void;
  /** Ends stdin and gives the exit code. */
  end(): Promise<number | null>;
}

export interface StartOptions {
  readonly folder: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly config?: unknown;
  readonly secrets?: unknown;
}

/** Starts a connector as a real process, as the proxy would, and shakes hands with it. */
export async function startConnector(options: StartOptions): Promise<StartedConnector> {
  const [program = '', ...rest] = options.command;
  const child = spawn(program === 'node' ? process.execPath : program, rest, {
    cwd: options.folder,
    env: { PATH: process.env['PATH'], PYTHONDONTWRITEBYTECODE: '1', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  const waiting = new Map<string, (line: string) => void>();
  let stderr = '';
  let held = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin?.on('error', () => {});
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const parts = (held + text).split('\n');
    held = parts.pop() ?? '';
    for (const line of parts) {
      lines.push(line);
      const { id } = JSON.parse(line) as { id?: string };
      if (id !== undefined) waiting.get(id)?.(line);
    }
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  let count = 0;

  const request = async (method: string, params: unknown): Promise<string> => {
    const id = `request-${++count}`;
    const answered = new Promise<string>((resolve) => waiting.set(id, resolve));
    child.stdin?.write(`${JsonText.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    const ended = exited.then(([code]) => Promise.reject(new Error(`the connector ended with ${code}: ${stderr}`)));
    return Promise.race([answered, ended]);
  };

  const started: StartedConnector = {
    child,
    lines,
    stderr: () => stderr,
    request,
    send: (line) => void child.stdin?.write(line),
    invoke: async (command, input, context = {}) => {
      const params = {
        command,
        input: new JsonText(input),
        context: { invocationId: `invocation-${count}`, deadline: Date.now() + 40_000, attempt: 1, ...context },
      };
      return JSON.parse(await request('invoke', params)) as Answer;
    },
    end: async () => {
      child.stdin?.end();
      return (await exited)[0];
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
  await request('initialize', {
    protocol: 1,
    proxy: { name: 'test', version: '0' },
    connector: { name: 'test' },
    config: options.config ?? {},
    secrets: options.secrets ?? {},
  });
  return started;
}

/** Runs a one-shot connector: one document in, one document out. */
export async function runOneshot(
  options: StartOptions,
  document: string,
): Promise<{ readonly stdout: string; readonly stderr: string; readonly code: number | null }> {
  const [program = '', ...rest] = options.command;
  const child = spawn(program, rest, { cwd: options.folder, env: { PATH: process.env['PATH'], ...options.env } });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => {});
  child.stdin.end(document);
  const [code] = (await once(child, 'close')) as [number | null];
  return { stdout, stderr, code };
}
