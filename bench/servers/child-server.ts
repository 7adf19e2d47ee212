/** The part that bare-child.ts and dutiful-child.ts share: node:http, a body spliced into one line, writes batched per turn, the answer spliced back. */
import { spawn } from 'node:child_process';
import { createServer, type ServerResponse } from 'node:http';
import { announce } from './announce.ts';

/** One call on its way. */
export interface Owed {
  /** Headers of its answer, names and values by turns. */
  readonly headers: readonly string[];
}

/** What is done for each call beside handing it over. */
export interface Duties<Call extends Owed> {
  /** Undefined for a body that is not passed on. */
  begin(outgoing: ServerResponse, body: string): Call | undefined;
  isPassedOn(line: string): boolean;
  end(call: Call, replyBytes: number): void;
}

interface Waiting<Call> {
  readonly outgoing: ServerResponse;
  readonly owed: Call | undefined;
}

const noHeaders: readonly string[] = [];

/** Starts the child, and announces its server. */
export function serveChild<Call extends Owed>([folder, command = '', ...args]: readonly string[], duties?: Duties<Call>): void {
  const child = spawn(command, args, { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
  /** By id, which is used again: a Map that always grows and shrinks makes work for the collector (src/lib/slots.ts). */
  const waiting: (Waiting<Call> | undefined)[] = [];
  const freeIds: number[] = [];
  let running = 0;
  let batch = '';
  let rest = '';

  const answer = (line: string): void => {
    const idStart = line.indexOf('"id"') + 4;
    const start = line.indexOf('"', idStart) + 1;
    const end = line.indexOf('"', start);
    const id = Number(line.slice(start, end));
    const call = waiting[id];
    if (call === undefined) return;
    waiting[id] = undefined;
    freeIds.push(id);
    running -= 1;
    const { outgoing, owed } = call;
    if (duties?.isPassedOn(line) === false) {
      refuse(outgoing, 502);
      return;
    }
    const body = line.slice(line.indexOf('"result"', end) + 9, -1);
    const length = String(body.length);
    outgoing.writeHead(200, ['Content-Type', 'application/json', 'Content-Length', length, ...(owed?.headers ?? noHeaders)]);
    outgoing.end(body, 'latin1');
    if (owed !== undefined) duties?.end(owed, body.length);
  };

  const invoke = (outgoing: ServerResponse, body: string): void => {
    const owed = duties?.begin(outgoing, body);
    if (duties !== undefined && owed === undefined) {
      refuse(outgoing, 400);
      return;
    }
    const id = freeIds.pop() ?? waiting.length;
    const context = `{"invocationId":"${id}","deadline":${Date.now() + 30_000},"attempt":1}`;
    const params = `{"command":"CombineStrings","input":${body},"context":${context}}`;
    const line = `{"jsonrpc":"2.0","id":"${id}","method":"invoke","params":${params}}\n`;
    const isAlone = running === 0;
    waiting[id] = { outgoing, owed };
    running += 1;
    if (isAlone) child.stdin.write(line, 'latin1');
    else if (batch === '') setImmediate(flush);
    if (!isAlone) batch += line;
  };

  const flush = (): void => {
    child.stdin.write(batch, 'latin1');
    batch = '';
  };

  child.stdin.write('{"jsonrpc":"2.0","id":"start","method":"initialize","params":{"protocol":1,"config":{},"secrets":{}}}\n');
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) answer(line);
  });
  const server = createServer((incoming, outgoing) => {
    let body = '';
    incoming.setEncoding('latin1');
    incoming.on('data', (text: string) => {
      body += text;
    });
    incoming.on('end', () => invoke(outgoing, body));
  });
  server.listen(0, '127.0.0.1', () => announce(server));
}

function refuse(outgoing: ServerResponse, status: number): void {
  outgoing.writeHead(status, ['Content-Length', '0']);
  outgoing.end();
}
