const zero = 0x30;

/**
 * What the decimal digits from `start` on to the end of `text` say; NaN where there is none, or anything else. `Number` leaves JavaScript for
 * a text that it meets for the first time, which took longer than all that a call does with the number.
 */
export function decimalAt(text: string, start = 0): number {
  let value = start < text.length ? 0 : Number.NaN;
  for (let at = start; at < text.length; at += 1) {
    const digit = text.charCodeAt(at) - zero;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}
