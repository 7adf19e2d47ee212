import * as v from 'valibot';
import { labelNames, ownerLabel } from '../container-labels.ts';
import { coverOptions } from '../image-volumes.ts';

/**
 * What may be asked of an engine when a container is made: the shape that container-options.ts gives a hardened connector or sidecar, and
 * nothing besides. Strict at every level, because the engine reads keys in any case and would obey the ones that we do not know.
 */
export function createPayloadSchema(seccomp: string) {
  const securityOptions = v.pipe(
    v.array(v.picklist(['no-new-privileges:true', `seccomp=${seccomp}`])),
    v.includes('no-new-privileges:true', 'must have no-new-privileges'),
  );
  const hostConfig = v.strictObject({
    ...lifetime,
    ...limits,
    ReadonlyRootfs: v.literal(true),
    CapDrop: v.strictTuple([v.literal('ALL')]),
    Privileged: v.literal(false),
    SecurityOpt: securityOptions,
    IpcMode: v.literal('private'),
    CgroupnsMode: v.literal('private'),
    Tmpfs: v.exactOptional(
      v.objectWithRest(
        { '/tmp': v.pipe(v.string(), v.regex(/^rw,noexec,nosuid,nodev,[a-z0-9_=,]+$/)) },
        // Over the volumes of an image.
        v.picklist(Object.values(coverOptions)),
      ),
    ),
    // The runner takes this message for an engine that shares no folders, and then speaks by attach alone.
    Mounts: v.exactOptional(v.pipe(v.array(v.unknown()), v.maxLength(0, 'must be empty: no bind mount is allowed here'))),
    NetworkMode: v.pipe(v.string(), v.regex(/^(none|container:[0-9a-f]{64})$/, 'must be none or a sidecar’s')),
    Dns: v.exactOptional(v.strictTuple([v.literal('127.0.0.1')])),
    DnsOptions: v.exactOptional(texts),
    ExtraHosts: v.exactOptional(v.array(v.pipe(v.string(), v.regex(/^[^:]+:127(\.\d{1,3}){3}$/)))),
    Sysctls: v.exactOptional(v.strictObject({ 'net.ipv4.ip_unprivileged_port_start': v.literal('0') })),
  });
  return v.strictObject({
    Image: v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/)),
    Cmd: v.exactOptional(texts),
    User: v.pipe(v.string(), v.regex(/^[1-9]\d*:[1-9]\d*$/, 'must be a user and a group, and not root')),
    Env: v.exactOptional(texts),
    Labels: v.objectWithRest({ [labelNames.owner]: v.literal(ownerLabel) }, v.string()),
    Hostname: v.exactOptional(v.literal('connector')),
    ...attachment,
    HostConfig: hostConfig,
    name: v.exactOptional(v.string()),
  });
}

const texts = v.array(v.string());
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

const lifetime = {
  Init: v.literal(true),
  AutoRemove: v.literal(false),
  RestartPolicy: v.strictObject({ Name: v.literal('no') }),
  LogConfig: v.strictObject({ Type: v.literal('none'), Config: v.strictObject({}) }),
};

const limits = {
  PidsLimit: count,
  Memory: count,
  MemorySwap: count,
  NanoCpus: count,
  Ulimits: v.array(v.strictObject({ Name: v.string(), Soft: v.number(), Hard: v.number() })),
  ShmSize: count,
  OomScoreAdj: v.pipe(v.number(), v.minValue(0)),
};

const attachment = {
  Tty: v.literal(false),
  OpenStdin: v.boolean(),
  StdinOnce: v.boolean(),
  AttachStdin: v.boolean(),
  AttachStdout: v.boolean(),
  AttachStderr: v.boolean(),
  StopTimeout: v.number(),
  Healthcheck: v.strictObject({ Test: v.strictTuple([v.literal('NONE')]) }),
};
