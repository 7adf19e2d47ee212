import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { missingCalls, refusedCalls, seccompFilter } from '../../../src/sandbox/seccomp.ts';
import { type FilterArchitecture, type SyscallName, syscallNumber, syscalls } from '../../../src/sandbox/syscalls.ts';
import { runFilter } from '../../helpers/bpf-machine.ts';

const allow = 0x7fff0000;
const kill = 0x80000000;
const errno = (number: number) => 0x00050000 | number;
const audit = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;

describe.each(['x64', 'arm64'] as const)('the filter of %s', (architecture) => {
  const filter = seccompFilter(architecture);
  const verdict = (name: SyscallName, ...args: number[]) => {
    const number = syscallNumber(name, architecture);
    return number === null ? undefined : runFilter(filter, { number, architecture: audit[architecture], args });
  };

  it('kills a call of another architecture', () => {
    expect(runFilter(filter, { number: 1, architecture: 0x40000003, args: [] })).toBe(kill);
  });

  it.each(refusedCalls.filter((name) => syscallNumber(name, architecture) !== null))('refuses %s', (name) => {
    expect(verdict(name)).toBe(errno(1));
  });

  it.each(missingCalls)('does not know %s', (name) => {
    expect(verdict(name)).toBe(errno(38));
  });

  it.each([
    ['clone with CLONE_NEWUSER', 'clone', [0x10000000], errno(1)],
    ['clone with CLONE_NEWNET', 'clone', [0x40000000], errno(1)],
    ['clone with CLONE_NEWNS', 'clone', [0x00020000], errno(1)],
    ['clone of a thread', 'clone', [0x3d0f00], allow],
    ['clone of a fork', 'clone', [0x1200011], allow],
    ['mmap of private memory', 'mmap', [0, 4096, 3, 0x22, -1, 0], allow],
    ['mmap of huge pages', 'mmap', [0, 2 ** 21, 3, 0x40022, -1, 0], errno(12)],
    ['mmap of huge pages, 1 GiB each', 'mmap', [0, 2 ** 30, 3, 0x78040022, -1, 0], errno(12)],
    ['giving memory back', 'madvise', [0, 4096, 4], allow],
    ['moving memory to swap', 'madvise', [0, 4096, 21], errno(22)],
    ['ioctl TIOCSTI', 'ioctl', [0, 0x5412], errno(1)],
    ['ioctl TIOCLINUX', 'ioctl', [0, 0x541c], errno(1)],
    ['ioctl FIONREAD', 'ioctl', [0, 0x541b], allow],
    ['a unix socket', 'socket', [1, 1, 0], allow],
    ['a TCP socket, non-blocking', 'socket', [2, 0o4001, 6], allow],
    ['a UDP socket', 'socket', [2, 2, 17], allow],
    ['a TCP socket of IPv6', 'socket', [10, 1, 0], allow],
    ['a raw socket', 'socket', [2, 3, 1], errno(1)],
    ['a ping socket', 'socket', [2, 2, 1], errno(93)],
    ['an MPTCP socket', 'socket', [2, 1, 262], errno(93)],
    ['an SCTP socket', 'socket', [2, 1, 132], errno(93)],
    ['a packet socket', 'socket', [17, 3, 0], errno(97)],
    ['a vsock', 'socket', [40, 1, 0], errno(97)],
    ['an AF_ALG socket', 'socket', [38, 5, 0], errno(97)],
    ['netlink route', 'socket', [16, 3, 0], allow],
    ['netlink audit', 'socket', [16, 3, 9], errno(97)],
    ['a socketpair', 'socketpair', [1, 1, 0], allow],
    ['a socketpair of another family', 'socketpair', [2, 1, 0], errno(97)],
    ['asking for the personality', 'personality', [0xffffffff], allow],
    ['switching address randomisation off', 'personality', [0x0040000], errno(1)],
  ] as const)('judges %s', (_what, name, args, expected) => {
    expect(verdict(name, ...args)).toBe(expected);
  });

  it.each([
    ['open_tree_attr', 467],
    ['one of the future', 600],
    ['the highest', 0x3fffffff],
  ])('does not know calls that are newer than its lists: %s', (_what, number) => {
    expect(runFilter(filter, { number, architecture: audit[architecture], args: [] })).toBe(errno(38));
  });

  it('leaves calls alone that it does not name', () => {
    for (const number of [0, 1, 2, 3, 463, 466]) {
      const named = Object.keys(syscalls).some((name) => syscallNumber(name as SyscallName, architecture) === number);
      if (!named) expect(runFilter(filter, { number, architecture: audit[architecture], args: [] })).toBe(allow);
    }
  });
});

it('refuses x32 calls on x86-64, whose numbers would pass every comparison', () => {
  expect(runFilter(seccompFilter('x64'), { number: 0x40000000 + 101, architecture: audit.x64, args: [] })).toBe(errno(1));
});

const headers: Record<FilterArchitecture, string> = {
  x64: '/usr/include/x86_64-linux-gnu/asm/unistd_64.h',
  arm64: '/usr/include/asm-generic/unistd.h',
};

describe.each(['x64', 'arm64'] as const)('the numbers of %s', (architecture) => {
  it.skipIf(!existsSync(headers[architecture]))('are those of the kernel’s headers', () => {
    const text = readFileSync(headers[architecture], 'latin1');
    for (const name of Object.keys(syscalls) as SyscallName[]) {
      const found = new RegExp(`^#define __NR(?:3264)?_${name}\\s+(\\d+)\\s*$`, 'm').exec(text)?.[1];
      expect([name, found === undefined ? null : Number(found)]).toEqual([name, syscallNumber(name, architecture)]);
    }
  });
});

it.skipIf(process.platform !== 'linux' || !existsSync('/usr/bin/python3'))('is taken by the kernel and does what it says', () => {
  const hex = seccompFilter(process.arch as FilterArchitecture).toString('hex');
  const output = execFileSync('/usr/bin/python3', ['-I', '-c', loadAndTry, hex], { encoding: 'utf8' });
  expect(JSON.parse(output)).toEqual({
    unshare: 'EPERM',
    ptrace: 'EPERM',
    vsock: 'EAFNOSUPPORT',
    raw: 'EPERM',
    tcp: 'ok',
    fork: 'ok',
    thread: 'ok',
    memory: 'ok',
    huge: 'ENOMEM',
    swap: 'EINVAL',
  });
});

const loadAndTry = `
import ctypes, errno, json, mmap, os, socket, sys, threading
program = bytes.fromhex(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
class Program(ctypes.Structure): _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_char_p)]
loaded = Program(len(program) // 8, program)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(loaded), 0, 0) == 0, os.strerror(ctypes.get_errno())
def call(result): return 'ok' if result >= 0 else errno.errorcode[ctypes.get_errno()]
def tries(act):
    try: act(); return 'ok'
    except OSError as error: return errno.errorcode[error.errno]
def fork():
    if os.fork() == 0: os._exit(0)
    os.wait()
def thread():
    t = threading.Thread(target=lambda: None); t.start(); t.join()
print(json.dumps({
    'unshare': call(libc.unshare(0x10000000)),
    'ptrace': call(libc.ptrace(0, 0, 0, 0)),
    'vsock': tries(lambda: socket.socket(40, socket.SOCK_STREAM)),
    'raw': tries(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
    'tcp': tries(lambda: socket.socket()),
    'fork': tries(fork),
    'thread': tries(thread),
    'memory': tries(lambda: mmap.mmap(-1, 1 << 21)),
    'huge': tries(lambda: mmap.mmap(-1, 1 << 21, flags=0x40022)),
    'swap': tries(lambda: mmap.mmap(-1, 1 << 21).madvise(21)),
}))
`;
