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
}

/** A B C, C B A, A B C, …: whoever else uses the machine, or its clock that slows down when warm, meets all contenders alike. */
export async function compare({ results, at, contenders, rounds, warmUps = 1 }: CompareOptions): Promise<void> {
  for (let turn = 0; turn < warmUps; turn++) for (const contender of contenders) await contender.measure();
  for (let round = 0; round < rounds; round++) {
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
      results.add(at, contender.name, await contender.measure());
    }
  }
}
