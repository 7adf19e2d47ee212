import { defineConfig } from 'vitest/config';

interface Project {
  readonly name: string;
  readonly include: readonly string[];
  readonly timeoutMs: number;
  /** Projects of one group run side by side; groups one after the other. */
  readonly group: number;
  readonly fileParallelism?: boolean;
}

const project = ({ name, include, timeoutMs, group, fileParallelism = true }: Project) => ({
  test: {
    name,
    include: [...include],
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
    fileParallelism,
    sequence: { groupOrder: group },
    retry: 0,
  },
});

export default defineConfig({
  test: {
    projects: [
      project({ name: 'unit', include: ['test/unit/**/*.test.ts', 'connector-images/**/*.test.ts'], timeoutMs: 20_000, group: 0 }),
      project({ name: 'spiff', include: ['test/spiff/**/*.test.ts'], timeoutMs: 60_000, group: 1 }),
      project({ name: 'integration', include: ['test/integration/**/*.test.ts'], timeoutMs: 60_000, group: 2 }),
      // Attacks measure the machine (memory, processes, descriptors): one file at a time, and nothing beside them.
      project({ name: 'isolation', include: ['test/isolation/**/*.test.ts'], timeoutMs: 120_000, group: 3, fileParallelism: false }),
    ],
    reporters: ['default', './test/helpers/closing-line.ts'],
    coverage: { provider: 'v8', include: ['src/**'] },
  },
});
