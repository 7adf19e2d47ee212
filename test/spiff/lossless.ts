/**
 * JSON as its tokens: white space does not count, everything else does. Digits stay as written, members in their order, and strings
 * are compared by what they say, however they are escaped. Python's NaN and Infinity are tokens too.
 */
export function tokensOf(text: string): readonly string[] {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|-?[A-Za-z]+|[[\]{},:]|\S/gs) ?? [];
  return tokens.map((token) => (token.startsWith('"') ? `"${JSON.parse(token) as string}` : token));
}

/** What is different on every run. */
const placeholders: Readonly<Record<string, string>> = {
  time: '[^\\]]+',
  address: '[0-9a-f]+',
  uniq: '[\\w-]+',
  version: '[\\d.]+',
};

/** Whether a token is what was recorded, its placeholders standing for anything of their kind. */
export function matchesToken(actual: string | undefined, recorded: string): boolean {
  if (actual === recorded) return true;
  const parts = recorded.split(/<(time|address|uniq|version)>/);
  if (parts.length === 1 || actual === undefined) return false;
  const pattern = parts.map((part, index) => (index % 2 === 0 ? RegExp.escape(part) : placeholders[part])).join('');
  return new RegExp(`^${pattern}$`, 's').test(actual);
}

/** The first place where the texts differ, for a message; undefined when they say the same. */
export function jsonDifference(actual: string, recorded: string): string | undefined {
  const [is, was] = [tokensOf(actual), tokensOf(recorded)];
  const length = Math.max(is.length, was.length);
  for (let index = 0; index < length; index += 1) {
    const token = was[index];
    if (token === undefined || !matchesToken(is[index], token)) {
      return `token ${index} is ${is[index] ?? 'missing'}, recorded was ${token ?? 'nothing'}; the whole: ${actual}`;
    }
  }
  return undefined;
}
