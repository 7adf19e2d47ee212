import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { TLSSocket } from 'node:tls';

/** Where every test host listens; a rule must name it beside the name, since it is loopback. */
export const hostAddress = '127.0.0.10';

export interface TestHosts extends AsyncDisposable {
  /** For server.egress.dnsServers. Every name under test.example is at `hostAddress` unless `answer` says otherwise. */
  readonly dnsServer: string;
  /** Names that were asked for, as often as they were. */
  readonly questions: readonly string[];
  /** Addresses of a name from here on; a function is asked anew for every question. */
  answer(name: string, addresses: readonly string[] | (() => readonly string[])): void;
  readonly ports: Readonly<Record<'http' | 'tls' | 'smtp' | 'raw', number>>;
  readonly mails: readonly Mail[];
  /** Connections that the hosts have had. */
  connections(): number;
  /** Holds ca.pem, and ca.p12 for Java. */
  readonly authorityFolder: string;
}

export interface Mail {
  readonly lines: readonly string[];
  readonly isEncrypted: boolean;
}

/** Hosts of the world outside, all on loopback: a DNS server, HTTP, TLS with an authority of its own, SMTP with STARTTLS, a raw protocol. */
export async function startTestHosts(): Promise<TestHosts> {
  const stack = new AsyncDisposableStack();
  const authority = makeAuthority();
  stack.defer(() => rmSync(authority.folder, { recursive: true }));
  const dns = await startDns();
  stack.defer(() => dns.close());
  const mails: Mail[] = [];
  let connections = 0;
  const listen = async (server: Server): Promise<number> => {
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => {
      connections += 1;
      sockets.add(socket);
      socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    });
    server.listen(0, hostAddress);
    await once(server, 'listening');
    stack.defer(async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    });
    return (server.address() as AddressInfo).port;
  };
  const ports = {
    http: await listen(createHttpServer(answerHttp)),
    tls: await listen(createHttpsServer(authority.server, answerHttp).on('tlsClientError', () => {})),
    smtp: await listen(
      createServer((socket) => {
        socket.write('220 test.example\r\n');
        talkSmtp({ socket, isEncrypted: false, certificate: authority.server, onMail: (mail) => mails.push(mail) });
      }),
    ),
    raw: await listen(createServer({ allowHalfOpen: true }, serveRaw)),
  };
  return {
    dnsServer: dns.address,
    questions: dns.questions,
    answer: (name, addresses) => dns.answers.set(name, addresses),
    ports,
    mails,
    connections: () => connections,
    authorityFolder: authority.folder,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

// ---- authority ----------------------------------------------------------------------------------------------------------------

interface Authority {
  readonly folder: string;
  readonly server: { readonly key: string; readonly cert: string };
}

/** A certificate authority of its own, and a certificate for test.example and every name right below it. */
function makeAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-test-ca-'));
  chmodSync(folder, 0o755);
  const run = (program: string, ...args: string[]): void => void execFileSync(program, args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  writeFileSync(join(folder, 'extensions'), 'subjectAltName=DNS:test.example,DNS:*.test.example,DNS:*.public.example\n');
  run('openssl', 'req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Test authority');
  run('openssl', 'req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=test.example');
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'extensions'];
  run('openssl', 'x509', '-req', '-in', 'server.csr', '-out', 'server.pem', ...signed);
  const server = { key: readFileSync(join(folder, 'server.key'), 'utf8'), cert: readFileSync(join(folder, 'server.pem'), 'utf8') };
  for (const file of ['ca.key', 'server.key', 'server.csr', 'extensions']) rmSync(join(folder, file));
  const store = ['-keystore', 'ca.p12', '-storetype', 'PKCS12', '-storepass', 'changeit'];
  run('keytool', '-importcert', '-noprompt', '-alias', 'test', '-file', 'ca.pem', ...store);
  return { folder, server };
}

// ---- names --------------------------------------------------------------------------------------------------------------------

const typeA = 1;

async function startDns() {
  const questions: string[] = [];
  const answers = new Map<string, readonly string[] | (() => readonly string[])>();
  const addressesOf = (name: string): readonly string[] | undefined => {
    const found = answers.get(name);
    if (found !== undefined) return typeof found === 'function' ? found() : found;
    return name.endsWith('.test.example') ? [hostAddress] : undefined;
  };
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => {
    const { name, type, end } = readQuestion(query);
    if (type === typeA) questions.push(name);
    const addresses = type === typeA ? addressesOf(name) : [];
    socket.send(writeAnswer(query.subarray(0, end), addresses), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const close = () => new Promise<void>((done) => socket.close(done));
  return { address: `127.0.0.1:${socket.address().port}`, questions, answers, close };
}

function readQuestion(query: Buffer): { readonly name: string; readonly type: number; readonly end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length !== 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** `addresses` undefined: there is no such name. */
function writeAnswer(question: Buffer, addresses: readonly string[] | undefined): Buffer {
  const head = Buffer.from(question);
  head.writeUInt16BE(addresses === undefined ? 0x8583 : 0x8580, 2);
  head.writeUInt16BE(addresses?.length ?? 0, 6);
  head.writeUInt32BE(0, 8);
  const records = (addresses ?? []).map((address) =>
    Buffer.from([0xc0, 12, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]),
  );
  return Buffer.concat([head, ...records]);
}

// ---- protocols ----------------------------------------------------------------------------------------------------------------

/** /redirect/URL sends there; every other path tells what was asked. */
async function answerHttp(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url = '/', headers } = request;
  const body = await text(request);
  if (url.startsWith('/redirect/')) {
    response.writeHead(302, { location: decodeURIComponent(url.slice('/redirect/'.length)) }).end();
    return;
  }
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ method, url, host: headers.host, body }));
}

interface SmtpTalk {
  readonly socket: Socket;
  readonly isEncrypted: boolean;
  readonly certificate: Authority['server'];
  readonly onMail: (mail: Mail) => void;
}

/** One connection of a mail server; begins anew once it is encrypted. */
function talkSmtp({ socket, isEncrypted, certificate, onMail }: SmtpTalk): void {
  let lines: string[] | undefined;
  const say = (line: string) => socket.write(`${line}\r\n`);
  const answers: Readonly<Record<string, () => void>> = {
    EHLO: () => say(isEncrypted ? '250 test.example' : '250-test.example\r\n250 STARTTLS'),
    QUIT: () => socket.end('221 bye\r\n'),
    DATA() {
      lines = [];
      say('354 go on');
    },
    STARTTLS() {
      stop();
      say('220 go on');
      const secure = new TLSSocket(socket, { isServer: true, ...certificate }).on('error', () => {});
      talkSmtp({ socket: secure, isEncrypted: true, certificate, onMail });
    },
  };
  const stop = eachLine(socket, (line) => {
    if (lines === undefined) (answers[line.split(/[ :]/)[0]?.toUpperCase() ?? ''] ?? (() => say('250 ok')))();
    else if (line !== '.') lines.push(line);
    else {
      onMail({ lines, isEncrypted });
      lines = undefined;
      say('250 taken');
    }
  });
}

/** Greets, is told `GIVE n`, gives n bytes and ends. */
function serveRaw(socket: Socket): void {
  socket.write('READY\n');
  eachLine(socket, (line) => socket.end('x'.repeat(Number(line.replace('GIVE ', '')))));
}

/** Calls back for each whole line until it is stopped. */
function eachLine(socket: Socket, onLine: (line: string) => void): () => void {
  let rest = '';
  const onData = (chunk: Buffer): void => {
    const parts = (rest + chunk.toString('latin1')).split(/\r?\n/);
    rest = parts.pop() ?? '';
    for (const part of parts) onLine(part);
  };
  socket.on('data', onData);
  return () => void socket.off('data', onData);
}
