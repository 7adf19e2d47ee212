import { and, assemble, type BpfInstruction, load, returns, unlessEqual, whenAnySet, whenAtLeast, whenEqual } from './bpf.ts';
import { type FilterArchitecture, newestKnownCall, type SyscallName, syscallNumber } from './syscalls.ts';

/**
 * Calls that no connector needs and that widen the kernel’s surface or reach other processes: refused as if a privilege were missing.
 * The list denies; everything else stays as the kernel and the namespaces have it.
 */
export const refusedCalls: readonly SyscallName[] = [
  // Mounts and roots.
  ...(['mount', 'umount2', 'pivot_root', 'chroot', 'open_tree', 'move_mount', 'fsopen', 'fsconfig', 'fsmount', 'fspick'] as const),
  ...(['mount_setattr', 'name_to_handle_at', 'open_by_handle_at', 'quotactl', 'quotactl_fd', 'swapon', 'swapoff'] as const),
  // Other processes, and namespaces.
  ...(['ptrace', 'process_vm_readv', 'process_vm_writev', 'kcmp', 'pidfd_getfd', 'unshare', 'setns'] as const),
  // Kernel subsystems with a history.
  ...([
    'bpf',
    'userfaultfd',
    'perf_event_open',
    'add_key',
    'request_key',
    'keyctl',
    'fanotify_init',
    'lookup_dcookie',
    'nfsservctl',
  ] as const),
  // Other processes’ memory placement; the last can do what madvise is refused.
  ...(['mbind', 'set_mempolicy', 'set_mempolicy_home_node', 'migrate_pages', 'move_pages', 'process_madvise'] as const),
  // The machine itself.
  ...(['init_module', 'finit_module', 'delete_module', 'kexec_load', 'kexec_file_load', 'reboot', 'acct', 'syslog', 'vhangup'] as const),
  ...(['sethostname', 'setdomainname', 'settimeofday', 'adjtimex', 'clock_settime', 'clock_adjtime'] as const),
  ...(['iopl', 'ioperm', 'modify_ldt', 'uselib'] as const),
];

/**
 * Calls answered as if the kernel were too old for them, because programs then fall back. clone3 takes its flags in memory, where
 * a filter cannot see them (libc falls back to clone). The others make memory that RLIMIT_DATA and tmpfs sizes do not count: without a cgroup,
 * a million semaphores are a hundred megabytes of the kernel’s that nobody owns.
 */
export const missingCalls: readonly SyscallName[] = [
  'clone3',
  ...(['io_uring_setup', 'io_uring_enter', 'io_uring_register'] as const),
  ...(['memfd_create', 'memfd_secret', 'shmget', 'msgget', 'semget', 'mq_open'] as const),
];

/** Of Linux’s asm-generic/errno.h; the same on x86-64 and arm64. */
export const errno = { EPERM: 1, ENOMEM: 12, EINVAL: 22, ENOSYS: 38, EPROTONOSUPPORT: 93, EAFNOSUPPORT: 97 } as const;
const verdicts = { allow: 0x7fff0000, kill: 0x80000000, errno: 0x00050000 } as const;

/** AUDIT_ARCH_* of Linux `include/uapi/linux/audit.h`. */
const auditArchitectures = { x64: 0xc000003e, arm64: 0xc00000b7 } as const satisfies Record<FilterArchitecture, number>;

/** Offsets in `struct seccomp_data`; of an argument the lower half, which is all that these calls’ int arguments have. */
const data = { number: 0, architecture: 4, argument: (index: number) => 16 + 8 * index } as const;

/** Calls of the x32 ABI carry this bit and would pass every comparison with an x86-64 number. */
const x32Bit = 0x40000000;

/** The seccomp program of the sandbox, for `bwrap --seccomp`. */
export function seccompFilter(architecture: FilterArchitecture): Buffer {
  const call = (name: SyscallName, body: readonly BpfInstruction[]) => {
    const number = syscallNumber(name, architecture);
    return number === null ? [] : whenEqual(number, body);
  };
  return assemble([
    load(data.architecture),
    ...unlessEqual(auditArchitectures[architecture], [returns(verdicts.kill)]),
    load(data.number),
    ...(architecture === 'x64' ? whenAtLeast(x32Bit, [fail('EPERM')]) : []),
    ...whenAtLeast(newestKnownCall + 1, [fail('ENOSYS')]),
    ...refusedCalls.flatMap((name) => call(name, [fail('EPERM')])),
    ...missingCalls.flatMap((name) => call(name, [fail('ENOSYS')])),
    ...call('mmap', mmapRule()),
    ...call('madvise', madviseRule()),
    ...call('clone', cloneRule()),
    ...call('ioctl', ioctlRule()),
    ...call('socket', socketRule()),
    ...call('socketpair', socketpairRule()),
    ...call('personality', personalityRule()),
    returns(verdicts.allow),
  ]);
}

function fail(name: keyof typeof errno): BpfInstruction {
  return returns(verdicts.errno | errno[name]);
}

/** MAP_HUGETLB of <asm-generic/mman.h>. */
export const mapHuge = 0x40000;

/** Huge pages are the machine’s own stock, which no limit of memory counts: as if it had none. */
function mmapRule(): readonly BpfInstruction[] {
  return [load(data.argument(3)), ...whenAnySet(mapHuge, [fail('ENOMEM')]), returns(verdicts.allow)];
}

/** MADV_PAGEOUT of <asm-generic/mman-common.h>. */
export const adviseSwap = 21;

/** Where no cgroup bounds swap, a connector could move there what it must not hold in memory: as on a kernel before 5.4. */
function madviseRule(): readonly BpfInstruction[] {
  return [load(data.argument(2)), ...whenEqual(adviseSwap, [fail('EINVAL')]), returns(verdicts.allow)];
}

/** CLONE_NEWTIME is not among clone’s flags (its bit is the exit signal’s); clone3 and unshare are refused whole. */
const cloneNamespaces = 0x7e020000;

function cloneRule(): readonly BpfInstruction[] {
  return [load(data.argument(0)), ...whenAnySet(cloneNamespaces, [fail('EPERM')]), returns(verdicts.allow)];
}

export const terminalRequests = { TIOCSTI: 0x5412, TIOCLINUX: 0x541c } as const;

/** A terminal’s input could be typed into, or its console pasted from. */
function ioctlRule(): readonly BpfInstruction[] {
  const requests = Object.values(terminalRequests);
  return [load(data.argument(1)), ...requests.flatMap((request) => whenEqual(request, [fail('EPERM')])), returns(verdicts.allow)];
}

export const families = { unix: 1, inet: 2, inet6: 10, netlink: 16 } as const;
export const socketTypes = { mask: 0xf, stream: 1, dgram: 2 } as const;
export const protocols = { ip: 0, tcp: 6, udp: 17 } as const;
/** Listing the interfaces needs it: without it `os.networkInterfaces()` throws. */
const netlinkRoute = 0;

/**
 * Unix sockets, and TCP and UDP over IP. AF_VSOCK above all must go: network namespaces do not confine it, so that a connector
 * in a virtual machine could reach the hypervisor. MPTCP, SCTP, ICMP and raw sockets only widen the surface.
 */
function socketRule(): readonly BpfInstruction[] {
  return [
    load(data.argument(0)),
    ...whenEqual(families.unix, [returns(verdicts.allow)]),
    ...whenEqual(families.netlink, [load(data.argument(2)), ...whenEqual(netlinkRoute, [returns(verdicts.allow)]), fail('EAFNOSUPPORT')]),
    ...[families.inet, families.inet6].flatMap((family) => whenEqual(family, internetSocketRule())),
    fail('EAFNOSUPPORT'),
  ];
}

function internetSocketRule(): readonly BpfInstruction[] {
  const known = [protocols.ip, protocols.tcp, protocols.udp].flatMap((protocol) => whenEqual(protocol, [returns(verdicts.allow)]));
  const byProtocol = [load(data.argument(2)), ...known, fail('EPROTONOSUPPORT')];
  return [
    load(data.argument(1)),
    and(socketTypes.mask),
    ...[socketTypes.stream, socketTypes.dgram].flatMap((type) => whenEqual(type, byProtocol)),
    fail('EPERM'),
  ];
}

function socketpairRule(): readonly BpfInstruction[] {
  return [load(data.argument(0)), ...whenEqual(families.unix, [returns(verdicts.allow)]), fail('EAFNOSUPPORT')];
}

/** Asking for it, and setting the plain one, are harmless; others weaken address randomisation. */
const harmlessPersonalities = [0, 0xffffffff] as const;

function personalityRule(): readonly BpfInstruction[] {
  const harmless = harmlessPersonalities.flatMap((value) => whenEqual(value, [returns(verdicts.allow)]));
  return [load(data.argument(0)), ...harmless, fail('EPERM')];
}
