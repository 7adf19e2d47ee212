/** A proxy that was born with open descriptors: tells which it found, and what its connector sees of them. */
import { findInheritedDescriptors } from '../../../src/runner/inherited-descriptors.ts';
import { createSubprocessRunner } from '../../../src/runner/subprocess.ts';
import { startHostile } from './hostile-folder.ts';

const [, , folder = ''] = process.argv;
const inherited = findInheritedDescriptors();
const runner = createSubprocessRunner();
const hostile = await startHostile({ runner, folder });
const seen = await hostile.attack('descriptors');
await runner.close();
process.stdout.write(JSON.stringify({ inherited, seen }));
