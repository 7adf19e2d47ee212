/** What one contender showed in one round. */
export type Metrics = Readonly<Record<string, number>>;

export interface Point {
  /** What is varied, e.g. `small calls`. */
  readonly series: string;
  /** Where on it, e.g. `16 connections`. */
  readonly point: string;
}

export interface Row extends Point {
  readonly contender: string;
  readonly rounds: readonly Metrics[];
}

/** All measurements of one run. */
export class Results {
  readonly #rows: { readonly series: string; readonly point: string; readonly contender: string; readonly rounds: Metrics[] }[] = [];

  get rows(): readonly Row[] {
    return this.#rows;
  }

  add({ series, point }: Point, contender: string, metrics: Metrics): void {
    const row = this.#rows.find((known) => known.series === series && known.point === point && known.contender === contender);
    if (row === undefined) this.#rows.push({ series, point, contender, rounds: [metrics] });
    else row.rounds.push(metrics);
  }

  has(at: Point, contender: string): boolean {
    return this.#find(at, contender) !== undefined;
  }

  median(at: Point, contender: string, metric: string): number {
    return median(this.#values(at, contender, metric));
  }

  /** The median of the rounds’ own ratios: what disturbs the machine for a while disturbs both sides of one round. */
  ratio(at: Point, [one, other]: readonly [string, string], metric: string): number {
    const others = this.#values(at, other, metric);
    return median(this.#values(at, one, metric).map((value, round) => value / (others[round] ?? Number.NaN)));
  }

  #values(at: Point, contender: string, metric: string): readonly number[] {
    return (this.#find(at, contender)?.rounds ?? []).map((metrics) => metrics[metric] ?? Number.NaN);
  }

  #find({ series, point }: Point, contender: string): Row | undefined {
    return this.#rows.find((row) => row.series === series && row.point === point && row.contender === contender);
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).toSorted((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
