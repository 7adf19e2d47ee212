import {
  adviseSwap,
  errno,
  families,
  mapHuge,
  missingCalls,
  protocols,
  refusedCalls,
  socketTypes,
  terminalRequests,
} from '../sandbox/seccomp.ts';
import type { EngineFacts } from './docker-engine.ts';

/** Linux knows 46 families; a few numbers more cost nothing and outlive the next one. */
const familiesMax = 64;
/** CLONE_NEWTIME … CLONE_NEWNET of Linux `include/uapi/linux/sched.h`, one bit each. */
const namespaceFlags = [0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000] as const;
const allowedTypes: readonly number[] = [socketTypes.stream, socketTypes.dgram];
const allowedProtocols: readonly number[] = Object.values(protocols);
const protocolMax = Math.max(...allowedProtocols);

/** Calls that Docker's default refuses beyond the sandbox's list; the engine ignores names that its kernel does not have. */
const alsoRefused = [
  'stime',
  'umount',
  'create_module',
  'get_kernel_syms',
  'query_module',
  'sysfs',
  '_sysctl',
  'ustat',
  'vm86',
  'vm86old',
] as const;

/**
 * The sandbox's filter as an OCI profile, for every engine: Docker's own allows all of netlink, ptrace and memory that nobody counts; AF_VSOCK
 * too, before Docker 23 by its name and since then with a bit set above the 32 that the kernel reads; and an engine may be set to have none.
 * Without an `architectures` entry for i386 and x32, calls of those kill the process.
 */
export function seccompProfile(architecture: string): object {
  return {
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: [architecture === 'arm64' ? 'SCMP_ARCH_AARCH64' : 'SCMP_ARCH_X86_64'],
    syscalls: [
      refuse([...refusedCalls, ...alsoRefused], errno.EPERM),
      refuse(missingCalls, errno.ENOSYS),
      refuse(['mmap'], errno.ENOMEM, masked(3, mapHuge, mapHuge)),
      refuse(['madvise'], errno.EINVAL, equals(2, adviseSwap)),
      ...namespaceFlags.map((flag) => refuse(['clone'], errno.EPERM, masked(0, flag, flag))),
      ...refusedFamilies().map((family) => refuse(['socket', 'socketpair'], errno.EAFNOSUPPORT, equals(0, family))),
      // os.networkInterfaces() reads NETLINK_ROUTE (0); every other netlink protocol stays shut.
      ...range(1, familiesMax).map((protocol) =>
        refuse(['socket'], errno.EPROTONOSUPPORT, equals(0, families.netlink), equals(2, protocol)),
      ),
      ...[families.inet, families.inet6].flatMap(internetSockets),
      ...Object.values(terminalRequests).map((request) => refuse(['ioctl'], errno.EPERM, equals(1, request))),
      refuse(['personality'], errno.EPERM, greaterThan(0, 0)),
    ],
  };
}

/** Why containers of an engine cannot have the filter, as what the engine is or lacks; undefined: they can. */
export function seccompFault({ hasSeccomp, architecture }: Pick<EngineFacts, 'hasSeccomp' | 'architecture'>): string | undefined {
  if (!hasSeccomp) return 'has no seccomp';
  return architecture === 'x64' || architecture === 'arm64'
    ? undefined
    : `runs ${architecture}, for which there is no filter of system calls`;
}

interface ArgumentRule {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: string;
}

function refuse(names: readonly string[], errnoRet: number, ...args: readonly ArgumentRule[]) {
  return { names, action: 'SCMP_ACT_ERRNO', errnoRet, ...(args.length > 0 && { args }) };
}

/** The kernel reads the lower half of an int argument, SCMP_CMP_EQ compares both: with one bit set above, what it refuses would pass. */
const intMask = 0xffffffff;

function equals(index: number, value: number): ArgumentRule {
  return masked(index, intMask, value);
}

function masked(index: number, mask: number, value: number): ArgumentRule {
  return { index, value: mask, valueTwo: value, op: 'SCMP_CMP_MASKED_EQ' };
}

/** Of both halves: a bit above is more than any int, and refused. */
function greaterThan(index: number, value: number): ArgumentRule {
  return { index, value, op: 'SCMP_CMP_GT' };
}

/** TCP and UDP only: no raw sockets, no ping, MPTCP or SCTP. */
function internetSockets(family: number) {
  const types = range(0, socketTypes.mask + 1).filter((type) => !allowedTypes.includes(type));
  const below = range(0, protocolMax).filter((protocol) => !allowedProtocols.includes(protocol));
  return [
    ...types.map((type) => refuse(['socket'], errno.EPERM, equals(0, family), masked(1, socketTypes.mask, type))),
    ...below.map((protocol) => refuse(['socket'], errno.EPROTONOSUPPORT, equals(0, family), equals(2, protocol))),
    refuse(['socket'], errno.EPROTONOSUPPORT, equals(0, family), greaterThan(2, protocolMax)),
  ];
}

function refusedFamilies(): number[] {
  const allowed: readonly number[] = Object.values(families);
  return range(0, familiesMax).filter((family) => !allowed.includes(family));
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
