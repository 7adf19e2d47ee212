import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Dispatcher } from '../dispatch/dispatcher.ts';
import type { Phases } from '../worker/invocation.ts';

/** Counts of one command, made once and kept by whoever knows the command, so that an invocation pays for no lookup of labels. */
export interface CommandMetrics {
  /** `code` is `ok`, `accepted`, or an error code. */
  observe(code: string, phases: Phases | undefined): void;
}

export interface Metrics {
  command(connector: string, command: string): CommandMetrics;
  /** A request that named no command, or was refused before one was known. */
  refused(code: string): void;
  /** The Prometheus text format. */
  text(): Promise<string>;
  readonly contentType: string;
}

export interface MetricsOptions {
  readonly status: Dispatcher['status'];
  readonly version: string;
}

/** Codes of a connector’s own that one command is counted under; further ones count as `other`, so that no connector can grow the list. */
export const codesMax = 64;

const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40];

export function createMetrics({ status, version }: MetricsOptions): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const invocations = new Counter({
    name: 'bulkhead_invocations_total',
    help: 'Invocations by how they ended: ok, accepted, or an error code.',
    labelNames: ['connector', 'command', 'code'],
    registers,
  });
  const durations = new Histogram({
    name: 'bulkhead_invocation_duration_seconds',
    help: 'Duration of invocations by phase: waiting for a worker (queue), of that starting one (start), and running (run).',
    labelNames: ['connector', 'phase'],
    buckets: durationBuckets,
    registers,
  });
  const refusals = new Counter({
    name: 'bulkhead_requests_refused_total',
    help: 'Requests refused before a command was known, by error code.',
    labelNames: ['code'],
    registers,
  });
  new Gauge({ name: 'bulkhead_info', help: 'Version of Bulkhead.', labelNames: ['version'], registers }).set({ version }, 1);
  registerPoolMetrics(registry, status);
  return {
    command: (connector, command) => commandMetrics(invocations, durations, connector, command),
    refused: (code) => refusals.inc({ code }),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

/** For a server that shows no metrics: counting would be work for nobody. */
export const noMetrics: Metrics = {
  command: () => ({ observe() {} }),
  refused() {},
  text: () => Promise.resolve(''),
  contentType: 'text/plain',
};

function commandMetrics(
  invocations: Counter<'connector' | 'command' | 'code'>,
  durations: Histogram<'connector' | 'phase'>,
  connector: string,
  command: string,
): CommandMetrics {
  const byCode = new Map<string, { inc(): void }>();
  const [queue, start, run] = (['queue', 'start', 'run'] as const).map((phase) => durations.labels({ connector, phase }));
  const counterOf = (code: string): { inc(): void } => {
    const known = byCode.get(code);
    if (known !== undefined) return known;
    if (byCode.size >= codesMax && code !== 'other') return counterOf('other');
    const counter = invocations.labels({ connector, command, code });
    byCode.set(code, counter);
    return counter;
  };
  return {
    observe(code, phases) {
      counterOf(code).inc();
      if (phases === undefined) return;
      queue?.observe(phases.queueMs / 1000);
      if (phases.startMs > 0) start?.observe(phases.startMs / 1000);
      run?.observe(phases.runMs / 1000);
    },
  };
}

/** Read from the pools when somebody asks, so that they cost nothing else. */
function registerPoolMetrics(registry: Registry, status: Dispatcher['status']): void {
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
