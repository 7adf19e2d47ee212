import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import type { EgressGateway } from '../egress/gateway.ts';
import { ProxyError } from '../errors.ts';
import { boundsSwap, createCgroup } from '../sandbox/cgroup.ts';
import { createCgroupPool } from '../sandbox/cgroup-pool.ts';
import { type CgroupOwner, type CgroupTree, findCgroupTree, removeCgroups } from '../sandbox/cgroup-tree.ts';
import type { ResourceLimits } from '../sandbox/policy.ts';
import { seccompFilter } from '../sandbox/seccomp.ts';
import type { FilterArchitecture } from '../sandbox/syscalls.ts';
import { type CheckedBind, checkBind } from './bind-source.ts';
import { findInheritedDescriptors } from './inherited-descriptors.ts';
import { createLimitWatch, type LimitWatch } from './limit-watch.ts';
import { findMachineLayout } from './machine-layout.ts';
import { processStat } from './process-tree.ts';
import { bwrapMissing } from './sandbox-failure.ts';
import type { MachineLayout, NamespaceHelper, SandboxPlan } from './sandbox-plan.ts';
import { findSandboxUser, type SandboxUser } from './sandbox-user.ts';
import { createSpareBwraps, type SpareBwraps } from './spare-bwraps.ts';
import { keepSpawner } from './spawner-keeper.ts';

/** What all sandboxes of one runner share: found once, held until `close`. */
export interface SubprocessHost {
  readonly spares: SpareBwraps;
  readonly user: SandboxUser | undefined;
  readonly machine: MachineLayout;
  /** The Node that connectors run on. */
  readonly node: CheckedBind;
  readonly architecture: FilterArchitecture;
  readonly filter: Uint8Array;
  readonly helper: NamespaceHelper;
  readonly egress: EgressGateway | undefined;
  readonly cgroups: CgroupTree | undefined;
  /** What the cgroups of these count: memory only with swap. */
  readonly counted: SandboxPlan['counted'];
  readonly watch: LimitWatch;
  close(): Promise<void>;
}

export interface SubprocessHostOptions {
  readonly bwrapPath: string | undefined;
  readonly nodePath: string;
  readonly userName: string;
  readonly egress: EgressGateway | undefined;
  /** `watchdog`: leave cgroups alone, as on a machine without them. */
  readonly limits: 'cgroup' | 'watchdog';
  readonly helper: NamespaceHelper['interpreter'] | undefined;
  readonly keepsSpares: boolean;
}

/** @throws ProxyError `sandbox_unavailable` when the machine cannot sandbox at all. */
export async function createSubprocessHost(options: SubprocessHostOptions): Promise<SubprocessHost> {
  const { nodePath, userName, egress, limits, helper, keepsSpares } = options;
  const bwrapPath = findBwrap(options.bwrapPath === undefined ? bwrapPaths : [options.bwrapPath]);
  const architecture = architectureOf(process.arch);
  const user = findSandboxUser(userName, process.getuid?.());
  const node = await checkBind({ user, what: 'The Node that connectors run on', path: nodePath, access: 'read' });
  const owner = await selfAsOwner();
  const interpreter = helper ?? (existsSync('/usr/bin/perl') ? 'perl' : 'node');
  const found = { machine: findMachineLayout(nodePath), filter: seccompFilter(architecture), helper: readHelper(interpreter) };
  const inherited = findInheritedDescriptors();
  const nullDescriptor = openSync('/dev/null', 'r+');
  // It comes while cgroups are tried.
  const spawners = keepSpawner({ architecture, nullDescriptor }, { isWanted: keepsSpares && interpreter === 'perl' });
  const cgroups = limits === 'cgroup' ? await openCgroups(owner) : undefined;
  const pool = cgroups && createCgroupPool(cgroups);
  const bwraps = { bwrapPath, user, inherited, nullDescriptor, cgroups: pool, spawners };
  const spares = createSpareBwraps(bwraps, { isKeeping: keepsSpares });
  return {
    spares,
    user,
    node,
    architecture,
    ...found,
    egress,
    cgroups,
    counted: { memory: cgroups !== undefined && boundsSwap(cgroups), pids: cgroups?.folders.has('pids') ?? false },
    watch: createLimitWatch(),
    async close() {
      await spares.close();
      await spawners.close();
      closeSync(nullDescriptor);
      await pool?.close();
      if (cgroups !== undefined) await removeCgroups(cgroups, ({ runner }) => runner === owner.runner);
    },
  };
}

function architectureOf(architecture: string): FilterArchitecture {
  if (architecture === 'x64' || architecture === 'arm64') return architecture;
  throw new ProxyError(
    'sandbox_unavailable',
    `There is no system call filter for ${architecture}, only for x64 and arm64; use image connectors.`,
  );
}

const bwrapPaths = ['/usr/bin/bwrap', '/usr/local/bin/bwrap', '/bin/bwrap'] as const;

function findBwrap(candidates: readonly string[]): string {
  const path = candidates.find((candidate) => existsSync(candidate));
  if (path !== undefined) return path;
  throw new ProxyError('sandbox_unavailable', `Connectors cannot be sandboxed: ${bwrapMissing}.`);
}

const helperFiles = { perl: ['hand-over.pl', 'prelude.pl'], node: ['listen.mjs'] } as const;

function readHelper(interpreter: NamespaceHelper['interpreter']): NamespaceHelper {
  const read = (name: string) => readFileSync(new URL(`./namespace-helper/${name}`, import.meta.url), 'utf8');
  return { interpreter, program: helperFiles[interpreter].map(read).join('') };
}

const trialLimits: ResourceLimits = {
  memoryBytesMax: 2 ** 26,
  cpusMax: 1,
  pidsMax: 8,
  descriptorsMax: 64,
  fileBytesMax: 2 ** 20,
  tmpBytesMax: 2 ** 20,
  tmpInodesMax: 64,
};

/** Some containers let cgroups be made but no limit be set; what holds limits then is the watchdog, and `doctor` says so. */
async function openCgroups(owner: CgroupOwner): Promise<CgroupTree | undefined> {
  const tree = findCgroupTree(owner);
  if (tree === undefined) return undefined;
  try {
    // What is left of others takes nothing from this one.
    await removeCgroups(tree, isDead).catch(() => {});
    const trial = createCgroup(tree, 'trial');
    try {
      trial.limit(trialLimits);
    } finally {
      await trial.remove();
    }
    return tree;
  } catch {
    return undefined;
  }
}

async function selfAsOwner(): Promise<CgroupOwner> {
  const stat = await processStat(process.pid);
  return { pid: process.pid, startTicks: stat?.startTicks ?? '0', runner: randomBytes(6).toString('hex') };
}

async function isDead({ pid, startTicks }: CgroupOwner): Promise<boolean> {
  const stat = await processStat(pid);
  return stat?.startTicks !== startTicks;
}
