/** Something that is made when it is first asked for, and then kept; a failure is not kept. */
export interface Once<T> {
  readonly get: () => Promise<T>;
  /** What was made, or is being made, without making it. */
  readonly peek: () => Promise<T> | undefined;
}

export function once<T>(make: () => Promise<T>): Once<T> {
  let made: Promise<T> | undefined;
  return {
    get: () => {
      made ??= make().catch((error: unknown) => {
        made = undefined;
        throw error;
      });
      return made;
    },
    peek: () => made,
  };
}
