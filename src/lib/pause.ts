/** Resolves with true after the time, or with false as soon as the signal aborts. Leaves no timer and no listener behind. */
export function pause(ms: number, signal?: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve(false);
      return;
    }
    const finish = (passed: boolean) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      resolve(passed);
    };
    const onAbort = () => finish(false);
    const timer = setTimeout(finish, ms, true);
    signal?.addEventListener('abort', onAbort);
  });
}

/** Whether the promise settles within the time, either way; the promise’s own error stays with its owner. */
export async function settlesWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  const inTime = promise.then(
    () => true,
    () => true,
  );
  return await Promise.race([inTime, late]).finally(() => clearTimeout(timer));
}
