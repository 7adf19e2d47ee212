import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import * as v from 'valibot';
import type { Logger } from '../../log.ts';
import { labelNames, ownerLabel } from '../container-labels.ts';
import { seccompProfile } from '../container-seccomp.ts';
import { volumePaths } from '../image-volumes.ts';
import { bodyOf } from './bounded-body.ts';
import { createPayloadSchema } from './create-payload.ts';
import { type GuardedRoute, guardedRoute } from './guarded-route.ts';
import { endUpgrade, joinAttach } from './join-attach.ts';

export interface EngineGuardOptions {
  /** Path of the socket to listen on; what is there is replaced. */
  readonly listen: string;
  /** Path of the engine's own socket. */
  readonly engineSocket: string;
  readonly logger: Logger;
  /** Node's name, for the filter of system calls that is let through. */
  readonly architecture: string;
}

/** Bytes of a create payload; the filter of system calls in it is some 100 kB. */
const payloadBytesMax = 1024 * 1024;
/** Bytes of the engine's own words on an image: a container of one with more is not made, since it could not be looked at, nor removed. */
const imageBytesMax = 16 * 1024 * 1024;
/** Bytes of any answer of the engine. That on a container has what its image says, and its payload, which JSON can write six times as long. */
const answerBytesMax = imageBytesMax + 8 * payloadBytesMax;
const headersTimeoutMs = 10_000;
/** The runner's library writes a payload into the query as well, percent-encoded. It is dropped from there. */
const headersBytesMax = 512 * 1024;
/** Faults of a payload that a refusal tells; the log is not the place for all. */
const faultsToldMax = 3;

/**
 * Stands between a proxy and its container engine, whose socket is root on the host for whoever may write to it. Lets through what the
 * runner needs, for hardened containers that Bulkhead made, and nothing else: a proxy that was taken over cannot mount the host's files,
 * run as root, reach a network, or touch or read other containers.
 */
export async function startEngineGuard(options: EngineGuardOptions): Promise<AsyncDisposable> {
  const sockets = new Set<Socket>();
  const guard = guardOf(options);
  const server = createServer(
    { headersTimeout: headersTimeoutMs, requestTimeout: 0, maxHeaderSize: headersBytesMax },
    (incoming, response) => {
      guard.serve(incoming, response).catch((error: unknown) => failed(response, error));
    },
  );
  server.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
    if (head.length > 0) socket.unshift(head);
    guard.upgrade(incoming, socket).catch(() => socket.destroy());
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
  });
  await rm(options.listen, { force: true });
  await listen(server, options.listen);
  // Who may connect is who sees the folder: in compose.yaml, the proxy alone.
  await chmod(options.listen, 0o666);
  return {
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => server.once('error', reject).listen(path, resolve));
}

function failed(response: ServerResponse, error: unknown): void {
  if (response.headersSent) response.destroy();
  else
    answer(response, 502, `The engine does not answer the guard (${(error as NodeJS.ErrnoException).code ?? (error as Error).message}).`);
}

function answer(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ message }));
}

type Refusal = (message: string) => void;

function guardOf({ engineSocket, logger, architecture }: EngineGuardOptions) {
  const schema = createPayloadSchema(JSON.stringify(seccompProfile(architecture)));
  const refusal =
    (incoming: IncomingMessage, response: ServerResponse): Refusal =>
    (reason) => {
      logger.warn({ method: incoming.method, path: incoming.url?.split('?')[0] }, `refused a request to the engine: ${reason}`);
      answer(response, 403, `The engine guard refuses this request: ${reason}.`);
    };
  const create = async (incoming: IncomingMessage, response: ServerResponse, path: string): Promise<void> => {
    const refuse = refusal(incoming, response);
    const payload = v.safeParse(schema, parsed(await bodyOf(incoming, payloadBytesMax)));
    if (!payload.success) return refuse(faultText(payload.issues));
    const { name: _, ...wanted } = payload.output;
    const image = await lookAtImage(engineSocket, wanted.Image);
    // What the engine has only by the time of the create was not looked at.
    if (image.status !== 200) return answer(response, image.status, 'The engine has no such image, or cannot tell of it.');
    const fault = imageFault(image.text, 'Tmpfs' in wanted.HostConfig ? wanted.HostConfig.Tmpfs : {});
    if (fault !== undefined) return refuse(fault);
    const joined = /^container:(.*)$/.exec(wanted.HostConfig.NetworkMode)?.[1];
    if (joined !== undefined && !isSidecar(await ownContainer(engineSocket, joined))) return refuse('the container to join is no sidecar');
    const text = JSON.stringify(wanted);
    return relay(engineSocket, { method: 'POST', path, headers: jsonHeaders(text), body: text }, response);
  };
  const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '' } = incoming;
    const route = guardedRoute(method, incoming.url ?? '');
    switch (route.type) {
      case 'refuse':
        return refusal(incoming, response)(route.reason);
      case 'forward':
        return relay(engineSocket, { method, path: route.path, headers: {} }, response);
      case 'pull':
        return relay(engineSocket, { method, path: route.path, headers: credentialsOf(incoming) }, response);
      case 'import':
        return relay(engineSocket, { method, path: route.path, headers: tarHeaders, body: incoming }, response);
      case 'create':
        return create(incoming, response, route.path);
      case 'inspect':
        return inspect(engineSocket, route.id, response);
      case 'info':
        return info(engineSocket, response);
      case 'container': {
        const own = await ownContainer(engineSocket, route.id);
        // Gone is as good as removed; the runner knows a 404.
        if (own === 'gone') return answer(response, 404, 'No such container.');
        if (own === 'foreign') return refusal(incoming, response)('the container is none of Bulkhead’s');
        return relay(engineSocket, { method, path: actionPath(own.id, route), headers: {} }, response);
      }
    }
  };
  /** Attach: the connection becomes the container's streams. */
  const upgrade = async (incoming: IncomingMessage, socket: Socket): Promise<void> => {
    const route = guardedRoute(incoming.method ?? '', incoming.url ?? '');
    const own = route.type === 'container' && route.action === '/attach' ? await ownContainer(engineSocket, route.id) : 'foreign';
    if (own === 'gone') return endUpgrade(socket, 404, 'No such container.');
    if (own === 'foreign' || route.type !== 'container')
      return endUpgrade(socket, 403, 'The engine guard refuses this request: it is no attach to a container of Bulkhead’s.');
    await joinAttach(engineSocket, actionPath(own.id, route), socket);
  };
  return { serve, upgrade };
}

function actionPath(id: string, { action, query }: Extract<GuardedRoute, { type: 'container' }>): string {
  return `/containers/${id}${action}?${query}`;
}

/** Only words of our own: a value may hold a connector's environment. */
function faultText(issues: readonly v.BaseIssue<unknown>[]): string {
  const faults = issues.map(
    (issue) => `${v.getDotPath(issue) ?? 'the payload'} ${issue.message.startsWith('must ') ? issue.message : 'is not allowed'}`,
  );
  return faults.slice(0, faultsToldMax).join('; ');
}

function parsed(text: Buffer): unknown {
  try {
    return JSON.parse(text.toString('utf8'));
  } catch {
    return undefined;
  }
}

function jsonHeaders(text: string): Record<string, string> {
  return { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) };
}

/** Never the client's own type: the fields of a form in a body win over the query with Docker, and the query is what was checked. */
const tarHeaders = { 'content-type': 'application/x-tar' } as const;

function credentialsOf({ headers }: IncomingMessage): Record<string, string> {
  const credentials = headers['x-registry-auth'];
  return typeof credentials === 'string' ? { 'x-registry-auth': credentials } : {};
}

interface Forwarded {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | IncomingMessage;
}

/** Sends it on, and the answer back; who hangs up ends both. */
async function relay(socketPath: string, { method, path, headers, body }: Forwarded, response: ServerResponse): Promise<void> {
  const outgoing = request({ socketPath, method, path, headers: { ...headers, host: 'engine' }, agent: false });
  response.once('close', () => outgoing.destroy());
  const answered = responseOf(outgoing);
  if (typeof body === 'object') body.pipe(outgoing);
  else outgoing.end(body);
  const message = await answered;
  response.writeHead(message.statusCode ?? 502, message.headers);
  await pipeline(message, response);
}

function responseOf(outgoing: ReturnType<typeof request>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => outgoing.once('response', resolve).on('error', reject));
}

interface Inspected {
  readonly Id: string;
  readonly State: { readonly Running: boolean; readonly StartedAt: string };
  readonly Config: { readonly Labels: Readonly<Record<string, string>> | null };
}

function ask(socketPath: string, path: string): Promise<IncomingMessage> {
  const outgoing = request({ socketPath, path, headers: { host: 'engine' }, agent: false });
  const answered = responseOf(outgoing);
  outgoing.end();
  return answered;
}

async function look(socketPath: string, path: string): Promise<{ readonly status: number; readonly text: Buffer }> {
  const response = await ask(socketPath, path);
  return { status: response.statusCode ?? 502, text: await bodyOf(response, answerBytesMax) };
}

/** By its id, whose content never changes. `text`: undefined where it is too long. */
async function lookAtImage(socketPath: string, id: string): Promise<{ readonly status: number; readonly text: Buffer | undefined }> {
  const response = await ask(socketPath, `/images/${id}/json`);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    length += (chunk as Buffer).length;
    if (length > imageBytesMax) return { status: response.statusCode ?? 502, text: undefined };
    chunks.push(chunk as Buffer);
  }
  return { status: response.statusCode ?? 502, text: Buffer.concat(chunks) };
}

/** Why no container is made of an image. Of a volume that nothing covers the engine would make a folder on its disk, writable and of any size. */
function imageFault(text: Buffer | undefined, covers: Readonly<Record<string, string>>): string | undefined {
  if (text === undefined) return `its image says more than ${imageBytesMax} bytes of itself, in labels or its environment`;
  const { Config } = parsed(text) as { readonly Config?: { readonly Volumes?: object | null } | null };
  const volumes = volumePaths(Object.keys(Config?.Volumes ?? {}));
  return volumes.every((path) => Object.hasOwn(covers, path)) ? undefined : 'its image declares a volume that no tmpfs covers';
}

type Owned = { readonly id: string; readonly role: string } | 'foreign' | 'gone';

function isSidecar(owned: Owned): boolean {
  return typeof owned === 'object' && owned.role === 'sidecar';
}

/** The container of that name or id, if Bulkhead made it. By its id from here on: a name could be another's by then. */
async function ownContainer(socketPath: string, nameOrId: string): Promise<Owned> {
  const { status, text } = await look(socketPath, `/containers/${nameOrId}/json`);
  if (status === 404) return 'gone';
  if (status !== 200) return 'foreign';
  const { Id, Config } = parsed(text) as Inspected;
  if (Config.Labels?.[labelNames.owner] !== ownerLabel) return 'foreign';
  return { id: Id, role: Config.Labels[labelNames.role] ?? '' };
}

/** Of a foreign container only whether it runs, and since when: that is what tells a dead proxy's left-overs. */
async function inspect(socketPath: string, id: string, response: ServerResponse): Promise<void> {
  const { status, text } = await look(socketPath, `/containers/${id}/json`);
  const found = parsed(text) as Inspected;
  const isWhole = status !== 200 || found.Config.Labels?.[labelNames.owner] === ownerLabel;
  const { Running, StartedAt } = found.State ?? {};
  const body = isWhole ? text.toString('utf8') : JSON.stringify({ Id: found.Id, State: { Running, StartedAt } });
  response.writeHead(status, jsonHeaders(body)).end(body);
}

/** No kernel of that name is the proxy's: so the runner does not try to share pipes and folders, which the guard would refuse. */
async function info(socketPath: string, response: ServerResponse): Promise<void> {
  const { status, text } = await look(socketPath, '/info');
  const body = status === 200 ? JSON.stringify({ ...(parsed(text) as object), KernelVersion: 'guarded' }) : text.toString('utf8');
  response.writeHead(status, jsonHeaders(body)).end(body);
}
