import { expect, test } from 'vitest';
import { chooseSeccomp, seccompProfile } from '../../../src/runner/container-seccomp.ts';
import { missingCalls, refusedCalls } from '../../../src/sandbox/seccomp.ts';

interface Rule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet: number;
  readonly args?: readonly { readonly index: number; readonly value: number; readonly op: string }[];
}

const { syscalls } = seccompProfile('x64') as { readonly syscalls: readonly Rule[] };

test.each([
  ['docker', '20.10.24+dfsg1', 'own'],
  ['docker', '23.0.0', 'engine'],
  ['docker', '28.2.2', 'engine'],
  ['podman', '4.3.1', 'own'],
] as const)('%s %s has the filter of the %s', (product, version, type) => {
  expect(chooseSeccomp({ product, version })).toEqual({ type });
});

test('every call that the subprocess sandbox refuses is refused', () => {
  const refused = syscalls.filter(({ args }) => args === undefined).flatMap(({ names }) => names);
  for (const name of [...refusedCalls, ...missingCalls]) expect(refused).toContain(name);
});

test.each([
  ['AF_VSOCK', 40],
  ['AF_ALG', 38],
  ['AF_PACKET', 17],
])('%s sockets are refused', (_, family) => {
  expect(syscalls.some(({ names, args }) => names.includes('socket') && args?.length === 1 && args[0]?.value === family)).toBe(true);
});

test.each([1, 2, 10, 16])('sockets of family %i are not refused as a whole', (family) => {
  expect(syscalls.some(({ names, args }) => names.includes('socket') && args?.length === 1 && args[0]?.value === family)).toBe(false);
});

test('nothing is let through but by the default', () => {
  expect(syscalls.every(({ action }) => action === 'SCMP_ACT_ERRNO')).toBe(true);
});
