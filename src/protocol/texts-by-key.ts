import { type ScannedJson, scanJson } from '../lib/json-scan.ts';
import { type JsonText, memberText } from '../lib/json-text.ts';
import type { Piece } from '../lib/pieces.ts';
import { messageMembersMax } from './limits.ts';

export type Texts = ReadonlyMap<string, JsonText>;

/**
 * Members by key, the last of a key that occurs twice, as text; or what is wrong with them. None of what is no object. `known` is the scan of
 * `text`, where there is one.
 */
export function textsByKey(text: Piece, known?: Pick<ScannedJson, 'members' | 'hasLineBreak'>): Texts | string {
  const scan = known ?? scanJson(text, { nestingMax: Number.POSITIVE_INFINITY, membersMax: messageMembersMax });
  if (!('members' in scan)) return scan.reason;
  const texts = new Map(scan.members.map((member) => [member.key, memberText(text, member, scan.hasLineBreak)]));
  return texts.has('__proto__') ? 'a key is __proto__' : texts;
}
