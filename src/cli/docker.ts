import { homedir } from 'node:os';
import { join } from 'node:path';
import type { EgressGateway } from '../egress/gateway.ts';
import { ProxyError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { createDockerRunner } from '../runner/docker.ts';
import { lockInstance } from '../runner/docker-instance.ts';
import { registryCredentials } from '../runner/image-credentials.ts';
import { type ImageLock, type LockedImage, lockedImageOf, lockFault } from '../runner/image-lock.ts';
import { type ImageManifest, listConnectorImages, readImageManifest } from '../runner/image-manifest.ts';
import { ensureImage, type ImageOptions, imageText, type PullPolicy } from '../runner/image-pull.ts';
import type { Runner } from '../runner/runner.ts';

export interface DockerOptions {
  /** Of connectors that name no other. */
  readonly engine: string;
  readonly gateway: EgressGateway;
  readonly logger: Logger;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly pull: PullPolicy;
  /** With a lock, other images than the locked ones are refused. */
  readonly lock?: ImageLock | undefined;
}

/** What is asked of images. */
export interface DockerImages {
  /** The manifest in an image's label; the image is pulled first where the policy says so. @throws ProxyError */
  readImageManifest(image: string, engine: string | undefined, signal: AbortSignal | undefined): Promise<string>;
  /** What a lock says of an image. @throws ProxyError `image_unavailable`, `engine_unavailable` */
  lockedImage(image: string, engine: string | undefined): Promise<LockedImage>;
  /** Images of the default engine that carry a manifest. @throws ProxyError `engine_unavailable` */
  labelledImages(): Promise<readonly ImageManifest[]>;
}

export interface Docker extends DockerImages {
  readonly runner: Runner;
  close(): Promise<void>;
}

/** What connectors with images need. A module of its own, loaded by who has one: thirty files come with it. */
export async function openDocker(options: DockerOptions): Promise<Docker> {
  const { engine: engineDefault, gateway, logger, environment, pull, lock } = options;
  const instance = await lockInstance();
  const configFolder = environment['DOCKER_CONFIG'] ?? join(environment['HOME'] ?? homedir(), '.docker');
  const credentials = (image: string) => registryCredentials(image, configFolder);
  const sshAgent = environment['SSH_AUTH_SOCK'];
  const runner = createDockerRunner({
    ...{ engine: engineDefault, instance, gateway, logger, pull, credentials },
    ...(lock === undefined ? {} : { lock }),
    ...(sshAgent === undefined ? {} : { sshAgent }),
  });
  const imageOptions = (image: string, engine: string | undefined, signal?: AbortSignal): ImageOptions => {
    const common = { engine: runner.host(engine).engine, image, pull, credentials, logger };
    return signal === undefined ? common : { ...common, signal };
  };
  return {
    runner,
    async readImageManifest(image, engine, signal) {
      const found = await readImageManifest(imageOptions(image, engine, signal));
      const fault = lock === undefined ? undefined : lockFault(lock, image, found.image);
      // Its manifest may be another one too: none of its commands is offered.
      if (fault !== undefined) throw new ProxyError('image_unavailable', `${imageText({ image })} ${fault}.`);
      return found.text;
    },
    lockedImage: async (image, engine) => lockedImageOf(image, await ensureImage(imageOptions(image, engine))),
    labelledImages: async () => listConnectorImages(runner.host().engine),
    async close() {
      await runner.close();
      await instance.close();
    },
  };
}
