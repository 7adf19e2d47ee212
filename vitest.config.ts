import { defineConfig } from 'vitest/config';

const project = (name: string, timeoutMs: number, fileParallelism = true) => ({
  test: {
    name,
    include: name === 'unit' ? ['test/unit/**/*.test.ts', 'connector-images/**/*.test.ts'] : [`test/${name}/**/*.test.ts`],
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
    fileParallelism,
    retry: 0,
  },
});

export default defineConfig({
  test: {
    projects: [
      project('unit', 20_000),
      project('integration', 60_000),
      // Attacks measure the machine (memory, processes, descriptors): one file at a time.
      project('isolation', 120_000, false),
      project('spiff', 60_000),
    ],
    reporters: ['default', './test/helpers/closing-line.ts'],
    coverage: { provider: 'v8', include: ['src/**'] },
  },
});
