import { setTimeout as sleep } from 'node:timers/promises';
import type { Metrics, Point, Results } from './results.ts';

export interface Contender {
  readonly name: string;
  measure(): Promise<Metrics>;
}

export interface CompareOptions {
  readonly results: Results;
  readonly at: Point;
  readonly contenders: readonly Contender[];
  readonly rounds: number;
  /** Turns of each before the first round, which do not count. Default 1. */
  readonly warmUps?: number;
  /** After each turn, so that the work which its callers left behind does not fall into the next one's. Default 0. */
  readonly settleMs?: number;
}

/** A B C, C B A, A B C, …: whoever else uses the machine, or its clock that slows down when warm, meets all contenders alike. */
export async function compare({ results, at, contenders, rounds, warmUps = 1, settleMs = 0 }: CompareOptions): Promise<void> {
  const turn = async ({ measure }: Contender): Promise<Metrics> => {
    const metrics = await measure();
    await sleep(settleMs);
    return metrics;
  };
  for (let count = 0; count < warmUps; count++) for (const contender of contenders) await turn(contender);
  for (let round = 0; round < rounds; round++) {
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) results.add(at, contender.name, await turn(contender));
  }
}
