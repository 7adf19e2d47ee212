/** Durations and sizes as people write them in config: a number and its unit, e.g. `40s`, `500ms`, `256MiB`, `64kB`. */

const durationUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const sizeUnits = {
  B: 1,
  kB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  TB: 1000 ** 4,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
} as const;

export const durationPattern = /^(\d+(?:\.\d{1,3})?)(ms|s|m|h|d)$/;
export const sizePattern = /^(\d+(?:\.\d{1,3})?)(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$/;

/** Milliseconds, whole; undefined for what is no duration. */
export function parseDuration(text: string): number | undefined {
  const [, amount, unit] = durationPattern.exec(text) ?? [];
  return amount === undefined ? undefined : whole(Number(amount) * durationUnits[unit as keyof typeof durationUnits]);
}

/** Bytes, whole; undefined for what is no size. */
export function parseSize(text: string): number | undefined {
  const [, amount, unit] = sizePattern.exec(text) ?? [];
  return amount === undefined ? undefined : whole(Number(amount) * sizeUnits[unit as keyof typeof sizeUnits]);
}

/** The shortest exact form: 90000 is `90s`, 60000 is `1m`. */
export function formatDuration(durationMs: number): string {
  return format(durationMs, Object.entries(durationUnits));
}

/** The shortest exact form, in binary units where they divide: 262144 is `256KiB`, 64000 is `64kB`. */
export function formatSize(bytes: number): string {
  return format(bytes, Object.entries(sizeUnits));
}

function whole(value: number): number | undefined {
  const rounded = Math.round(value);
  return Number.isSafeInteger(rounded) ? rounded : undefined;
}

function format(value: number, units: readonly (readonly [string, number])[]): string {
  const fitting = units.filter(([, factor]) => value % factor === 0).map(([name, factor]) => `${value / factor}${name}`);
  const shortest = fitting.toSorted((a, b) => a.length - b.length || (a < b ? 1 : -1)).at(0);
  return value === 0 || shortest === undefined ? `${value}${units[0]?.[0] ?? ''}` : shortest;
}
