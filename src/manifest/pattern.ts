/**
 * Patterns of a manifest run in a backtracking engine, on text that callers send. This bounds the work of each before it is ever run: the
 * number of ways the engine can match a prefix is counted as if every choice were ambiguous, and a pattern is accepted only together with
 * a length of text for which that number stays under a budget. Conservative: it refuses some harmless patterns, and accepts no harmful one.
 */

/** Characters of one pattern. */
export const patternCharsMax = 512;
/** Ways of matching, about 0.2 s of work at the very worst. */
const waysMax = 2 ** 24;
/** A pattern that only holds for shorter texts than this is refused. */
const textCharsMin = 64;
/** Length of a pattern with every counted repetition written out. */
const stepsMax = 10_000;
/** Longest text any pattern is tried on. */
export const patternTextCharsMax = 4096;

export type PatternResult =
  | {
      readonly ok: true;
      /** The same pattern, which fails at once on text longer than `textCharsMax`. */
      readonly bounded: string;
      readonly textCharsMax: number;
    }
  | { readonly ok: false; readonly message: string; readonly repair: string };

export function boundPattern(pattern: string): PatternResult {
  if (pattern.length > patternCharsMax)
    return refuse(`is longer than ${patternCharsMax} characters`, 'shorten it, or check the value in the command');
  if (!isRegExp(pattern)) return refuse('is not a regular expression', 'correct it; the syntax is that of ECMAScript with the u flag');
  try {
    const anchored = pattern.startsWith('^') && new CostReader(pattern, 1).read().alternatives === 1;
    for (let charsMax = patternTextCharsMax; charsMax >= textCharsMin; charsMax /= 2) {
      const ways = new CostReader(pattern, charsMax).read().ways * (anchored ? 1 : charsMax);
      if (ways <= waysMax) return { ok: true, bounded: bounded(pattern, charsMax, anchored), textCharsMax: charsMax };
    }
  } catch (error) {
    if (error instanceof Unbounded) return refuse(error.message, 'rewrite it without, or check the value in the command');
    throw error;
  }
  return refuse('may take too long on some texts', 'anchor it with ^, use fewer of * + ? {m,n} and |, or check the value in the command');
}

function refuse(message: string, repair: string): PatternResult {
  return { ok: false, message, repair };
}

function isRegExp(pattern: string): boolean {
  try {
    return new RegExp(pattern, 'u') instanceof RegExp;
  } catch {
    return false;
  }
}

function bounded(pattern: string, charsMax: number, anchored: boolean): string {
  return `^(?![^]{${charsMax + 1}})${anchored ? '' : '[^]*?'}(?:${pattern})`;
}

/** A construct whose cost has no useful bound. */
class Unbounded extends Error {}

/** How a piece of a pattern may match: in how many ways, and how many steps long when every counted repetition is written out. */
interface Cost {
  readonly ways: number;
  readonly steps: number;
}

/** Reads a pattern that is known to be valid, and counts. Lives for one pattern. */
class CostReader {
  #at = 0;
  readonly #pattern: string;
  readonly #charsMax: number;

  constructor(pattern: string, charsMax: number) {
    this.#pattern = pattern;
    this.#charsMax = charsMax;
  }

  read(): Cost & { readonly alternatives: number } {
    let [ways, steps, alternatives] = [0, 0, 0];
    do {
      const cost = this.#sequence();
      ways += cost.ways;
      steps += cost.steps;
      alternatives += 1;
    } while (this.#take('|'));
    if (steps > stepsMax) throw new Unbounded('repeats too much by {n}');
    return { ways, steps, alternatives };
  }

  #take(character: string): boolean {
    if (this.#pattern[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #sequence(): Cost {
    let [ways, steps] = [1, 1];
    while (this.#at < this.#pattern.length && !'|)'.includes(this.#pattern[this.#at] ?? '')) {
      const cost = this.#quantified(this.#atom());
      ways *= cost.ways;
      steps += cost.steps;
    }
    return { ways, steps };
  }

  #atom(): Cost {
    if (this.#take('(')) return this.#group();
    if (this.#take('[')) this.#class();
    else if (this.#take('\\')) this.#escape();
    else this.#at += 1;
    return { ways: 1, steps: 1 };
  }

  #group(): Cost {
    const rest = this.#pattern.slice(this.#at);
    if (/^\?<?[=!]/.test(rest)) throw new Unbounded('looks ahead or behind');
    const prefix = /^\?(?::|<[^>]*>)/.exec(rest)?.[0] ?? '';
    if (prefix === '' && rest.startsWith('?')) throw new Unbounded('has a group of a kind that is not supported');
    this.#at += prefix.length;
    const cost = this.read();
    this.#take(')');
    return cost;
  }

  #class(): void {
    while (!this.#take(']')) this.#at += this.#pattern[this.#at] === '\\' ? 2 : 1;
  }

  #escape(): void {
    const rest = this.#pattern.slice(this.#at);
    if (/^[1-9k]/.test(rest)) throw new Unbounded('refers back to a group');
    this.#at += /^(?:u\{[^}]*\}|[pP]\{[^}]*\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|c[A-Za-z])/.exec(rest)?.[0].length ?? 1;
  }

  #quantified({ ways, steps }: Cost): Cost {
    const [quantifier, symbol, least, comma, most] = /^(?:([*+?])|\{(\d+)(,)?(\d*)\})\??/.exec(this.#pattern.slice(this.#at)) ?? [];
    if (quantifier === undefined) return { ways, steps };
    this.#at += quantifier.length;
    const min = symbol === undefined ? Number(least) : symbol === '+' ? 1 : 0;
    const max = symbol === undefined ? Number(comma === undefined ? least : most || Infinity) : symbol === '?' ? 1 : Infinity;
    if (max === Infinity && ways > 1) throw new Unbounded('repeats a group that itself repeats or has alternatives');
    const last = max === Infinity ? Math.max(min, this.#charsMax) : max;
    return { ways: repetitions(ways, min, last), steps: steps * Math.max(1, max === Infinity ? min : max) };
  }
}

/** Sum of ways^n for every n from min to max; stops when it is hopeless. */
function repetitions(ways: number, min: number, max: number): number {
  if (ways === 1) return Math.max(1, max - min + 1);
  let sum = 0;
  for (let times = min; times <= max && sum <= waysMax; times += 1) sum += ways ** times;
  return sum;
}
