import type { Metric, Registry } from 'prom-client';
import type { Dispatcher } from '../dispatch/dispatcher.ts';
import { once } from '../lib/once.ts';
import type { Phases } from '../worker/invocation.ts';
import { CodeCounts, DurationCounts } from './counts.ts';

/** Counts of one command, made once and kept by whoever knows the command, so that an invocation pays for no lookup of labels. */
export interface CommandMetrics {
  /** `code` is `ok`, `accepted`, or an error code. */
  observe(code: string, phases: Phases | undefined): void;
}

export interface Metrics {
  command(connector: string, command: string): CommandMetrics;
  /** A request that named no command, or was refused before one was known. */
  refused(code: string): void;
  /** In the Prometheus text format. */
  page(): Promise<MetricsPage>;
  /** Loads what a page takes, so that it does not hold up the calls beside the first one. */
  prepare(): Promise<void>;
}

export interface MetricsPage {
  readonly contentType: string;
  readonly text: string;
}

export interface MetricsOptions {
  readonly status: Dispatcher['status'];
  readonly version: string;
}

export function createMetrics({ status, version }: MetricsOptions): Metrics {
  const commands = new Map<string, CommandCounts>();
  const durations = new Map<string, PhaseCounts>();
  const refusals = new CodeCounts();
  // Ninety files, which nobody needs who waits for the start.
  const registry = once(async () => {
    const prom = await import('prom-client');
    const made = new prom.Registry();
    registerInvocations(prom, made, commands);
    registerDurations(made, durations);
    registerRefusals(prom, made, refusals);
    new prom.Gauge({ name: 'bulkhead_info', help: 'Version of Bulkhead.', labelNames: ['version'], registers: [made] }).set({ version }, 1);
    registerPoolMetrics(prom, made, status);
    return made;
  });
  return {
    command: (connector, command) => commandMetrics(codesOf(commands, connector, command), phasesOf(durations, connector)),
    refused: (code) => refusals.add(code),
    async page() {
      const made = await registry.get();
      return { contentType: made.contentType, text: await made.metrics() };
    },
    async prepare() {
      await registry.get();
    },
  };
}

type Prom = typeof import('prom-client');

/** For a server that shows no metrics: counting would be work for nobody. */
export const noMetrics: Metrics = {
  command: () => ({ observe() {} }),
  refused() {},
  page: () => Promise.resolve({ contentType: 'text/plain', text: '' }),
  prepare: () => Promise.resolve(),
};

function commandMetrics(codes: CodeCounts, { queue, start, run }: PhaseCounts): CommandMetrics {
  return {
    observe(code, phases) {
      codes.add(code);
      if (phases === undefined) return;
      queue.observe(phases.queueMs);
      if (phases.startMs > 0) start.observe(phases.startMs);
      run.observe(phases.runMs);
    },
  };
}

interface CommandCounts {
  readonly connector: string;
  readonly command: string;
  readonly codes: CodeCounts;
}

/** The same for the same names: counts outlive a change of the config. */
function codesOf(counts: Map<string, CommandCounts>, connector: string, command: string): CodeCounts {
  const id = `${connector}/${command}`;
  const known = counts.get(id);
  if (known !== undefined) return known.codes;
  const codes = new CodeCounts();
  counts.set(id, { connector, command, codes });
  return codes;
}

function registerInvocations({ Counter }: Prom, registry: Registry, counts: ReadonlyMap<string, CommandCounts>): void {
  new Counter({
    ...{
      name: 'bulkhead_invocations_total',
      help: 'Invocations by how they ended: ok, accepted, or an error code.',
      labelNames: ['connector', 'command', 'code'],
      registers: [registry],
    },
    collect() {
      this.reset();
      for (const { connector, command, codes } of counts.values()) {
        for (const [code, count] of codes.all()) this.inc({ connector, command, code }, count);
      }
    },
  });
}

function registerRefusals({ Counter }: Prom, registry: Registry, counts: CodeCounts): void {
  new Counter({
    ...{
      name: 'bulkhead_requests_refused_total',
      help: 'Requests refused before a command was known, by error code.',
      labelNames: ['code'],
      registers: [registry],
    },
    collect() {
      this.reset();
      for (const [code, count] of counts.all()) this.inc({ code }, count);
    },
  });
}

interface PhaseCounts {
  readonly queue: DurationCounts;
  readonly start: DurationCounts;
  readonly run: DurationCounts;
}

const durationName = 'bulkhead_invocation_duration_seconds';

function phasesOf(counts: Map<string, PhaseCounts>, connector: string): PhaseCounts {
  const known = counts.get(connector);
  if (known !== undefined) return known;
  const phases = { queue: new DurationCounts(), start: new DurationCounts(), run: new DurationCounts() };
  counts.set(connector, phases);
  return phases;
}

function registerDurations(registry: Registry, counts: ReadonlyMap<string, PhaseCounts>): void {
  const get = () => ({
    name: durationName,
    help: 'Duration of invocations by phase: waiting for a worker (queue), of that starting one (start), and running (run).',
    type: 'histogram',
    aggregator: 'sum',
    values: [...counts].flatMap(([connector, phases]) =>
      Object.entries(phases).flatMap(([phase, durations]: [string, DurationCounts]) =>
        durations.values(durationName, { connector, phase }),
      ),
    ),
  });
  // All that a registry asks of a metric.
  registry.registerMetric({ name: durationName, get: () => Promise.resolve(get()), reset() {} } as unknown as Metric);
}

/** Read from the pools when somebody asks, so that they cost nothing else. */
function registerPoolMetrics({ Counter, Gauge }: Prom, registry: Registry, status: Dispatcher['status']): void {
  const registers = [registry];
  const gauge = (name: string, help: string, read: (pool: PoolStatus) => number): void => {
    new Gauge({
      ...{ name, help, registers, labelNames: ['connector'] },
      collect() {
        this.reset();
        for (const [connector, pool] of status()) this.set({ connector }, read(pool));
      },
    });
  };
  gauge('bulkhead_queue_depth', 'Invocations that wait for a worker.', (pool) => pool.queueLength);
  gauge('bulkhead_invocations_running', 'Invocations that run.', (pool) => pool.running);
  new Counter({
    ...{
      name: 'bulkhead_worker_restarts_total',
      help: 'Workers started in place of ones that died.',
      registers,
      labelNames: ['connector'],
    },
    collect() {
      this.reset();
      for (const [connector, { restarts }] of status()) this.inc({ connector }, restarts);
    },
  });
  new Gauge({
    ...{ name: 'bulkhead_workers', help: 'Workers by state.', registers, labelNames: ['connector', 'state'] },
    collect() {
      this.reset();
      for (const [connector, { workers }] of status()) {
        for (const [state, count] of Object.entries(workers)) this.set({ connector, state }, count);
      }
    },
  });
}

type PoolStatus = ReturnType<Dispatcher['status']> extends ReadonlyMap<string, infer Status> ? Status : never;
