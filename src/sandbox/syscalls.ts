/**
 * The newest call that was looked at when the lists of seccomp.ts were made (removexattrat, Linux 6.13; from 424 on both architectures count alike).
 * Later ones can do what nobody has judged, and are answered as a kernel that does not have them.
 */
export const newestKnownCall = 466;

/** Architectures that the sandbox has a filter for, by Node’s names. */
export type FilterArchitecture = 'x64' | 'arm64';

/** Numbers on x86-64 and on arm64; null: the architecture does not have the call. */
type SyscallNumbers = readonly [x64: number | null, arm64: number | null];

/**
 * Numbers of the calls that the filter or the watchdog names. Sources: Linux `arch/x86/entry/syscalls/syscall_64.tbl` for x86-64 and
 * `include/uapi/asm-generic/unistd.h` for arm64 (both as installed by linux-libc-dev; a test compares them where they are).
 */
export const syscalls = {
  acct: [163, 89],
  add_key: [248, 217],
  adjtimex: [159, 171],
  bpf: [321, 280],
  chroot: [161, 51],
  clock_adjtime: [305, 266],
  clock_settime: [227, 112],
  clone: [56, 220],
  clone3: [435, 435],
  delete_module: [176, 106],
  fanotify_init: [300, 262],
  finit_module: [313, 273],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fsopen: [430, 430],
  fspick: [433, 433],
  init_module: [175, 105],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  io_uring_setup: [425, 425],
  ioctl: [16, 29],
  ioperm: [173, null],
  iopl: [172, null],
  kcmp: [312, 272],
  kexec_file_load: [320, 294],
  kexec_load: [246, 104],
  keyctl: [250, 219],
  lookup_dcookie: [212, 18],
  madvise: [28, 233],
  mbind: [237, 235],
  memfd_create: [319, 279],
  memfd_secret: [447, 447],
  migrate_pages: [256, 238],
  mmap: [9, 222],
  modify_ldt: [154, null],
  mount: [165, 40],
  mount_setattr: [442, 442],
  move_mount: [429, 429],
  move_pages: [279, 239],
  mq_open: [240, 180],
  msgget: [68, 186],
  name_to_handle_at: [303, 264],
  nfsservctl: [180, 42],
  open_by_handle_at: [304, 265],
  open_tree: [428, 428],
  perf_event_open: [298, 241],
  personality: [135, 92],
  pidfd_getfd: [438, 438],
  pivot_root: [155, 41],
  process_madvise: [440, 440],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  ptrace: [101, 117],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  reboot: [169, 142],
  request_key: [249, 218],
  set_mempolicy: [238, 237],
  set_mempolicy_home_node: [450, 450],
  semget: [64, 190],
  setdomainname: [171, 162],
  sethostname: [170, 161],
  setns: [308, 268],
  settimeofday: [164, 170],
  shmget: [29, 194],
  socket: [41, 198],
  socketpair: [53, 199],
  swapoff: [168, 225],
  swapon: [167, 224],
  syslog: [103, 116],
  umount2: [166, 39],
  unshare: [272, 97],
  uselib: [134, null],
  userfaultfd: [323, 282],
  vfork: [58, null],
  vhangup: [153, 58],
} as const satisfies Record<string, SyscallNumbers>;

export type SyscallName = keyof typeof syscalls;

/** The number of a call, or null where the architecture does not have it. */
export function syscallNumber(name: SyscallName, architecture: FilterArchitecture): number | null {
  const [x64, arm64] = syscalls[name];
  return architecture === 'x64' ? x64 : arm64;
}
