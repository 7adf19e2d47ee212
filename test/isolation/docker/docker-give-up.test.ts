import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { engineWaits } from '../../../src/runner/docker-engine.ts';
import { requireEngine, shellImage, startRunner } from '../../helpers/docker-runner.ts';
import { startSlowEngine } from '../../helpers/slow-engine.ts';

const engine = await requireEngine();

describe.skipIf(engine === undefined)('a start that is given up while the engine makes its container', () => {
  const socketPath = engine?.address.replace('unix://', '') ?? '';
  const imageOf = async () => (engine === undefined ? '' : await shellImage(engine, 'given-up', 'exec cat'));

  test('ends once that is there, and leaves nothing', async () => {
    const image = await imageOf();
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    await using slow = await startSlowEngine(socketPath, held);
    // Over attach, for which no other container is made before.
    await using under = await startRunner({ engine: slow.address, shareFiles: false });
    const controller = new AbortController();
    const started = under.start(image, {}, controller.signal);
    started.catch(() => {});
    await slow.asked;
    controller.abort(new Error('given up'));
    await sleep(300);
    letGo();
    await expect(started).rejects.toThrow('given up');
    await slow.made;
  });

  test('ends without it, when the engine takes too long', async () => {
    const image = await imageOf();
    await using slow = await startSlowEngine(socketPath, new Promise(() => {}));
    await using under = await startRunner({ engine: slow.address, shareFiles: false });
    const controller = new AbortController();
    const started = under.start(image, {}, controller.signal);
    started.catch(() => {});
    await slow.asked;
    const since = performance.now();
    controller.abort(new Error('given up'));
    await expect(started).rejects.toThrow('given up');
    expect(performance.now() - since).toBeGreaterThan(engineWaits.givenUpTimeoutMs - 50);
  });
});
