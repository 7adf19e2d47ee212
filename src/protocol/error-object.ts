import * as v from 'valibot';
import type { JsonText } from '../lib/json-text.ts';
import { parseChecked } from './checked-parse.ts';
import { textsByKey } from './texts-by-key.ts';

export interface ErrorReply {
  readonly message: string;
  readonly code?: number;
  readonly data?: JsonText;
}

/** The error of an answer, or what is wrong with it. `data` stays text. */
export function readErrorObject(text: JsonText): ErrorReply | string {
  const texts = textsByKey(text);
  if (typeof texts === 'string') return texts;
  const messageText = texts.get('message');
  if (messageText === undefined) return 'it has no message';
  const message = parseChecked(v.string(), messageText);
  if (!message.ok) return `message: ${message.reason}`;
  const codeText = texts.get('code');
  const code = codeText === undefined ? undefined : parseChecked(v.number(), codeText);
  if (code?.ok === false) return `code: ${code.reason}`;
  const data = texts.get('data');
  return { message: message.value, ...(code === undefined ? {} : { code: code.value }), ...(data === undefined ? {} : { data }) };
}
