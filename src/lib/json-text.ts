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
