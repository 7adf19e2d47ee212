/**
 * Results in the engine’s own form, as a connector sends them by `spiff` (spiff-contract 3.5): version 2 is passed on whole, the older
 * `{response, mimetype, status}` becomes an HTTP answer as the reference makes it. They are judged by a scan for their members; only
 * short ones, and the text of a response, are parsed. What would crash the client (section 4) is never sent: it becomes `invalid_result` and
 * names the member.
 */
import { ProxyError } from '../errors.ts';
import { membersMaxDefault, scanJson } from '../lib/json-scan.ts';
import type { JsonText } from '../lib/json-text.ts';
import { bytesOf } from '../lib/pieces.ts';
import type { Answer } from './answer.ts';
import { asciiJson } from './ascii-json.ts';

const jsonType = 'application/json';

/** The members that mean something, as their own text; the last of a repeated key counts, as for every reader. */
type Members = ReadonlyMap<string, Buffer>;

const knownNames: ReadonlySet<string> = new Set([
  ...['command_response_version', 'command_response', 'error', 'spiff__logs'],
  ...['response', 'mimetype', 'status'],
  ...['error_code', 'message'],
]);

/** `logs`: what the proxy has to tell of the invocation; an answer of version 2 has a place for it. */
export function spiffAnswer(result: JsonText, status: 200 | 202, logs: readonly string[] = []): Answer | ProxyError {
  try {
    return answerOf(bytesOf(result), status, logs);
  } catch (error) {
    if (error instanceof ProxyError) return error;
    throw error;
  }
}

function answerOf(result: Buffer, status: 200 | 202, logs: readonly string[]): Answer {
  const members = membersOf(result, 'it');
  if (members === undefined) return scalarAnswer(result, status);
  const isVersion2 = versionOf(members) > 1;
  if (isVersion2 || status === 202) {
    checkForClient(members, isVersion2 && status === 200);
    return { status, contentType: jsonType, bytes: isVersion2 ? withLogs(result, members, logs) : result };
  }
  return version1Answer(members);
}

/** An accepted result may be any JSON that the client survives; another one must be an object. */
function scalarAnswer(result: Buffer, status: 200 | 202): Answer {
  if (status === 202 && (isKind(result, '"') || isKind(result, '['))) return { status, contentType: jsonType, bytes: result };
  throw invalid('it is no object');
}

/** `True > 1` is false in Python; a string, null, list or object cannot be compared, and crashes the reference or the client. */
function versionOf(members: Members): number {
  const version = members.get('command_response_version')?.toString('latin1');
  if (version === undefined || version === 'true' || version === 'false') return 1;
  if (/^[-\d]/.test(version)) return Number(version);
  throw invalid('its command_response_version is no number');
}

function checkForClient(members: Members, needsResponse: boolean): void {
  if (isNull(members.get('spiff__logs'))) throw invalid('its spiff__logs is null; leave it out or send a list');
  const response = members.get('command_response');
  if (needsResponse && (response === undefined || !isKind(response, '{'))) throw invalid('its command_response is no object');
  const error = members.get('error');
  const errorMembers = error === undefined ? undefined : membersOf(error, 'its error');
  if (errorMembers?.has('error_code') && !errorMembers.has('message')) throw invalid('its error has an error_code but no message');
}

/** The connector's own lines, then the proxy's: a refusal of the egress gateway must not be silent because the connector caught it. */
function withLogs(result: Buffer, members: Members, logs: readonly string[]): Buffer {
  if (logs.length === 0) return result;
  const lines = logs.map((line) => asciiJson(line)).join(', ');
  const own = members.get('spiff__logs');
  if (own === undefined) return insertAt(result, result.lastIndexOf('}'), `, "spiff__logs": [${lines}]`);
  if (!isKind(own, '[')) return result;
  const isEmpty = /^\[\s*\]$/.test(own.toString('latin1'));
  return insertAt(result, own.byteOffset - result.byteOffset + own.length - 1, isEmpty ? lines : `, ${lines}`);
}

function insertAt(text: Buffer, at: number, more: string): Buffer {
  return Buffer.concat([text.subarray(0, at), Buffer.from(more), text.subarray(at)]);
}

function version1Answer(members: Members): Answer {
  const response = members.get('response');
  const mimetype = members.get('mimetype');
  if (response === undefined || mimetype === undefined) {
    throw invalid('it has neither a command_response_version above 1 nor both response and mimetype');
  }
  return {
    status: statusOf(members.get('status')),
    contentType: contentTypeOf(mimetype),
    // A type of the connector’s choice must not be read as another one.
    headers: ['X-Content-Type-Options', 'nosniff'],
    bytes: responseBytes(response),
  };
}

/** `int(status)` of Python, as far as HTTP can carry it. */
function statusOf(text: Buffer | undefined): number {
  if (text === undefined) return 200;
  const status = text.length > statusBytesMax ? undefined : pythonInt(JSON.parse(text.toString()));
  if (status === undefined || status < 200 || status > 999) throw invalid('its status is no HTTP status');
  return status;
}

const statusBytesMax = 64;

function pythonInt(value: unknown): number | undefined {
  if (typeof value === 'number') return Math.trunc(value);
  if (typeof value === 'string' && /^\s*[+-]?\d+(_\d+)*\s*$/.test(value)) return Number(value.replaceAll('_', ''));
  return undefined;
}

/** werkzeug’s rule: a charset is added to text types and to the XML and script types it names. */
function contentTypeOf(text: Buffer): string {
  if (isNull(text)) return 'text/html; charset=utf-8';
  const mimetype: unknown = text.length > mimetypeBytesMax ? undefined : JSON.parse(text.toString());
  if (typeof mimetype !== 'string' || !mimetypePattern.test(mimetype))
    throw invalid('its mimetype is no media type of up to 256 characters');
  return hasCharset(mimetype) ? `${mimetype}; charset=utf-8` : mimetype;
}

/** It becomes a line of the answer’s head, of which Python’s HTTP client reads 64 KiB; with `body` as many characters are allowed. */
const mimetypePattern = /^[\x20-\x7e]{0,256}$/;
/** Each of them as an escape, and the quotes. */
const mimetypeBytesMax = 256 * '\\u0061'.length + 2;

const charsetTypes = new Set([
  'application/ecmascript',
  'application/javascript',
  'application/sql',
  'application/xml',
  'application/xml-dtd',
  'application/xml-external-parsed-entity',
]);

function hasCharset(mimetype: string): boolean {
  return mimetype.startsWith('text/') || charsetTypes.has(mimetype) || mimetype.endsWith('+xml');
}

/** An object goes out as its own text, a string decoded, a list as its strings joined, null as nothing. */
function responseBytes(response: Buffer): Buffer {
  if (isKind(response, '{')) return response;
  if (isNull(response)) return Buffer.alloc(0);
  if (!isKind(response, '"') && !isKind(response, '[')) throw invalid('its response is neither object, string, list of strings nor null');
  const string = isKind(response, '[') ? joinedString(response) : response;
  if (string === undefined) throw invalid('its response is a list of other things than strings');
  const text = JSON.parse(string.toString()) as string;
  if (!text.isWellFormed()) throw invalid('its response holds half a surrogate pair, which UTF-8 cannot carry');
  return Buffer.from(text);
}

/**
 * The strings of a list as one, still in JSON; undefined for another list. They are not parsed one by one: many short ones take many times
 * the memory of their text.
 */
function joinedString(list: Buffer): Buffer | undefined {
  const joined = Buffer.allocUnsafe(list.length);
  let length = joined.write('"');
  let isInside = false;
  let isEscaped = false;
  // By index, which takes a fifth of an iterator’s time.
  for (let at = 1; at < list.length - 1; at += 1) {
    const byte = list[at] as number;
    if (byte === quote && !isEscaped) {
      isInside = !isInside;
    } else if (isInside) {
      joined[length] = byte;
      length += 1;
      isEscaped = byte === backslash && !isEscaped;
    } else if (!isSeparator(byte)) {
      return undefined;
    }
  }
  length += joined.write('"', length);
  return joined.subarray(0, length);
}

const quote = 0x22;
const backslash = 0x5c;

/** Of checked JSON, between strings. */
function isSeparator(byte: number): boolean {
  return byte === 0x2c || byte <= 0x20;
}

/** Undefined for what is no object. A list of more members than the scanner’s default could be many times as large as the text. */
function membersOf(text: Buffer, what: 'it' | 'its error'): Members | undefined {
  if (!isKind(text, '{')) return undefined;
  const scan = scanJson(text, { nestingMax: Number.POSITIVE_INFINITY });
  if (!scan.ok) throw invalid(`${what} has more than ${membersMaxDefault} members`);
  const known = scan.members.filter(({ key }) => knownNames.has(key));
  return new Map(known.map(({ key, valueStart, valueEnd }) => [key, text.subarray(valueStart, valueEnd)]));
}

function isKind(text: Buffer, first: '{' | '[' | '"'): boolean {
  return text[0] === first.charCodeAt(0);
}

function isNull(text: Buffer | undefined): boolean {
  return text?.toString('latin1', 0, 5) === 'null';
}

function invalid(what: string): ProxyError {
  return new ProxyError('invalid_result', `The command ran, but its result cannot be passed on: ${what}.`);
}
