import { createRequire } from 'node:module';
import { serve } from './bulkhead.ts';

// Version 3 has a module for each function, all of them CommonJS. Version 14 has neither.
const require = createRequire(import.meta.url);
const uuid5 = require('uuid/v5');
const { version } = require('uuid/package.json');

serve({
  commands: {
    MakeId: ({ name }) => ({ id: uuid5(name, uuid5.DNS), sdk: `uuid ${version}` }),
  },
});
