import { cpus, release, totalmem } from 'node:os';
import { type Goal, verdict } from './goals.ts';
import { median, type Results, type Row } from './harness/results.ts';

export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  readonly text: string;
}

export function machineOf({ load, staticChild }: { readonly load: string; readonly staticChild: string }): Machine {
  const date = new Date().toISOString().slice(0, 10);
  const all = cpus();
  const cpu = all[0]?.model.trim() ?? 'unknown';
  const memoryGb = Math.round(totalmem() / 2 ** 30);
  const machine = { date, cpu, cores: all.length, memoryGb, kernel: release(), node: process.version };
  const text = `${date}, ${all.length} cores of ${cpu}, ${memoryGb} GB, Linux ${machine.kernel}, Node ${process.version}; load by ${load}; static child: ${staticChild}`;
  return { ...machine, text };
}

/** One table a point: medians, and the first contender is what the others are told relative to. */
export function tablesOf({ rows }: Results): readonly string[] {
  const points = Map.groupBy(rows, ({ series, point }) => `${series}: ${point}`);
  return [...points].flatMap(([title, all]) => ['', title, ...linesOf(all)]);
}

function linesOf(rows: readonly Row[]): readonly string[] {
  const metrics = [...new Set(rows.flatMap(({ rounds }) => Object.keys(rounds[0] ?? {})))];
  const [first] = metrics as [string];
  const base = metricOf(rows[0] as Row, first);
  const header = ['', ...metrics, `${first} ×`];
  const cells = rows.map((row) => [
    row.contender,
    ...metrics.map((metric) => show(metricOf(row, metric))),
    (metricOf(row, first) / base).toPrecision(3),
  ]);
  return aligned([header, ...cells]);
}

function metricOf({ rounds }: Row, metric: string): number {
  return median(rounds.map((metrics) => metrics[metric] ?? Number.NaN));
}

function show(value: number): string {
  if (Number.isNaN(value)) return '-';
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3);
}

export function goalTable(goals: readonly Goal[]): readonly string[] {
  const cells = goals.map((goal) => {
    const sign = goal.sense === 'at least' ? '≥' : '≤';
    const reached = goal.limit === undefined ? '' : `${show(goal.limit)} ${goal.unit}`;
    return [
      goal.name,
      goal.what,
      `${show(goal.measured)} ${goal.unit}`,
      `${sign} ${show(goal.bound)} ${goal.unit}`,
      reached,
      verdict(goal),
    ];
  });
  return aligned([['goal', 'what', 'measured', 'bound', 'limit', ''], ...cells]);
}

function aligned(lines: readonly (readonly string[])[]): readonly string[] {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => [...(line[column] ?? '')].length)));
  const isText = (column: number) => column === 0 || (lines[1]?.[column] ?? '').includes(' ');
  return lines.map((line) =>
    line
      .map((cell, column) => (isText(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
