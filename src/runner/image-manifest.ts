import { ProxyError } from '../errors.ts';
import { manifestLabel } from '../manifest/manifest.ts';
import type { DockerEngine } from './docker-engine.ts';
import { type EngineImage, inspectImage } from './image-inspect.ts';
import { ensureImage, type ImageOptions, imageText } from './image-pull.ts';

export interface ImageManifest {
  /** The label's text, unchecked. */
  readonly text: string;
  readonly image: EngineImage;
}

/** The manifest in an image's label, the image pulled where the policy says so. @throws ProxyError `image_unavailable`, `engine_unavailable` */
export async function readImageManifest(options: ImageOptions): Promise<ImageManifest> {
  const image = await ensureImage(options);
  const text = image.labels[manifestLabel];
  if (text !== undefined) return { text, image };
  const message = `${imageText(options)} has no label ${manifestLabel} with a manifest; add it in its Dockerfile (LABEL ${manifestLabel}=…), or give its folder as path.`;
  throw new ProxyError('image_unavailable', message);
}

/** Images on the engine that carry a manifest, for `bulkhead list --images`. @throws ProxyError `engine_unavailable` */
export async function listConnectorImages(engine: DockerEngine, signal?: AbortSignal): Promise<readonly ImageManifest[]> {
  const filters = JSON.stringify({ label: [manifestLabel] });
  const found = await engine.request({
    what: 'listing images',
    signal,
    run: (docker, abortSignal) => docker.listImages({ filters, abortSignal } as object),
  });
  const images = await Promise.all(found.map(({ Id }) => inspectImage(engine, Id, signal)));
  return images.flatMap((image) => {
    const text = image?.labels[manifestLabel];
    return image === undefined || text === undefined ? [] : [{ text, image }];
  });
}
