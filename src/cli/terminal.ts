import { styleText } from 'node:util';
import type { CliIo, TerminalStream } from './io.ts';

type Style = Parameters<typeof styleText>[0];

/** Prints for people on a terminal and for programs elsewhere: colours only on a terminal that wants them (no-color.org). */
export interface Terminal {
  readonly style: (style: Style, text: string) => string;
  line(text?: string): void;
  json(value: unknown): void;
  table(rows: readonly (readonly string[])[]): void;
}

export function createTerminal(io: CliIo, stream: TerminalStream = io.stdout): Terminal {
  const colours = wantsColours(io, stream);
  const line = (text = ''): void => void stream.write(`${text}\n`);
  return {
    style: (style, text) => (colours ? styleText(style, text, { validateStream: false }) : text),
    line,
    json: (value) => line(JSON.stringify(value, null, 2)),
    table: (rows) => {
      for (const row of alignColumns(rows)) line(row);
    },
  };
}

function wantsColours({ environment }: CliIo, stream: TerminalStream): boolean {
  if (environment['NO_COLOR']) return false;
  if (environment['FORCE_COLOR'] !== undefined && environment['FORCE_COLOR'] !== '0') return true;
  return stream.isTTY === true && environment['TERM'] !== 'dumb';
}

/** Left-aligned columns, two spaces apart; styled cells count as wide as they look. */
export function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, visibleLength(cell));
  }
  return rows.map((row) =>
    row
      .map((cell, index) => cell + ' '.repeat((widths[index] ?? 0) - visibleLength(cell)))
      .join('  ')
      .trimEnd(),
  );
}

function visibleLength(text: string): number {
  return [...text.replaceAll(ansiSequences, '')].length;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with the control character ESC.
const ansiSequences = /\u001b\[[0-9;]*m/g;
