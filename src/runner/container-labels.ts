import { randomBytes } from 'node:crypto';
import { manifestLabel } from '../manifest/manifest.ts';
import type { DockerInstance } from './docker-instance.ts';

/** Labels of everything that Bulkhead makes on an engine; what is left behind is found by them. */
export const labelNames = {
  owner: 'dev.bulkhead.owner',
  instance: 'dev.bulkhead.instance',
  /** Where the instance's lock can be seen from: `LockSpace`. */
  space: 'dev.bulkhead.space',
  machine: 'dev.bulkhead.machine',
  host: 'dev.bulkhead.host',
  /** The id of the container that the proxy runs in, if it is one of the same engine. */
  home: 'dev.bulkhead.home',
  role: 'dev.bulkhead.role',
  connector: manifestLabel,
} as const;

export const ownerLabel = 'bulkhead';

export type ContainerRole = 'connector' | 'sidecar';

export interface LabelOptions {
  readonly instance: DockerInstance;
  readonly role: ContainerRole;
  readonly connector: string;
  /** See findHome. */
  readonly home?: string | undefined;
}

/**
 * Labels of a container. `dev.bulkhead.connector` on a container is the connector's name; on an image it is the manifest, which the
 * container would otherwise inherit.
 */
export function containerLabels({ instance, role, connector, home }: LabelOptions): Readonly<Record<string, string>> {
  const { name, space } = instance;
  return {
    [labelNames.owner]: ownerLabel,
    [labelNames.instance]: name,
    [labelNames.space]: space.id,
    [labelNames.machine]: space.machine,
    [labelNames.host]: space.host,
    ...(home === undefined ? {} : { [labelNames.home]: home }),
    [labelNames.role]: role,
    [labelNames.connector]: connector,
  };
}

/** `bulkhead-<instance>-<connector>-<random>`; its sidecar has the same with `-net`. */
export function containerName(instance: DockerInstance, connector: string): string {
  return `bulkhead-${instance.name}-${connector}-${randomBytes(6).toString('hex')}`;
}
