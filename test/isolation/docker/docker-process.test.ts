import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildImage, requireEngine, shellImage, startRunner, testLimits, textOf } from '../../helpers/docker-runner.ts';

const engine = await requireEngine();

const mebibyte = 1024 * 1024;

describe.skipIf(engine === undefined).each([
  { how: 'named pipes', shareFiles: true },
  { how: 'attach', shareFiles: false },
])('a container over $how', ({ shareFiles }) => {
  const images = { echo: '', flood: '', deaf: '', memory: '', ends: '', stubborn: '', greedy: '', child: '', spin: '' };

  beforeAll(async () => {
    if (engine === undefined) return;
    images.echo = await shellImage(engine, 'echo', 'echo "to stderr" >&2\nexec cat');
    images.flood = await shellImage(engine, 'flood', `exec head -c ${200 * mebibyte} /dev/zero`);
    images.deaf = await shellImage(engine, 'deaf', 'echo up\nexec sleep 600');
    images.memory = await shellImage(engine, 'memory', 'echo up\nread line\nx=$(tail /dev/zero)');
    images.greedy = await shellImage(
      engine,
      'greedy',
      'head -c 4000000 /dev/zero >/tmp/full\n(for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do sleep 600 & done) &\nexec sleep 600',
    );
    images.child = await shellImage(engine, 'child', '(tail /dev/zero >/tmp/x) &\nwait\nsleep 600');
    images.spin = await shellImage(engine, 'spin', 'while :; do :; done');
    images.ends = await shellImage(engine, 'ends', 'read code\nexit $code');
    images.stubborn = await shellImage(
      engine,
      'stubborn',
      'trap "" TERM INT HUP\n(trap "" TERM; sleep 600) &\necho up\nwhile :; do sleep 1; done',
    );
  }, 180_000);

  test('answers on stdout, keeps stderr apart, and ends when stdin does', async () => {
    await using under = await startRunner({ shareFiles });
    const process = await under.start(images.echo);
    const [stdout, stderr] = [textOf(process.stdout), textOf(process.stderr)];
    process.stdin.write('one\n');
    process.stdin.end('two\n');
    expect(await process.exited).toEqual({ exitCode: 0, signal: null });
    expect(await stdout).toBe('one\ntwo\n');
    expect(await stderr).toBe('to stderr\n');
    expect(await under.containers()).toEqual([]);
  });

  test('carries ten megabytes each way unchanged', async () => {
    await using under = await startRunner({ shareFiles });
    const process = await under.start(images.echo);
    process.stderr.resume();
    const sent = Buffer.alloc(10 * mebibyte, 'abcdefghijklmnopqrstuvwxyz\n');
    const received = Array.fromAsync(process.stdout);
    process.stdin.end(sent);
    expect(Buffer.concat(await received).equals(sent)).toBe(true);
    await process.exited;
  });

  test('names what the config shows of the machine, and is gone', async () => {
    await using under = await startRunner({ shareFiles });
    const gone = `/tmp/bulkhead-test-gone-${process.pid}`;
    for (const grant of [{ dataFolder: gone }, { readOnlyPaths: [gone] }]) {
      await expect(under.start(images.echo, grant)).rejects.toMatchObject({
        code: 'sandbox_unavailable',
        message: expect.stringContaining(`${gone}, cannot be read (ENOENT)`),
      });
    }
  });

  test('tells the exit code', async () => {
    await using under = await startRunner({ shareFiles });
    const process = await under.start(images.ends);
    process.stdin.end('7\n');
    expect(await process.exited).toEqual({ exitCode: 7, signal: null });
  });

  test('a flood of 200 MB that nobody reads costs no memory, and all of it arrives once somebody does', async () => {
    await using under = await startRunner({ shareFiles });
    const process = await under.start(images.flood);
    process.stderr.resume();
    await sleep(2000);
    const before = memoryBytes();
    await sleep(3000);
    expect(memoryBytes() - before).toBeLessThan(32 * mebibyte);
    let bytes = 0;
    let peak = 0;
    for await (const chunk of process.stdout) {
      bytes += (chunk as Buffer).length;
      peak = Math.max(peak, memoryBytes() - before);
    }
    expect(bytes).toBe(200 * mebibyte);
    expect(peak).toBeLessThan(96 * mebibyte);
    expect(await process.exited).toMatchObject({ exitCode: 0 });
  });

  test('a container that never reads its stdin shows it as a growing queue', async () => {
    await using under = await startRunner({ shareFiles });
    const process = await under.start(images.deaf);
    await once(process.stdout, 'data');
    for (let written = 0; written < 8 * mebibyte; written += mebibyte) process.stdin.write(Buffer.alloc(mebibyte));
    await sleep(1000);
    expect(process.stdin.writableNeedDrain).toBe(true);
    expect(process.stdin.writableLength).toBeGreaterThan(4 * mebibyte);
    process.kill();
    await process.exited;
  });

  test('out of memory is named, with the limit', async () => {
    await using under = await startRunner({ shareFiles });
    const limits = { ...testLimits, memoryBytesMax: 32 * mebibyte };
    const process = await under.start(images.memory, { limits });
    await once(process.stdout, 'data');
    process.stdin.write('go\n');
    const { breach } = await process.exited;
    expect(breach?.code).toBe('memory_exceeded');
    expect(breach?.message).toContain('32 MiB');
  });

  test('too much CPU time is named, with the limit', async () => {
    await using under = await startRunner({ shareFiles });
    const process = await under.start(images.spin, { limits: { ...testLimits, cpuTimeMaxMs: 1000 } });
    process.stdout.resume();
    expect((await process.exited).breach).toMatchObject({ code: 'cpu_exceeded', message: expect.stringContaining('1000 ms of CPU time') });
  });

  test('refused forks and a full /tmp are told while it lives', async () => {
    await using under = await startRunner({ shareFiles });
    const limits = { ...testLimits, pidsMax: 12, tmpBytesMax: mebibyte };
    const process = await under.start(images.greedy, { limits });
    process.stderr.resume();
    process.stdout.resume();
    const told = (code: string, text: string) => ({ code, message: expect.stringContaining(text) });
    await expect.poll(() => under.notices, { timeout: 20_000 }).toContainEqual(told('process_limit', '12 processes'));
    await expect.poll(() => under.notices, { timeout: 20_000 }).toContainEqual(told('disk_exceeded', '/tmp of 1 MiB'));
    expect(await under.containers()).toHaveLength(1);
    process.kill();
    await process.exited;
  });

  test('a child that is killed for memory ends the whole container, by name', async () => {
    await using under = await startRunner({ shareFiles });
    const process = await under.start(images.child, { limits: { ...testLimits, memoryBytesMax: 32 * mebibyte } });
    process.stdout.resume();
    expect((await process.exited).breach).toMatchObject({ code: 'memory_exceeded', message: expect.stringContaining('32 MiB') });
  });

  test('one that is killed from outside says by which signal', async () => {
    await using under = await startRunner({ shareFiles });
    const process = await under.start(images.deaf);
    await once(process.stdout, 'data');
    await under.engine.docker.getContainer(process.label.split(' ')[1] ?? '').kill();
    expect(await process.exited).toEqual({ exitCode: null, signal: 'SIGKILL' });
  });

  test('kill ends one that ignores every signal, its children included', async () => {
    await using under = await startRunner({ shareFiles });
    const process = await under.start(images.stubborn);
    await once(process.stdout, 'data');
    process.terminate();
    await sleep(500);
    expect(await under.containers()).toHaveLength(1);
    process.kill();
    process.kill();
    expect(await process.exited).toEqual({ exitCode: null, signal: 'SIGKILL' });
    expect(await under.containers()).toEqual([]);
  });

  test('a start that is given up leaves nothing', async () => {
    await using under = await startRunner({ shareFiles });
    const controller = new AbortController();
    const started = under.start(images.deaf, {}, controller.signal);
    setTimeout(() => controller.abort(new Error('given up')), 150);
    await expect(started).rejects.toThrow('given up');
  });

  test('close ends everything that runs', async () => {
    const under = await startRunner({ shareFiles });
    const processes = await Promise.all([under.start(images.stubborn), under.start(images.deaf)]);
    await under[Symbol.asyncDispose]();
    for (const process of processes) expect(await process.exited).toMatchObject({ signal: 'SIGKILL' });
  });
});

describe.skipIf(engine === undefined)('an image', () => {
  test('without a shell runs over attach, unchanged', async () => {
    if (engine === undefined) return;
    // Only the loader, the libraries and cat: nothing that could open a pipe.
    const dockerfile = [
      'FROM bulkhead-base/shell:local AS whole',
      'FROM scratch',
      'COPY --from=whole /usr/lib /lib',
      'COPY --from=whole /usr/lib64 /lib64',
      'COPY --from=whole /usr/bin/cat /cat',
      'ENTRYPOINT ["/cat"]',
    ].join('\n');
    const image = await buildImage(engine, 'bulkhead-test/no-shell:local', dockerfile);
    await using under = await startRunner();
    const process = await under.start(image);
    process.stdin.end('hello');
    expect(await textOf(process.stdout)).toBe('hello');
    expect(await process.exited).toEqual({ exitCode: 0, signal: null });
  });

  test('that is not there is named, with its connector and the repair', async () => {
    await using under = await startRunner();
    await expect(under.start('bulkhead-test/nowhere:local')).rejects.toMatchObject({
      code: 'image_unavailable',
      message: expect.stringMatching(/bulkhead-test\/nowhere:local of connector demo is not there.*Pull or build it/s),
    });
  });

  test('whose program does not exist fails by name and leaves nothing', async () => {
    if (engine === undefined) return;
    const image = await buildImage(
      engine,
      'bulkhead-test/no-program:local',
      'FROM bulkhead-base/shell:local\nENTRYPOINT ["/no/such/program"]\n',
    );
    await using under = await startRunner();
    const process = await under.start(image);
    const stderr = textOf(process.stderr);
    expect(await process.exited).toEqual({ exitCode: 127, signal: null });
    expect(await stderr).toContain('/no/such/program');
  });
});

/** What this process holds, buffers outside the heap included. */
function memoryBytes(): number {
  return process.memoryUsage.rss();
}
