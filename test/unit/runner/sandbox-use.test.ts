import { describe, expect, it } from 'vitest';
import { isLending, measureSandbox, type ProcessUse, sumMemory, usageOf } from '../../../src/runner/sandbox-use.ts';

const use = (pid: number, parent: number, bytes: number, addresses = '1000-2000'): ProcessUse => ({
  ...{ pid, parent, tasks: 1, addresses, bytes },
});

const lending =
  (...counts: [pid: number, count: number][]) =>
  (pid: number) =>
    new Map(counts).get(pid) ?? 0;

describe('the memory of a sandbox', () => {
  const parent = [use(1, 0, 10, '1-2'), use(2, 1, 60)];

  it('is the sum of all where nobody waits for a child', () => {
    expect(sumMemory([...parent, use(3, 2, 60), use(4, 2, 5, '7-8')], lending())).toBe(135);
  });

  it('counts once what as many children have of their parent as it waits for', () => {
    expect(sumMemory([...parent, use(3, 2, 60)], lending([2, 1]))).toBe(70);
    expect(sumMemory([...parent, use(3, 2, 60), use(4, 2, 60)], lending([2, 1]))).toBe(130);
    expect(sumMemory([...parent, use(3, 2, 60), use(4, 3, 60)], lending([2, 1], [3, 1]))).toBe(70);
  });

  it('does not leave out a child that runs a program, one of somebody else, or more than the parent has', () => {
    expect(sumMemory([...parent, use(3, 2, 50, '7-8'), use(4, 1, 60)], lending([2, 2]))).toBe(180);
    expect(sumMemory([...parent, use(3, 2, 500)], lending([2, 1]))).toBe(510);
    expect(sumMemory([...parent, use(3, 2, 500), use(4, 2, 20)], lending([2, 1]))).toBe(570);
  });

  it('is at least what no child can have of its parent', () => {
    const all = () => Number.POSITIVE_INFINITY;
    expect(sumMemory(parent, all)).toBe(70);
    expect(sumMemory([...parent, use(3, 2, 40), use(4, 2, 500), use(5, 2, 7, '7-8')], all)).toBe(70 + 440 + 7);
  });

  it('is read from what the kernel says, with what lies in swap', () => {
    const text = '5500-7fff ---p 00000000 00:00 0                          [rollup]\nRss:  700 kB\nPss:  300 kB\nPss_Anon: 1 kB\n';
    expect(usageOf(`${text}Swap:  20 kB\nSwapPss:  10 kB\n`)).toEqual({ addresses: '5500-7fff', bytes: 310 * 1024 });
    expect(usageOf('')).toEqual({ addresses: '', bytes: 0 });
  });

  it.each([
    ['58 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffe 0x7f00\n', 'x64', true],
    ['56 0x4111 0x7f00 0x0 0x0 0x0 0x0 0x7ffe 0x7f00\n', 'x64', true],
    ['220 0x4111 0x7f00 0x0 0x0 0x0 0x0 0x7ffe 0x7f00\n', 'arm64', true],
    ['58 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffe 0x7f00\n', 'arm64', false],
    ['56 0x4011 0x0 0x0 0x0 0x0 0x0 0x7ffe 0x7f00\n', 'x64', false],
    ['56 0x3d0f00 0x0 0x0 0x0 0x0 0x0 0x7ffe 0x7f00\n', 'x64', false],
    ['0 0x4111 0x0 0x0 0x0 0x0 0x0 0x7ffe 0x7f00\n', 'x64', false],
    ['running\n', 'x64', false],
    ['', 'arm64', false],
  ] as const)('a thread in the call %j of %s waits for a child that has its memory: %s', (call, architecture, expected) => {
    expect(isLending(call, architecture)).toBe(expected);
  });

  it('is nothing of a process that is gone', async () => {
    expect(await measureSandbox(2 ** 30, { isPrecise: true })).toEqual({ memoryBytes: 0, memoryBytesMin: 0, tasks: 0 });
  });
});
