/** Bytes of a response as text, decided as Python's requests decides it for `response.text`. */
export function textOf(bytes: Buffer, contentType: string): string {
  if (bytes.length === 0) return '';
  const charset = charsetOf(contentType) ?? guess(bytes);
  if (/^(?:iso-8859-1|iso8859-1|latin-?1|l1|iso_8859-1)$/i.test(charset)) return bytes.toString('latin1');
  // Python's names for text that a byte order mark may begin; to all others it is a character.
  if (/^u(?:tf)?[-_]?16$/i.test(charset))
    return decode(bytes, startsWith(bytes, 0xfe, 0xff) ? 'utf-16be' : 'utf-16le', 'without-mark') ?? '';
  if (/^utf[-_]8[-_]sig$/i.test(charset)) return decode(bytes, 'utf-8', 'without-mark') ?? '';
  return decode(bytes, charset) ?? decode(bytes, 'utf-8') ?? '';
}

function startsWith(bytes: Buffer, ...mark: readonly number[]): boolean {
  return mark.every((byte, index) => bytes[index] === byte);
}

function charsetOf(contentType: string): string | undefined {
  const [type = '', ...parameters] = contentType.split(';').map((part) => part.trim());
  for (const parameter of parameters) {
    const [, value] = /^charset\s*=\s*["']?([^"']*)["']?$/i.exec(parameter) ?? [];
    if (value !== undefined) return value.trim();
  }
  if (type.toLowerCase().includes('text')) return 'ISO-8859-1';
  return type.toLowerCase().includes('application/json') ? 'utf-8' : undefined;
}

function decode(bytes: Buffer, charset: string, mark?: 'without-mark'): string | undefined {
  try {
    return new TextDecoder(charset, { ignoreBOM: mark === undefined }).decode(bytes);
  } catch {
    return undefined; // no such charset
  }
}

/** requests guesses by statistics; a byte order mark, else UTF-8 where the bytes are UTF-8, else Western European covers what is met. */
function guess(bytes: Buffer): string {
  if (startsWith(bytes, 0xff, 0xfe) || startsWith(bytes, 0xfe, 0xff)) return 'utf-16';
  if (startsWith(bytes, 0xef, 0xbb, 0xbf)) return 'utf-8-sig';
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return 'utf-8';
  } catch {
    return 'windows-1252';
  }
}

/** The line, counted from 1, and where it begins. */
export function placeOf(text: string, at: number): { readonly line: number; readonly lineStart: number } {
  let line = 1;
  let lineStart = 0;
  for (let end = text.indexOf('\n'); end !== -1 && end < at; end = text.indexOf('\n', lineStart)) {
    line += 1;
    lineStart = end + 1;
  }
  return { line, lineStart };
}

/** Characters as Python counts them: a pair of surrogates is one. */
export function charactersOf(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to; at += 1) {
    if ((text.codePointAt(at) as number) > 0xffff && at + 1 < to) at += 1;
    count += 1;
  }
  return count;
}
