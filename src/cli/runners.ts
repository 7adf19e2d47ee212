import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Config, ConnectorConfig } from '../config/config.ts';
import type { EgressGateway } from '../egress/gateway.ts';
import { ProxyError } from '../errors.ts';
import { once } from '../lib/once.ts';
import type { Logger } from '../log.ts';
import { createDockerRunner, type DockerRunner } from '../runner/docker.ts';
import { type DockerInstance, lockInstance } from '../runner/docker-instance.ts';
import { registryCredentials } from '../runner/image-credentials.ts';
import { type ImageLock, type LockedImage, lockedImageOf, lockFault } from '../runner/image-lock.ts';
import { type ImageManifest, listConnectorImages, readImageManifest } from '../runner/image-manifest.ts';
import { ensureImage, type ImageOptions, imageText, type PullPolicy } from '../runner/image-pull.ts';
import type { Runner } from '../runner/runner.ts';
import { createSubprocessRunner } from '../runner/subprocess.ts';

export interface RunnersOptions {
  readonly gateway: EgressGateway;
  readonly logger: Logger;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly sandboxUser: string;
  readonly pull: PullPolicy;
  /** With a lock, other images than the locked ones are refused. */
  readonly lock?: ImageLock | undefined;
}

/** Both ways of starting connectors. Nothing of Docker is touched until a connector has an image. */
export interface Runners {
  runnerFor(config: ConnectorConfig): Runner;
  /** The manifest in an image's label; the image is pulled first where the policy says so. @throws ProxyError */
  readImageManifest(image: string, engine: string | undefined, signal: AbortSignal | undefined): Promise<string>;
  /** What a lock says of an image. @throws ProxyError `image_unavailable`, `engine_unavailable` */
  lockedImage(image: string, engine: string | undefined): Promise<LockedImage>;
  /** Images of the default engine that carry a manifest. @throws ProxyError `engine_unavailable` */
  labelledImages(): Promise<readonly ImageManifest[]>;
  close(): Promise<void>;
}

/** The engine where no config names one: `DOCKER_HOST` of the environment, or Docker's own socket. */
const engineDefault = 'unix:///var/run/docker.sock';

/** Addresses of the engines of connectors that have an image and a sandbox; none when none has. */
export function enginesOf({ connectors }: Config, environment: RunnersOptions['environment']): readonly string[] {
  const sources = [...connectors.values()].flatMap(({ source, sandbox }) =>
    source.type === 'image' && sandbox === 'enforced' ? [source.engine ?? environment['DOCKER_HOST'] ?? engineDefault] : [],
  );
  return [...new Set(sources)];
}

export function createRunners(options: RunnersOptions): Runners {
  const { gateway, logger, sandboxUser } = options;
  const subprocess = createSubprocessRunner({ egress: gateway, userName: sandboxUser });
  const docker = once(() => openDocker(options));
  const imageOptions = async (image: string, engine: string | undefined, signal?: AbortSignal): Promise<ImageOptions> => {
    const { runner, credentials } = await docker.get();
    const common = { engine: runner.host(engine).engine, image, pull: options.pull, credentials, logger };
    return signal === undefined ? common : { ...common, signal };
  };
  return {
    runnerFor: ({ source }) => (source.type === 'folder' ? subprocess : deferred(docker.get)),
    async readImageManifest(image, engine, signal) {
      const found = await readImageManifest(await imageOptions(image, engine, signal));
      const fault = options.lock === undefined ? undefined : lockFault(options.lock, image, found.image);
      // Its manifest may be another one too: none of its commands is offered.
      if (fault !== undefined) throw new ProxyError('image_unavailable', `${imageText({ image })} ${fault}.`);
      return found.text;
    },
    lockedImage: async (image, engine) => lockedImageOf(image, await ensureImage(await imageOptions(image, engine))),
    labelledImages: async () => listConnectorImages((await docker.get()).runner.host().engine),
    async close() {
      await subprocess.close();
      const opened = await docker.peek()?.catch(() => undefined);
      await opened?.runner.close();
      await opened?.instance.close();
    },
  };
}

interface OpenDocker {
  readonly runner: DockerRunner;
  readonly instance: DockerInstance;
  readonly credentials: (image: string) => ReturnType<typeof registryCredentials>;
}

async function openDocker({ gateway, logger, environment, pull, lock }: RunnersOptions): Promise<OpenDocker> {
  const instance = await lockInstance();
  const configFolder = environment['DOCKER_CONFIG'] ?? join(environment['HOME'] ?? homedir(), '.docker');
  const credentials = (image: string) => registryCredentials(image, configFolder);
  const sshAgent = environment['SSH_AUTH_SOCK'];
  const runner = createDockerRunner({
    engine: environment['DOCKER_HOST'] ?? engineDefault,
    ...{ instance, gateway, logger, pull, credentials },
    ...(lock === undefined ? {} : { lock }),
    ...(sshAgent === undefined ? {} : { sshAgent }),
  });
  return { runner, instance, credentials };
}

/** A runner that is opened by its first start. */
function deferred(open: () => Promise<OpenDocker>): Runner {
  return {
    type: 'docker',
    start: async (spec, signal) => (await open()).runner.start(spec, signal),
    close: async () => {},
  };
}
