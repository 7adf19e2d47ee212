import type { Config, ConnectorConfig } from '../config/config.ts';
import { once } from '../lib/once.ts';
import type { Runner } from '../runner/runner.ts';
import { createSubprocessRunner, type SubprocessRunnerOptions } from '../runner/subprocess.ts';
import type { Docker, DockerImages, DockerOptions } from './docker.ts';

export interface RunnersOptions extends Omit<DockerOptions, 'engine'>, Pick<SubprocessRunnerOptions, 'keepsSpares'> {
  readonly sandboxUser: string;
}

/** Both ways of starting connectors. Nothing of Docker is touched, nor loaded, until a connector has an image. */
export interface Runners extends DockerImages {
  runnerFor(config: ConnectorConfig): Runner;
  close(): Promise<void>;
}

/** The engine where no config names one: `DOCKER_HOST` of the environment, or Docker's own socket. */
const engineDefault = 'unix:///var/run/docker.sock';

/** Addresses of the engines of connectors that have an image and a sandbox; none when none has. */
export function enginesOf({ connectors }: Config, environment: RunnersOptions['environment']): readonly string[] {
  const sources = [...connectors.values()].flatMap(({ source, sandbox }) =>
    source.type === 'image' && sandbox === 'enforced' ? [source.engine ?? engineOf(environment)] : [],
  );
  return [...new Set(sources)];
}

function engineOf(environment: RunnersOptions['environment']): string {
  return environment['DOCKER_HOST'] ?? engineDefault;
}

export function createRunners(options: RunnersOptions): Runners {
  const { gateway, environment, sandboxUser, keepsSpares = true } = options;
  const subprocess = createSubprocessRunner({ egress: gateway, userName: sandboxUser, keepsSpares });
  const docker = once(async () => (await import('./docker.ts')).openDocker({ ...options, engine: engineOf(environment) }));
  return {
    runnerFor: ({ source }) => (source.type === 'folder' ? subprocess : deferred(docker.get)),
    readImageManifest: async (image, engine, signal) => (await docker.get()).readImageManifest(image, engine, signal),
    lockedImage: async (image, engine) => (await docker.get()).lockedImage(image, engine),
    labelledImages: async () => (await docker.get()).labelledImages(),
    async close() {
      await subprocess.close();
      const opened = await docker.peek()?.catch(() => undefined);
      await opened?.close();
    },
  };
}

/** A runner that is opened by its first start. */
function deferred(open: () => Promise<Docker>): Runner {
  return {
    type: 'docker',
    start: async (spec, signal) => (await open()).runner.start(spec, signal),
    close: async () => {},
  };
}
