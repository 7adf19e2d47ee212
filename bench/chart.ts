/** One bar chart a series of throughput, on a logarithmic scale, as SVG without any library. */
import { median, type Results } from './harness/results.ts';

const width = 900;
const barHeight = 16;
const labelWidth = 330;
const valueWidth = 90;

interface Bar {
  readonly label: string;
  readonly value: number;
  readonly color: string;
}

export function chartOf({ rows }: Results): string {
  const points = Map.groupBy(
    rows.filter(({ rounds }) => rounds[0]?.['perSecond'] !== undefined),
    ({ series, point }) => `${series}: ${point} (requests/s)`,
  );
  let top = 10;
  const parts: string[] = [];
  for (const [title, all] of points) {
    const bars = all.map(({ contender, rounds }): Bar => {
      const value = median(rounds.map((metrics) => metrics['perSecond'] ?? Number.NaN));
      return { label: contender, value, color: contender.startsWith('bulkhead') ? '#2563eb' : '#9ca3af' };
    });
    parts.push(
      `<text x="10" y="${top + 14}" font-weight="bold">${escaped(title)}</text>`,
      ...bars.flatMap((bar, index) => barOf(bar, top + 24 + index * (barHeight + 4), bars)),
    );
    top += 44 + bars.length * (barHeight + 4);
  }
  const style = 'font-family="sans-serif" font-size="12"';
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top}" ${style}><rect width="100%" height="100%" fill="white"/>${parts.join('\n')}</svg>\n`;
}

function barOf({ label, value, color }: Bar, y: number, bars: readonly Bar[]): readonly string[] {
  const least = Math.min(...bars.map((bar) => bar.value)) / 2;
  const most = Math.max(...bars.map((bar) => bar.value));
  const length = Math.max(1, (Math.log(value / least) / Math.log(most / least)) * (width - labelWidth - valueWidth));
  const middle = y + barHeight - 4;
  return [
    `<text x="${labelWidth - 8}" y="${middle}" text-anchor="end">${escaped(label)}</text>`,
    `<rect x="${labelWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" fill="${color}"/>`,
    `<text x="${(labelWidth + length + 6).toFixed(1)}" y="${middle}">${value >= 100 ? Math.round(value) : value.toPrecision(2)}</text>`,
  ];
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
