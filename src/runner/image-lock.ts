import * as v from 'valibot';
import type { EngineImage } from './image-inspect.ts';

/** Which image each connector runs, by content: `bulkhead.lock`. Written by `bulkhead lock`, held to by `serve --frozen`. */
export const ImageLockSchema = v.object({
  version: v.literal(1),
  images: v.record(v.string(), v.object({ digest: v.optional(v.string()), id: v.string() })),
});

export type ImageLock = v.InferOutput<typeof ImageLockSchema>;
export type LockedImage = ImageLock['images'][string];

/** What a lock says of an image: its registry digest, which every engine agrees on, and its id for images that were never in a registry. */
export function lockedImageOf(image: string, { id, digests }: Pick<EngineImage, 'id' | 'digests'>): LockedImage {
  const repository = repositoryOf(image);
  const digest = digests.find((candidate) => candidate.startsWith(`${repository}@`)) ?? digests[0];
  return digest === undefined ? { id } : { digest, id };
}

/** Why the image is not the locked one; undefined when it is. */
export function lockFault(lock: ImageLock, image: string, found: Pick<EngineImage, 'id' | 'digests'>): string | undefined {
  const locked = lock.images[image];
  if (locked === undefined) return 'is not in the lock file; run `bulkhead lock`';
  // The same content has another id on an engine that stores images otherwise, but never another digest.
  const isSame =
    locked.id === found.id || (locked.digest !== undefined && found.digests.some((digest) => sameDigest(digest, locked.digest)));
  if (isSame) return undefined;
  const { digest } = lockedImageOf(image, found);
  const [is, wanted] = digest === undefined || locked.digest === undefined ? [found.id, locked.id] : [digest, locked.digest];
  return `is ${is}, but ${wanted} is locked; pull that one, or run \`bulkhead lock\``;
}

/** The lock file's text: sorted, so that a change shows as one line. */
export function formatLock(images: Readonly<Record<string, LockedImage>>): string {
  const sorted = Object.fromEntries(Object.entries(images).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify({ version: 1, images: sorted } satisfies ImageLock, null, 2)}\n`;
}

/** @throws SyntaxError, ValiError */
export function parseLock(text: string): ImageLock {
  return v.parse(ImageLockSchema, JSON.parse(text));
}

/** The name without tag and digest. */
export function repositoryOf(image: string): string {
  return image.replace(/@.*$/, '').replace(/:[^/]*$/, '');
}

function sameDigest(one: string, other: string | undefined): boolean {
  return one.split('@')[1] === other?.split('@')[1];
}
