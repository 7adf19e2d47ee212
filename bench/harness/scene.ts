import type { Contender } from './compare.ts';
import type { LoadGenerator } from './load.ts';
import { cpuMs, rssMb } from './process-stats.ts';
import type { Results } from './results.ts';
import type { World } from './world.ts';

/** What every section is given. */
export interface Scene {
  readonly world: World;
  readonly load: LoadGenerator;
  readonly results: Results;
  /** Of what a goal names. */
  readonly rounds: number;
  /** The same where a turn takes several seconds. */
  readonly longRounds: number;
  /** Of what no goal names. */
  readonly fewRounds: number;
  /** Of one turn. */
  readonly seconds: number;
  /** Only to see that everything runs; figures mean nothing. */
  readonly isQuick: boolean;
  /** A line about what was left out, and why; shown in the report. */
  note(text: string): void;
}

export interface Target {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
}

export function target(name: string, { url, pid }: Pick<Target, 'url' | 'pid'>, path: string): Target {
  return { name, url: url + path, pid };
}

export interface Aim {
  readonly body: string;
  readonly connections: number;
  readonly seconds?: number;
  readonly session?: string;
  readonly connectsAnew?: boolean;
}

/** A server under load as a contender: rate, latency, CPU of the process that listens, and its memory. */
export function underLoad({ load, seconds }: Scene, { name, url, pid }: Target, aim: Aim): Contender {
  return {
    name,
    async measure() {
      const cpuBeforeMs = cpuMs(pid);
      const { requests, perSecond, p50Us, p99Us } = await load({ url, seconds, ...aim });
      return { perSecond, p50Us, p99Us, cpuUs: ((cpuMs(pid) - cpuBeforeMs) * 1000) / requests, rssMb: rssMb(pid) };
    },
  };
}

export interface ConnectorYaml {
  readonly name: string;
  readonly folder: string;
  readonly workers: string;
  readonly more?: string;
}

export function connectorYaml({ name, folder, workers, more = '' }: ConnectorYaml): string {
  return `${name}:\n  path: ${folder}\n  workers: { ${workers} }\n${more}`;
}

/**
 * The load generator leaves in the middle of its last calls; a worker that is busy with large ones is given the time to end them, or it
 * would be killed amid the next measurement.
 */
export const patient = '  limits: { invocation: 22s, cancelGrace: 20s }\n';

/** One worker that is given everything at once: what the proxy costs shows best when the child is never waited for. */
export const oneWorker = 'min: 1, max: 1, concurrency: 256, queue: 1024, maxInvocations: 1000000000';

export const smallInput = { arg1: 'a'.repeat(36), arg2: 'b'.repeat(36) };

export function smallBody(world: World): string {
  return world.body('small', JSON.stringify(smallInput));
}
