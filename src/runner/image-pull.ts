import type { Readable } from 'node:stream';
import { ProxyError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { type DockerEngine, isRefusal, refusalText } from './docker-engine.ts';
import type { RegistryCredentials } from './image-credentials.ts';
import { type EngineImage, inspectImage } from './image-inspect.ts';

/** `never`: only what the engine has. `missing`: pulled when it has not. */
export type PullPolicy = 'never' | 'missing';

export interface ImageOptions {
  readonly engine: DockerEngine;
  readonly image: string;
  /** For messages and the log; absent where no connector is about to start. */
  readonly connector?: string;
  readonly pull: PullPolicy;
  readonly credentials: (image: string) => Promise<RegistryCredentials | undefined>;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

const pullTimeoutMs = 600_000;
/** Shortest time between two log lines of one pull. */
const progressIntervalMs = 2000;

/** The connector's image, pulled where the policy says so. @throws ProxyError `image_unavailable`, `engine_unavailable` */
export async function ensureImage(options: ImageOptions): Promise<EngineImage> {
  const { engine, image, connector, pull, signal } = options;
  const present = await inspectImage(engine, image, signal);
  if (present !== undefined) return present;
  if (pull === 'never') {
    throw unavailable(options, 'is not there, and pulling is off. Pull or build it, or set pull: missing');
  }
  await pullImage(options);
  const pulled = await inspectImage(engine, image, signal);
  if (pulled === undefined) throw unavailable(options, 'was pulled, yet is not there');
  options.logger.info({ connector, image }, 'pulled an image');
  return pulled;
}

async function pullImage(options: ImageOptions): Promise<void> {
  const { engine, image, credentials, signal } = options;
  const authconfig = await credentials(image);
  try {
    await engine.request({
      what: `pulling ${image}`,
      timeoutMs: pullTimeoutMs,
      signal,
      run: async (docker, abortSignal) => {
        const stream = await docker.pull(nameWithTag(image), { ...(authconfig && { authconfig }), abortSignal });
        await followPull(stream as Readable, options);
      },
    });
  } catch (error) {
    if (isRefusal(error)) throw unavailable(options, `cannot be pulled: ${refusalText(error)}. Correct the name or the credentials`, error);
    throw error;
  }
}

/** Without a tag the engine pulls every tag of a repository. */
export function nameWithTag(image: string): string {
  const hasTag = /(@|:[^/]*$)/.test(image);
  return hasTag ? image : `${image}:latest`;
}

interface PullEvent {
  readonly id?: string;
  readonly status?: string;
  readonly error?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

/** The engine answers 200 and then tells how it goes, a JSON object a line; a failure is one of them. */
async function followPull(stream: Readable, options: ImageOptions): Promise<void> {
  const layers = new Map<string, PullEvent>();
  let rest = '';
  let toldAt = 0;
  for await (const chunk of stream) {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const event = eventOf(line);
      if (event?.error !== undefined) throw unavailable(options, `cannot be pulled: ${event.error}`);
      if (event?.id !== undefined) layers.set(event.id, event);
    }
    if (Date.now() - toldAt < progressIntervalMs) continue;
    toldAt = Date.now();
    tellProgress(layers, options);
  }
}

function eventOf(line: string): PullEvent | undefined {
  try {
    return JSON.parse(line) as PullEvent;
  } catch {
    return undefined;
  }
}

function tellProgress(layers: ReadonlyMap<string, PullEvent>, { logger, connector, image }: ImageOptions): void {
  const events = [...layers.values()];
  const sum = (pick: 'current' | 'total') => events.reduce((total, { progressDetail }) => total + (progressDetail?.[pick] ?? 0), 0);
  logger.info({ connector, image, layers: events.length, pulledBytes: sum('current'), totalBytes: sum('total') }, 'pulling an image');
}

/** How messages call an image. */
export function imageText({ image, connector }: { readonly image: string; readonly connector?: string | undefined }): string {
  return `The image ${image}${connector === undefined ? '' : ` of connector ${connector}`}`;
}

function unavailable({ engine, image, connector }: ImageOptions, state: string, cause?: unknown): ProxyError {
  return new ProxyError('image_unavailable', `${imageText({ image, connector })} ${state} (engine ${engine.address}).`, { cause });
}
