/** One thing wrong in a file that somebody wrote: where, what, and what to write instead. Never holds the value that was found. */
export interface Fault {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** Where in the document, e.g. `commands[0].name`; empty for the document itself. */
  readonly path: string;
  /** What is wrong, e.g. `is not a size`. */
  readonly message: string;
  readonly repair: string;
}

export type FaultPath = readonly (string | number)[];

/** Finds a place of a document. */
export interface Source {
  readonly file: string;
  /** Position of the node at the path, or of its nearest ancestor that exists; `key` asks for the key's own position. */
  locate(path: FaultPath, key?: boolean): { readonly line: number; readonly column: number };
}

export interface FaultAt {
  readonly path: FaultPath;
  readonly message: string;
  readonly repair: string;
  /** The fault is the key itself, not its value. */
  readonly key?: boolean;
}

export function faultIn(source: Source, { path, message, repair, key }: FaultAt): Fault {
  return { file: source.file, ...source.locate(path, key), path: pathText(path), message, repair };
}

/** `file:line:column: path: message; repair`, as editors and terminals link it. */
export function faultText({ file, line, column, path, message, repair }: Fault): string {
  return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}; ${repair}`;
}

function pathText(path: FaultPath): string {
  return path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : `${text}${text === '' ? '' : '.'}${stepText(step)}`),
    '',
  );
}

/** A key out of a file may hold anything; it is shown short and without control characters. */
function stepText(step: string): string {
  return /^[\w$@/*:-]{1,128}$/.test(step) ? step : JSON.stringify(step.slice(0, 64));
}
