import type { EgressGateway } from '../egress/gateway.ts';
import { ProxyError } from '../errors.ts';
import { once } from '../lib/once.ts';
import { withAbort } from '../lib/time-limit.ts';
import type { Logger } from '../log.ts';
import { findHome } from './container-home.ts';
import { type ContainerRole, containerLabels } from './container-labels.ts';
import { createPipeFolders, type PipeFolders } from './container-pipes.ts';
import { connectEngine, type DockerEngine, type EngineFacts } from './docker-engine.ts';
import type { DockerInstance } from './docker-instance.ts';
import type { RegistryCredentials } from './image-credentials.ts';
import type { ImageLock } from './image-lock.ts';
import type { PullPolicy } from './image-pull.ts';
import { createLimitWatch, type LimitWatch } from './limit-watch.ts';
import { createLimitsCheck, type LimitsCheck } from './limits-check.ts';
import { reap } from './reap.ts';
import { createSeccompOption } from './seccomp-option.ts';
import { removeOldSidecarImages, sidecarImage } from './sidecar-image.ts';

export interface ContainerHostOptions {
  readonly instance: DockerInstance;
  /** Absent: connectors with rules are refused. */
  readonly gateway?: EgressGateway;
  readonly logger: Logger;
  readonly pull?: PullPolicy;
  readonly credentials?: (image: string) => Promise<RegistryCredentials | undefined>;
  /** With a lock, an image that is not the locked one is refused. */
  readonly lock?: ImageLock;
  /** Whether named pipes and sockets may be shared with containers where the engine is local; otherwise everything goes by attach. */
  readonly shareFiles?: boolean;
  /** The agent's socket, for engines by ssh. */
  readonly sshAgent?: string;
}

/** One engine, and what was found out about it. */
export interface ContainerHost {
  readonly engine: DockerEngine;
  readonly options: ContainerHostOptions;
  /** Labels of a container there. @throws ProxyError `engine_unavailable` */
  labels(role: ContainerRole, connector: string): Promise<Readonly<Record<string, string>>>;
  /** Names of the containers that this instance has there, or is about to make. */
  readonly names: Set<string>;
  /**
   * Whether containers there can share a folder with the proxy; `false` for good once the engine has refused one. SELinux would not let them open
   * what is in it, which no refusal of a mount tells.
   */
  sharesFiles(): Promise<boolean>;
  giveUpSharing(): void;
  /** The filter for a create payload: see createSeccompOption. @throws ProxyError `sandbox_unavailable` where none can be had */
  seccomp(): Promise<string>;
  sidecarImage(signal: AbortSignal): Promise<string>;
  /** To be told of an image that is gone: the next who asks has it made anew. */
  forgetSidecarImage(id: string): Promise<void>;
  /** Refuses the engine that drops limits. */
  readonly checkLimits: LimitsCheck;
  /** Of the limits of containers whose processes are seen from here. */
  readonly limitWatch: LimitWatch;
  /** By image id: whether it has a shell to open named pipes with. */
  readonly shells: Map<string, boolean>;
  /** By image id: those of whose volumes the log has been told. */
  readonly toldVolumes: Set<string>;
  readonly pipeFolders: PipeFolders;
  /** Never throws: an engine that is away is cleaned up when it is back. */
  reap(): Promise<number>;
}

export function createContainerHost(address: string, options: ContainerHostOptions): ContainerHost {
  const { instance, logger, shareFiles = true, sshAgent } = options;
  const engine = connectEngine(address, { agent: sshAgent });
  const names = new Set<string>();
  const home = once(() => findHome(engine));
  let mayShare = shareFiles;
  let image: Promise<string> | undefined;
  let wasAway = false;
  const forget = (gone: Promise<string>) => {
    if (image === gone) image = undefined;
  };
  return {
    engine,
    options,
    labels: async (role, connector) => containerLabels({ instance, role, connector, home: await home.get() }),
    names,
    limitWatch: createLimitWatch(),
    shells: new Map(),
    toldVolumes: new Set(),
    pipeFolders: createPipeFolders(() => instance.makeFolder()),
    async sharesFiles() {
      const { sharesKernel, hasSelinux } = await engine.facts();
      return mayShare && sharesKernel && !hasSelinux;
    },
    giveUpSharing() {
      if (!mayShare) return;
      mayShare = false;
      logger.warn(
        { engine: address },
        'the engine does not share files with Bulkhead; stdio and egress go through attach, which is slower',
      );
    },
    seccomp: createSeccompOption(engine, instance),
    sidecarImage(signal) {
      // One import for all who wait; who gives up does not end it for the others.
      image ??= sidecarImage(engine);
      const made = image;
      made.catch(() => forget(made));
      return withAbort(made, signal);
    },
    async forgetSidecarImage(id) {
      // Many may be told at once that it is gone: what the first of them has made since is another one.
      const known = image;
      if (known !== undefined && (await known.catch(() => undefined)) === id) forget(known);
    },
    checkLimits: createLimitsCheck(engine),
    async reap() {
      try {
        const count = await reap({ engine, instance, isOwn: (name) => names.has(name), logger });
        await removeOldSidecarImages(engine);
        wasAway = false;
        return count;
      } catch (error) {
        if (!wasAway) logger.warn({ engine: address, code: ProxyError.from(error).code }, (error as Error).message);
        wasAway = true;
        return 0;
      }
    },
  };
}

/** @throws ProxyError `sandbox_unavailable` naming the first limit that the engine would silently drop. */
export function requireLimits(facts: EngineFacts, address: string): void {
  const missing = (['memory', 'pids', 'cpu'] as const).find((name) => !facts.limits[name]);
  if (missing === undefined) return;
  const message = `The engine at ${address} cannot limit ${missing}: ${missingReason(facts)}, or use sandbox: none.`;
  throw new ProxyError('sandbox_unavailable', message);
}

function missingReason({ isRootless, cgroup }: EngineFacts): string {
  if (isRootless && cgroup.startsWith('v1')) return 'without root there is none on cgroups v1. Run it as root, boot with cgroups v2';
  return 'its cgroups lack that controller. Delegate it (docs/docker.md)';
}
