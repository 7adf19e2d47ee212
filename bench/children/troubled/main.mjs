// Does whatever a connector should not, on request.
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectorError, serve } from './bulkhead.ts';

const commands = {
  Crash: () => process.exit(3),
  Hang: async (_input, { signal }) => {
    await sleep(60_000, undefined, { signal }).catch(() => {});
    return 'cancelled';
  },
  Deaf: () => sleep(60_000),
  Flood: () => {
    for (let line = 0; line < 2000; line++) writeSync(2, `${'flood '.repeat(40)}\n`);
    return 'flooded';
  },
  Garbage: async () => {
    writeSync(1, 'this is no message\n');
    await sleep(60_000);
  },
  Fail: () => {
    throw new ConnectorError('It failed, as it was asked to.', { errorCode: 'AsAsked', httpStatus: 422 });
  },
};

serve({ version: '1.0.0', commands });
