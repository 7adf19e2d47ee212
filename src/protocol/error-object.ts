import * as v from 'valibot';
import type { JsonText } from '../lib/json-text.ts';
import { byteAt, bytesOf, utf8Of } from '../lib/pieces.ts';
import { sequenceStart } from '../lib/utf8.ts';
import type { Mask } from './breach.ts';
import { type Checked, parseChecked } from './checked-parse.ts';
import { errorMessageBytesMax } from './limits.ts';
import { textsByKey } from './texts-by-key.ts';

export interface ErrorReply {
  readonly message: string;
  readonly code?: number;
  readonly data?: JsonText;
}

/** The error of an answer, or what is wrong with it. `data` stays text. */
export function readErrorObject(text: JsonText, mask: Mask): ErrorReply | string {
  const texts = textsByKey(text);
  if (typeof texts === 'string') return texts;
  const messageText = texts.get('message');
  if (messageText === undefined) return 'it has no message';
  const message = readErrorMessage(messageText, mask);
  if (!message.ok) return `message: ${message.reason}`;
  const codeText = texts.get('code');
  const code = codeText === undefined ? undefined : parseChecked(v.number(), codeText);
  if (code?.ok === false) return `code: ${code.reason}`;
  const data = texts.get('data');
  return { message: message.value, ...(code === undefined ? {} : { code: code.value }), ...(data === undefined ? {} : { data }) };
}

/** The message of an error. Of one longer than `errorMessageBytesMax` it is the beginning, secrets masked: the cut may go through one. */
export function readErrorMessage(text: JsonText, mask: Mask): Checked<string> {
  if (text.length <= errorMessageBytesMax || byteAt(text, 0) !== 0x22) return parseChecked(v.string(), text);
  return { ok: true, value: `${mask(beginningOf(text), 'cut')}…` };
}

/** What the first bytes of a JSON string say, without a character that the cut goes through. */
function beginningOf(text: JsonText): string {
  const bytes = bytesOf(text);
  const written = utf8Of(bytes.subarray(0, sequenceStart(bytes, errorMessageBytesMax)));
  const whole = wholeEscapes.exec(written)?.[0] ?? '"';
  const beginning = JSON.parse(`${whole}"`) as string;
  return beginning.replace(/[\ud800-\udbff]$/, '');
}

const wholeEscapes = /^(?:[^\\]|\\u[0-9a-fA-F]{4}|\\[^u])*/;
