import { type Piece, slicePiece, utf8Of } from '../lib/pieces.ts';

/** Something that the protocol does not allow, in words for an error message. */
export interface Breach {
  readonly code: 'protocol_violation' | 'invalid_result' | 'result_too_large';
  /** Names what was written, what is wrong with it, and the repair. May hold an excerpt of what the connector wrote. */
  readonly message: string;
  /** The request whose answer it was, when that could be told. */
  readonly id?: string;
}

/** `cut`: the text went on, or may have, so that a secret may end beyond what there is of it. Default: `whole`. */
export type TextEnd = 'whole' | 'cut';

/** Replaces secrets within a text. */
export type Mask = (text: string, end?: TextEnd) => string;

const excerptCharactersMax = 200;

/** Looked at for an excerpt: more than is shown, so that a cut in a secret is rarely seen. */
export const excerptBytes = 1024;

const stdoutAdvice = 'Print to stderr, or use an SDK, which moves stdout away.';

/** A line that is no message. `written` is all of it or, with `end` as `cut`, its beginning. */
export function notAMessage(written: Piece, mask: Mask, reason: string, end: TextEnd = 'whole'): Breach {
  const message = `The connector wrote to stdout what is no message (${reason}): "${excerptOf(written, mask, end)}". ${stdoutAdvice}`;
  return { code: 'protocol_violation', message };
}

export function tooLarge(messageBytesMax: number, id: string | undefined): Breach {
  const message = `The connector wrote a message of more than ${messageBytesMax} bytes. Return less, or raise limits.message.`;
  return { code: 'result_too_large', message, ...(id === undefined ? {} : { id }) };
}

/** The beginning of bytes as printable text: secrets masked first, then control characters and backslashes escaped. */
export function excerptOf(written: Piece, mask: Mask, end: TextEnd = 'whole'): string {
  const beginning = utf8Of(slicePiece(written, 0, excerptBytes));
  const isLonger = written.length > excerptBytes;
  const text = mask(beginning, isLonger ? 'cut' : end);
  const isCut = text.length > excerptCharactersMax || isLonger;
  return escapeUnprintable(text.slice(0, excerptCharactersMax)) + (isCut ? '…' : '');
}

/** Line breaks, other control characters, format characters (which can turn the direction of text) and lone surrogates. */
export function escapeUnprintable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}\\]/gu, (character) => {
    if (character === '\\') return '\\\\';
    if (character === '\n') return '\\n';
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}
