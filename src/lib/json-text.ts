import type { Member, ScannedJson } from './json-scan.ts';

/** UTF-8 bytes that were checked to be one JSON value and hold no line break; they may be spliced into a message as they are. */
export type JsonText = Uint8Array & { readonly [jsonText]: true };
declare const jsonText: unique symbol;

/** For bytes that the scanner has checked, or that JSON.stringify made. */
export function trustJsonText(bytes: Uint8Array): JsonText {
  return bytes as JsonText;
}

export function jsonTextOf(value: unknown): JsonText {
  return trustJsonText(Buffer.from(JSON.stringify(value)));
}

/**
 * The text of a scanned object without the members that `drop` names, as one line. A key that occurs twice stands once: in its first
 * place with its last value, as Python’s and JavaScript’s parsers have it. Every other byte stays as it was written.
 * Without anything to change the result is a view of `bytes`, not a copy.
 */
export function cutMembers(_bytes: Uint8Array, _scan: ScannedJson, _drop: (key: string) => boolean): JsonText {
  throw new Error('not written yet');
}

/** A member’s value as one line: a view of `bytes` unless line breaks had to be replaced. */
export function memberText(_bytes: Uint8Array, _member: Member): JsonText {
  throw new Error('not written yet');
}
