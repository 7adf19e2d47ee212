/**
 * Counts of invocations, kept here and handed to prom-client when somebody asks: to count there hashes labels for every value, which took
 * 3 of the 22 µs of user time that a call takes.
 */

/** Codes of a connector’s own that one command is counted under; further ones count as `other`, so that no connector can grow the list. */
export const codesMax = 64;

export class CodeCounts {
  readonly #byCode = new Map<string, { count: number }>();

  add(code: string): void {
    const known = this.#byCode.get(code);
    if (known !== undefined) known.count += 1;
    else if (this.#byCode.size >= codesMax && code !== 'other') this.add('other');
    else this.#byCode.set(code, { count: 1 });
  }

  all(): readonly (readonly [code: string, count: number])[] {
    return [...this.#byCode].map(([code, { count }]) => [code, count] as const);
  }
}

/** Upper bounds in seconds. */
const durationBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40] as const;

/** One value of a metric in Prometheus’ text format, as prom-client writes it. */
export interface MetricValue {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** A histogram of durations with one set of labels. */
export class DurationCounts {
  /** By bound; the last is of what is above all. */
  readonly #counts: number[] = [...durationBounds, 0].fill(0);
  #sum = 0;

  /** Milliseconds. */
  observe(ms: number): void {
    const seconds = ms / 1000;
    let at = 0;
    while (at < durationBounds.length && seconds > (durationBounds[at] as number)) at += 1;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#sum += seconds;
  }

  /** None while nothing was observed. */
  values(name: string, labels: Readonly<Record<string, string>>): readonly MetricValue[] {
    let count = 0;
    const buckets = this.#counts.map((more, at) => {
      count += more;
      return { metricName: `${name}_bucket`, labels: { le: durationBounds[at] ?? '+Inf', ...labels }, value: count };
    });
    if (count === 0) return [];
    return [...buckets, { metricName: `${name}_sum`, labels, value: this.#sum }, { metricName: `${name}_count`, labels, value: count }];
  }
}
