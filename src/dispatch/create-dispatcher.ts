import { availableParallelism } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import type { Connector } from '../catalog/connector.ts';
import { ProxyError } from '../errors.ts';
import { Deadlines } from '../lib/deadlines.ts';
import type { Logger } from '../log.ts';
import type { ConnectorName } from '../manifest/names.ts';
import type { Runner } from '../runner/runner.ts';
import type { SandboxPolicy } from '../sandbox/policy.ts';
import { OneshotWorker } from '../worker/oneshot-worker.ts';
import { startPersistentWorker } from '../worker/start-worker.ts';
import type { SecretBundle, Worker, WorkerChanged, WorkerOptions } from '../worker/worker.ts';
import type { Dispatcher, PoolStatus } from './dispatcher.ts';
import { failed } from './failed.ts';
import { Pool, type PoolEvents } from './pool.ts';
import { poolPlan } from './pool-plan.ts';
import { StartGate } from './start-gate.ts';
import { type AvailableConnector, sourceOf, workerLimits } from './worker-options.ts';

export interface DispatcherOptions {
  /** These three are asked right before each start; what they throw is the start's failure. */
  readonly runnerFor: (connector: AvailableConnector) => Runner;
  readonly policyFor: (connector: AvailableConnector) => SandboxPolicy;
  readonly secretsFor: (connector: AvailableConnector, signal: AbortSignal) => Promise<SecretBundle>;
  readonly logger: Logger;
  /** Told to connectors in `initialize`. */
  readonly proxyVersion: string;
  readonly events?: PoolEvents;
}

interface Slot {
  readonly connector: Connector;
  /** Only of an available connector. */
  readonly pool: Pool | undefined;
}

/** One pool a connector. `apply` must be called before anything can be invoked. */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { logger, events = {} } = options;
  const deadlines = new Deadlines();
  const cores = availableParallelism();
  const gate = new StartGate(cores);
  const slots = new Map<ConnectorName, Slot>();
  /** Pools of connectors that were changed or removed, until their last process is gone. */
  const draining = new Map<Pool, ConnectorName>();
  let isClosed = false;

  const openPool = (connector: AvailableConnector): Pool => {
    const { name, config, manifest } = connector;
    const start = (signal: AbortSignal, changed: WorkerChanged) => startWorker(connector, { ...options, deadlines, signal, changed });
    const plan = poolPlan(config.workers, manifest.protocol);
    return new Pool({ connector: name, plan, start, gate, deadlines, logger, events, startsMax: Math.max(startsMin, 2 * cores) });
  };

  const retire = ({ connector, pool }: Slot): void => {
    if (pool === undefined) return;
    const { invocationTimeoutMs, cancelGraceMs } = connector.config.limits;
    draining.set(pool, connector.name);
    const deadline = Date.now() + invocationTimeoutMs + cancelGraceMs;
    void pool.close(deadline, 'was changed or removed in the config').finally(() => draining.delete(pool));
  };

  return {
    invoke(invocation) {
      const slot = slots.get(invocation.connector);
      if (slot?.pool !== undefined) return slot.pool.invoke(invocation);
      return Promise.resolve(failed(absenceError(invocation.connector, slot?.connector)));
    },

    status() {
      const status = new Map<ConnectorName, PoolStatus>();
      for (const [name, { pool }] of slots) if (pool !== undefined) status.set(name, pool.status());
      for (const [pool, name] of draining) status.set(name, withDraining(status.get(name) ?? nothing, pool.status()));
      return status;
    },

    apply(connectors) {
      if (isClosed) return;
      const names = new Set(connectors.map(({ name }) => name));
      for (const [name, slot] of slots) {
        if (names.has(name)) continue;
        slots.delete(name);
        retire(slot);
      }
      for (const connector of connectors) {
        const old = slots.get(connector.name);
        if (old !== undefined && isDeepStrictEqual(old.connector, connector)) continue;
        slots.set(connector.name, { connector, pool: connector.state === 'available' ? openPool(connector) : undefined });
        if (old !== undefined) retire(old);
      }
    },

    async close(deadline) {
      isClosed = true;
      const pools = [...slots.values()].flatMap(({ pool }) => pool ?? []);
      await Promise.all([...pools, ...draining.keys()].map((pool) => pool.close(deadline, 'is stopped with the proxy')));
      deadlines[Symbol.dispose]();
    },
  };
}

const nothing: PoolStatus = { workers: { starting: 0, ready: 0, busy: 0, closing: 0 }, queueLength: 0, running: 0, restarts: 0 };

/** A pool that drains ends what it has: its workers count as closing, whatever they do just now; its restarts are told no more. */
function withDraining(status: PoolStatus, { workers, queueLength, running }: PoolStatus): PoolStatus {
  const closing = status.workers.closing + workers.starting + workers.ready + workers.busy + workers.closing;
  return {
    ...status,
    workers: { ...status.workers, closing },
    queueLength: status.queueLength + queueLength,
    running: status.running + running,
  };
}

/** Workers of one pool that may be starting at once, on a machine with few cores. */
const startsMin = 4;

interface StartOptions extends DispatcherOptions {
  readonly deadlines: Deadlines;
  readonly signal: AbortSignal;
  readonly changed: WorkerChanged;
}

async function startWorker(connector: AvailableConnector, options: StartOptions): Promise<Worker> {
  const { name, config, manifest } = connector;
  const workerOptions: WorkerOptions = {
    connector: name,
    commands: manifest.commands.map((command) => command.name),
    runner: options.runnerFor(connector),
    policy: options.policyFor(connector),
    source: sourceOf(connector),
    settings: config.settings,
    secrets: (abort) => options.secretsFor(connector, abort),
    limits: workerLimits(config),
    proxyVersion: options.proxyVersion,
    deadlines: options.deadlines,
    logger: options.logger,
    changed: options.changed,
  };
  return manifest.protocol === 'oneshot' ? new OneshotWorker(workerOptions) : await startPersistentWorker(workerOptions, options.signal);
}

function absenceError(name: ConnectorName, connector: Connector | undefined): ProxyError {
  if (connector?.state === 'unavailable') return connector.reason;
  return new ProxyError('command_not_found', `There is no connector ${name}; GET /v1/connectors lists those that there are.`);
}
