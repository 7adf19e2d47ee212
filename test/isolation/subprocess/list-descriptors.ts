/** A proxy that was born with open descriptors: tells which it found, and what two connectors see of them: one that it spawned itself, one that its spawner did. */
import { findInheritedDescriptors } from '../../../src/runner/inherited-descriptors.ts';
import { createSubprocessRunner } from '../../../src/runner/subprocess.ts';
import { startHostile } from './hostile-folder.ts';
import { spawnersOf, waitForSpares } from './waiting-bwraps.ts';

const [, , folder = ''] = process.argv;
const inherited = findInheritedDescriptors();
const runner = createSubprocessRunner();
const first = await startHostile({ runner, folder });
await waitForSpares();
const second = await startHostile({ runner, folder });
const seen = [...(await first.attack('descriptors')), ...(await second.attack('descriptors'))];
const hasSpawner = spawnersOf().length > 0;
await runner.close();
process.stdout.write(JSON.stringify({ inherited, seen, hasSpawner }));
