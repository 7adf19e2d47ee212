import { v5 } from 'uuid';
import uuid from 'uuid/package.json' with { type: 'json' };
import { serve } from './bulkhead.ts';

// Version 14 has named exports of an ES module. Version 3 has no v5 among them.
serve({
  commands: {
    MakeId: ({ name }) => ({ id: v5(name, v5.DNS), sdk: `uuid ${uuid.version}` }),
  },
});
