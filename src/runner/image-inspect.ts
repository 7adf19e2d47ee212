import type { default as Docker, ImageInspectInfo } from 'dockerode';
import { type DockerEngine, isRefusal } from './docker-engine.ts';
import { volumePaths } from './image-volumes.ts';

/** An image as an engine has it. */
export interface EngineImage {
  /** `sha256:…` of its config: what runs, whatever a tag points to later. */
  readonly id: string;
  /** `repository@sha256:…`, as registries know it; none for an image that was only ever built here. */
  readonly digests: readonly string[];
  readonly tags: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** Paths that are volumes, each once. Whoever made the image wrote them. */
  readonly volumes: readonly string[];
}

/** The image of a name or id; undefined when the engine does not have it. @throws ProxyError `engine_unavailable` */
export async function inspectImage(engine: DockerEngine, image: string, signal?: AbortSignal): Promise<EngineImage | undefined> {
  try {
    const found = await engine.request({
      what: `looking for the image ${image}`,
      signal,
      run: (docker, abortSignal) => inspect(docker, image, abortSignal),
    });
    return imageOf(found);
  } catch (error) {
    if (isRefusal(error) && error.statusCode === 404) return undefined;
    throw error;
  }
}

/** The library's own inspect of an image takes no signal, and one that is given up would keep its connection. */
function inspect({ modem }: Docker, image: string, abortSignal: AbortSignal): Promise<ImageInspectInfo> {
  const statusCodes = { 200: true, 404: 'no such image', 500: 'server error' };
  const wanted = { path: `/images/${image}/json`, method: 'GET', statusCodes, abortSignal };
  return new Promise((resolve, reject) => {
    modem.dial(wanted, (error: unknown, found: unknown) => (error ? reject(error) : resolve(found as ImageInspectInfo)));
  });
}

/** An image may come without a Config at all, whatever the library's types say. */
function imageOf({ Id, RepoDigests, RepoTags, Config }: ImageInspectInfo): EngineImage {
  return {
    id: Id,
    digests: RepoDigests ?? [],
    tags: RepoTags ?? [],
    labels: Config?.Labels ?? {},
    entrypoint: wordsOf(Config?.Entrypoint),
    command: wordsOf(Config?.Cmd),
    volumes: volumePaths(Object.keys(Config?.Volumes ?? {})),
  };
}

function wordsOf(words: string | readonly string[] | undefined | null): readonly string[] {
  if (words === undefined || words === null) return [];
  return typeof words === 'string' ? [words] : words;
}
