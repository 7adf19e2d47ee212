// The SDK is copied beside it when the benchmark is set up.
import { serve } from './bulkhead.ts';

serve({ version: '1.0.0', commands: { CombineStrings: ({ arg1, arg2 }) => ({ arg1, arg2 }) } });
