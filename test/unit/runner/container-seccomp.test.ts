import { describe, expect, test } from 'vitest';
import { seccompProfile } from '../../../src/runner/container-seccomp.ts';
import { missingCalls, refusedCalls } from '../../../src/sandbox/seccomp.ts';

interface Rule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet: number;
  readonly args?: readonly Condition[];
}

interface Condition {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: string;
}

const { syscalls } = seccompProfile('x64') as { readonly syscalls: readonly Rule[] };

/** What libseccomp does with the rules: arguments are compared with all their 64 bits. Undefined: let through. */
function errnoOf(name: string, ...args: readonly bigint[]): number | undefined {
  const matches = ({ index, value, valueTwo = 0, op }: Condition): boolean => {
    const given = args[index] ?? 0n;
    if (op === 'SCMP_CMP_MASKED_EQ') return (given & BigInt(value)) === BigInt(valueTwo);
    if (op === 'SCMP_CMP_GT') return given > BigInt(value);
    throw new Error(`${op} is not known here`);
  };
  return syscalls.find((rule) => rule.names.includes(name) && (rule.args ?? []).every(matches))?.errnoRet;
}

const [EPERM, EPROTONOSUPPORT, EAFNOSUPPORT] = [1, 93, 97];
/** The kernel reads an int or an unsigned int in these places: it does not see this bit. */
const above = 1n << 32n;

test('every call that the subprocess sandbox refuses is refused', () => {
  const refused = syscalls.filter(({ args }) => args === undefined).flatMap(({ names }) => names);
  for (const name of [...refusedCalls, ...missingCalls]) expect(refused).toContain(name);
});

test('nothing is let through but by the default', () => {
  expect(syscalls.every(({ action }) => action === 'SCMP_ACT_ERRNO')).toBe(true);
});

describe.each([
  ['AF_VSOCK', 'socket', [40n, 1n, 0n], EAFNOSUPPORT],
  ['AF_ALG', 'socket', [38n, 5n, 0n], EAFNOSUPPORT],
  ['AF_PACKET', 'socket', [17n, 3n, 768n], EAFNOSUPPORT],
  ['the last family that there may be', 'socketpair', [63n, 1n, 0n], EAFNOSUPPORT],
  ['AF_TIPC', 'socketpair', [30n, 1n, 0n], EAFNOSUPPORT],
  ['NETLINK_KOBJECT_UEVENT', 'socket', [16n, 3n, 15n], EPROTONOSUPPORT],
  ['NETLINK_GENERIC', 'socket', [16n, 2n, 16n], EPROTONOSUPPORT],
  ['a raw socket', 'socket', [2n, 3n, 1n], EPERM],
  ['a raw socket of IPv6', 'socket', [10n, 0x80003n, 58n], EPERM],
  ['ping', 'socket', [2n, 2n, 1n], EPROTONOSUPPORT],
  ['MPTCP', 'socket', [2n, 1n, 262n], EPROTONOSUPPORT],
  ['SCTP', 'socket', [10n, 1n, 132n], EPROTONOSUPPORT],
  ['TIOCSTI', 'ioctl', [0n, 0x5412n, 0n], EPERM],
  ['TIOCLINUX', 'ioctl', [0n, 0x541cn, 0n], EPERM],
  ['ADDR_NO_RANDOMIZE', 'personality', [0x40000n], EPERM],
  ['a user namespace', 'clone', [0x10000011n], EPERM],
] as const)('%s', (_, name, args, errno) => {
  test('is refused', () => {
    expect(errnoOf(name, ...args)).toBe(errno);
  });

  test.each(args.map((_value, index) => index))('is refused with a bit above the int of argument %i', (index) => {
    expect(errnoOf(name, ...args.map((value, at) => (at === index ? value | above : value)))).toBeDefined();
  });
});

test.each([
  ['a unix socket', 'socket', [1n, 1n, 0n]],
  ['a pair of unix sockets', 'socketpair', [1n, 0x80801n, 0n]],
  ['TCP', 'socket', [2n, 0x80801n, 6n]],
  ['UDP', 'socket', [10n, 2n, 17n]],
  ['the listing of interfaces', 'socket', [16n, 0x80003n, 0n]],
  ['another ioctl', 'ioctl', [0n, 0x5401n, 0n]],
  ['a thread', 'clone', [0x3d0f00n]],
  ['the plain personality', 'personality', [0n]],
] as const)('%s is let through', (_, name, args) => {
  expect(errnoOf(name, ...args)).toBeUndefined();
});
