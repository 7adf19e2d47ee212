import type { DockerEngine } from './docker-engine.ts';

export interface LabelledImage {
  readonly tags: readonly string[];
  readonly id: string;
  /** The label's text: a manifest as JSON, not checked. */
  readonly label: string;
}

/** Images of an engine that carry the label. @throws ProxyError `engine_unavailable` */
export async function listLabelledImages(engine: DockerEngine, label: string): Promise<readonly LabelledImage[]> {
  const filters = { label: [label] };
  const images = await engine.request({
    what: 'listing its images',
    run: (docker, abortSignal) => docker.listImages({ filters: JSON.stringify(filters), abortSignal } as object),
  });
  return images.map(({ Id, RepoTags, Labels }) => ({ id: Id, tags: RepoTags ?? [], label: Labels?.[label] ?? '' }));
}
