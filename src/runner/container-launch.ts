import type { Duplex } from 'node:stream';
import type { ContainerCreateOptions, default as Docker } from 'dockerode';
import { withAbort } from '../lib/time-limit.ts';
import { type AttachedStreams, attachedStreams } from './attach-stream.ts';
import { type DockerEngine, engineWaits, isRefusal } from './docker-engine.ts';
import { removeContainer } from './reap.ts';

/** A container that was made and attached to, so that nothing of its output can be missed; `start` lets it run. */
export interface LaunchedContainer {
  readonly id: string;
  readonly name: string;
  readonly streams: AttachedStreams;
  start(signal?: AbortSignal): Promise<void>;
  signal(name: 'SIGTERM'): void;
  /** How it ended; undefined while it runs, or once it is gone. @throws ProxyError `engine_unavailable` */
  end(): Promise<ContainerEnd | undefined>;
  /** Ends it at once and removes it; the same promise for every caller. @throws ProxyError `engine_unavailable` */
  remove(): Promise<void>;
}

export interface ContainerEnd {
  readonly exitCode: number;
  readonly isOutOfMemory: boolean;
  /** What the engine says about a start that failed. */
  readonly error: string;
}

export interface LaunchOptions {
  readonly engine: DockerEngine;
  readonly name: string;
  readonly options: ContainerCreateOptions;
  readonly signal?: AbortSignal | undefined;
}

/** Makes a container and attaches to it. What fails on the way leaves nothing. @throws ProxyError, EngineRefusal */
export async function launchContainer({ engine, name, options, signal }: LaunchOptions): Promise<LaunchedContainer> {
  signal?.throwIfAborted();
  try {
    const id = await make({ engine, name, options, signal });
    signal?.throwIfAborted();
    return handleOn(engine, id, name, await attach(engine, id, options, signal));
  } catch (error) {
    // By name: a request without an answer may have made it all the same. One that an engine makes later still is the reaper's.
    await removeContainer(engine, name).catch(() => {});
    throw error;
  }
}

/** Also waits for one that is no longer wanted: an engine goes on with what its client has left, and what it has not made yet it cannot remove. */
async function make({ engine, name, options, signal }: LaunchOptions): Promise<string> {
  const late = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const giveUp = () => {
    timer = setTimeout(() => late.abort(signal?.reason), engineWaits.givenUpTimeoutMs);
  };
  signal?.addEventListener('abort', giveUp, { once: true });
  try {
    const { id } = await engine.request({
      what: 'making a container',
      timeoutMs: engineWaits.startTimeoutMs,
      signal: late.signal,
      run: (docker, abortSignal) => docker.createContainer({ ...options, name, abortSignal }),
    });
    return id;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', giveUp);
  }
}

async function attach(
  engine: DockerEngine,
  id: string,
  { OpenStdin = false }: ContainerCreateOptions,
  signal?: AbortSignal,
): Promise<AttachedStreams> {
  const raw = await engine.request({
    what: 'attaching to a container',
    signal,
    // No signal for the library: it would outlive the request and cut the stream. One that comes too late has nobody else to end it.
    run: (docker, abortSignal) => withAbort(upgrade(docker, id, OpenStdin), abortSignal, (stream) => stream.destroy()),
  });
  return attachedStreams(raw);
}

/**
 * The library's own attach sends its options as a body too, and Podman takes a body for the first of stdin; an empty one, by its length, is
 * what every engine takes for none.
 */
function upgrade({ modem }: Docker, id: string, stdin: boolean): Promise<Duplex> {
  const wanted = {
    path: `/containers/${id}/attach?`,
    method: 'POST',
    isStream: true,
    hijack: true,
    statusCodes: { 101: true, 200: true, 404: 'no such container', 409: 'cannot be attached to', 500: 'server error' },
    headers: { 'Content-Type': 'text/plain' },
    file: Buffer.alloc(0),
    options: { stream: true, stdin, stdout: true, stderr: true },
  };
  return new Promise((resolve, reject) => {
    modem.dial(wanted, (error: unknown, stream: unknown) => (error ? reject(error) : resolve(stream as Duplex)));
  });
}

function handleOn(engine: DockerEngine, id: string, name: string, streams: AttachedStreams): LaunchedContainer {
  let removed: Promise<void> | undefined;
  return {
    id,
    name,
    streams,
    async start(signal) {
      await engine.request({
        what: 'starting a container',
        timeoutMs: engineWaits.startTimeoutMs,
        signal,
        run: (docker, abortSignal) => docker.getContainer(id).start({ abortSignal }),
      });
    },
    signal(name) {
      const run = (_docker: unknown, abortSignal: AbortSignal) => engine.docker.getContainer(id).kill({ signal: name, abortSignal });
      engine.request({ what: 'signalling a container', run }).catch(() => {});
    },
    end: () => endOfContainer(engine, id),
    remove() {
      removed ??= removeContainer(engine, id).finally(() => streams.destroy());
      return removed;
    },
  };
}

async function endOfContainer(engine: DockerEngine, id: string): Promise<ContainerEnd | undefined> {
  try {
    const { State } = await engine.request({
      what: 'asking how a container ended',
      timeoutMs: engineWaits.probeTimeoutMs,
      run: (docker, abortSignal) => docker.getContainer(id).inspect({ abortSignal } as object),
    });
    if (State.Running || State.Status === 'created') return undefined;
    return { exitCode: State.ExitCode, isOutOfMemory: State.OOMKilled, error: State.Error };
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}
