/** Bytes put at a place of a buffer where there is room; told is the place behind them, here and below. */
export function putBytes(into: Buffer, at: number, bytes: Buffer): number {
  into.set(bytes, at);
  return at + bytes.length;
}

/** Of text in ASCII. */
export function putText(into: Buffer, at: number, text: string): number {
  return at + into.write(text, at, 'latin1');
}

/** A whole number that is not negative, in decimal digits. */
export function putNumber(into: Buffer, at: number, number: number): number {
  if (number < 10) {
    into[at] = zero + number;
    return at + 1;
  }
  // Above, the engine's whole numbers of 32 bits end.
  if (number >= 1e9) return putText(into, at, String(number));
  let digits = 2;
  for (let bound = 100; number >= bound; bound *= 10) digits += 1;
  return putDigits(into, at, number, digits);
}

/** The last digits of a whole number below 1e9, with zeros in front. */
export function putDigits(into: Buffer, at: number, number: number, digits: number): number {
  let rest = number | 0;
  for (let index = at + digits - 1; index >= at; index -= 1) {
    const tenth = (rest / 10) | 0;
    into[index] = zero + rest - tenth * 10;
    rest = tenth;
  }
  return at + digits;
}

const zero = 0x30;
