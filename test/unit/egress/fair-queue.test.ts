import { describe, expect, it } from 'vitest';
import { createFairQueue } from '../../../src/egress/fair-queue.ts';

/** Work that ends when it is told to, in a queue of four slots, two of them for one owner. */
function startScene(waitingMax = 100) {
  const queue = createFairQueue({ slots: 4, share: 2, waitingMax });
  const running = new Map<string, () => void>();
  const started: string[] = [];
  const add = (owner: string, name: string) =>
    queue.add(owner, async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      running.set(name, resolve);
      started.push(name);
      await promise;
      running.delete(name);
      return name;
    });
  const end = async (name: string): Promise<void> => {
    running.get(name)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { add, end, started, running: () => [...running.keys()] };
}

describe('the fair queue', () => {
  it('keeps slots free of an owner that would take all', async () => {
    const { add, running, end } = startScene();
    for (let index = 0; index < 50; index += 1) add('flood', `f${index}`);
    expect(running()).toEqual(['f0', 'f1']);
    const found = add('other', 'o0');
    expect(running()).toEqual(['f0', 'f1', 'o0']);
    await end('o0');
    expect(await found?.result).toBe('o0');
    await end('f0');
    expect(running()).toEqual(['f1', 'f2']);
  });

  it('gives a free slot to the owner that has none, then to the one whose turn was the longest ago', async () => {
    const { add, end, started } = startScene();
    for (const owner of ['a', 'b']) for (let index = 0; index < 9; index += 1) add(owner, `${owner}${index}`);
    for (const owner of ['c', 'd']) for (let index = 0; index < 2; index += 1) add(owner, `${owner}${index}`);
    expect(started).toEqual(['a0', 'a1', 'b0', 'b1']);
    for (const name of ['a0', 'a1', 'b0', 'b1']) await end(name);
    expect(started.slice(4)).toEqual(['c0', 'a2', 'd0', 'b2']);
    for (const name of ['c0', 'd0']) await end(name);
    expect(started.slice(8)).toEqual(['c1', 'd1']);
  });

  it('drops what waits, and says no to what runs', async () => {
    const { add, end, started } = startScene();
    const [first, , waiting, after] = ['f0', 'f1', 'f2', 'f3'].map((name) => add('flood', name));
    expect(first?.drop()).toBe(false);
    expect(waiting?.drop()).toBe(true);
    expect(waiting?.drop()).toBe(false);
    await end('f0');
    expect(started).toEqual(['f0', 'f1', 'f3']);
    await end('f3');
    expect(await after?.result).toBe('f3');
  });

  it('takes no more than may wait of one owner, whatever others have', () => {
    const { add } = startScene(3);
    const added = Array.from({ length: 10 }, (_, index) => add('flood', `f${index}`));
    expect(added.filter((queued) => queued !== undefined)).toHaveLength(2 + 3);
    expect(added[3]?.drop()).toBe(true);
    expect(add('flood', 'again')).toBeDefined();
    expect(add('other', 'o')).toBeDefined();
  });

  it('frees the slot of work that fails', async () => {
    const queue = createFairQueue({ slots: 1, share: 1, waitingMax: 1 });
    const failed = queue.add('x', () => Promise.reject(new Error('gone')));
    const next = queue.add('x', async () => 'done');
    await expect(failed?.result).rejects.toThrow('gone');
    expect(await next?.result).toBe('done');
  });
});
