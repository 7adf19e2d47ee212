import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunnerUnderTest, requireEngine, startRunner } from '../../helpers/docker-runner.ts';
import { type Hostile, hostileIn } from '../attacks.ts';
import { type RuleScene, ruleAttacks, setRuleScene } from '../rule-attacks.ts';
import { hostileImage, ownToContainers } from './hostile-image.ts';

const engine = await requireEngine(['shell', 'python']);
const secret = 'the-proxy-knows-this';

describe.skipIf(engine === undefined).each([
  { how: 'a socket in a shared folder', shareFiles: true },
  { how: 'the sidecar’s own attach stream', shareFiles: false },
])('a hostile image with rules, over $how', ({ shareFiles }) => {
  let scene: RuleScene;
  let under: RunnerUnderTest | undefined;
  let hostile: Hostile;
  let descriptorsBefore = 0;
  const notices: RunnerUnderTest['notices'] = [];

  beforeAll(async () => {
    if (engine === undefined) return;
    const image = await hostileImage(engine, 'python');
    process.env['BULKHEAD_TEST_SECRET'] = secret;
    scene = await setRuleScene([secret]);
    descriptorsBefore = readdirSync('/proc/self/fd').length;
    under = await startRunner({ shareFiles, gateway: scene.gateway, notices });
    hostile = hostileIn(await under.start(image, scene.policy));
  }, 180_000);

  afterAll(async () => {
    await under?.[Symbol.asyncDispose]();
    await scene?.[Symbol.asyncDispose]();
  });

  ruleAttacks({
    ...{ scene: () => scene, hostile: () => hostile, notices },
    ...{ tag: shareFiles ? 'socket' : 'attach', isRouted: true, own: ownToContainers },
  });

  it('leaves no container, listener or connection behind when it ends', async () => {
    await under?.[Symbol.asyncDispose]();
    under = undefined;
    await expect.poll(() => readdirSync('/proc/self/fd').length, { timeout: 10_000 }).toBeLessThanOrEqual(descriptorsBefore + 2);
  });
});
