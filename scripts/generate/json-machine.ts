import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import type { GeneratedBytes } from './generated-file.ts';

const source = 'src/lib/json-machine.as.ts';

/** The scanner of JSON as WebAssembly: without a runtime, which it needs as little as an allocation. */
export async function jsonMachine(): Promise<GeneratedBytes> {
  const folder = await mkdtemp(join(tmpdir(), 'bulkhead-machine-'));
  try {
    const output = join(folder, 'machine.wasm');
    const options = ['-O3', '--converge', '--noAssert', '--runtime', 'stub', '--enable', 'simd', '--initialMemory', `${memoryPages}`];
    // The compiler’s types would declare an AssemblyScript of globals over those of Node, so it is run, not imported.
    await execa('asc', [source, '--outFile', output, ...options], { preferLocal: true, cwd: join(import.meta.dirname, '../..') });
    return { path: 'src/lib/json-machine.wasm', content: await readFile(output) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Of 64 KiB, for all that json-machine.as.ts lays out. Those that are never touched cost nothing. */
const memoryPages = 32;
