import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';

interface Project {
  readonly name: string;
  readonly include: readonly string[];
  readonly exclude?: readonly string[];
  readonly timeoutMs: number;
  /** Projects of one group run side by side; groups one after the other. */
  readonly group: number;
  readonly fileParallelism?: boolean;
}

const project = ({ name, include, exclude = [], timeoutMs, group, fileParallelism = true }: Project) => ({
  test: {
    name,
    include: [...include],
    exclude: [...configDefaults.exclude, ...exclude],
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
    fileParallelism,
    sequence: { groupOrder: group },
    retry: 0,
  },
});

const engineTests = ['docker', 'examples', 'spiff-python'].map((folder) => `test/isolation/${folder}/**/*.test.ts`);
/** What connectors reach, and not how much they take. */
const egressTests = ['test/isolation/egress/**/*.test.ts'];

export default defineConfig({
  test: {
    // Vitest leaves one core free, and so would run one file after the other on two, most of which wait for processes and containers.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      project({ name: 'unit', include: ['test/unit/**/*.test.ts', 'connector-images/**/*.test.ts'], timeoutMs: 20_000, group: 0 }),
      project({ name: 'spiff', include: ['test/spiff/**/*.test.ts'], timeoutMs: 60_000, group: 0 }),
      project({ name: 'integration', include: ['test/integration/**/*.test.ts'], timeoutMs: 60_000, group: 0 }),
      project({ name: 'egress', include: egressTests, timeoutMs: 120_000, group: 0 }),
      // Mostly waits for a container engine, which counts for each container apart.
      project({ name: 'engine', include: engineTests, timeoutMs: 120_000, group: 1 }),
      // Attacks measure the machine (memory, processes, descriptors): one file at a time, and nothing beside them.
      project({
        ...{ name: 'isolation', include: ['test/isolation/**/*.test.ts'], exclude: [...engineTests, ...egressTests] },
        ...{ timeoutMs: 120_000, group: 2, fileParallelism: false },
      }),
    ],
    reporters: ['default', './test/helpers/closing-line.ts'],
    coverage: { provider: 'v8', include: ['src/**'] },
  },
});
