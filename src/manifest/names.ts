import * as v from 'valibot';
import { told } from '../lib/written.ts';

/** Names are path segments of the API, folder names, container labels and log fields, so they are narrow. Bounds: 1 to 64 characters. */
export const ConnectorNameSchema = v.pipe(
  v.string(told('is not text', 'write a name, in quotes if it looks like a number')),
  v.regex(/^[a-z][a-z0-9_-]{0,63}$/, told('is not a connector name', 'write 1 to 64 of a-z, 0-9, _ and -, beginning with a letter')),
  v.brand('ConnectorName'),
);
export type ConnectorName = v.InferOutput<typeof ConnectorNameSchema>;

/** Bounds: 1 to 128 characters. Python class names (`_Private` included) must fit. */
export const CommandNameSchema = v.pipe(
  v.string(told('is not text', 'write a name, in quotes if it looks like a number')),
  v.regex(
    /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/,
    told('is not a command name', 'write 1 to 128 of letters, digits, _, . and -, beginning with a letter or _'),
  ),
  v.brand('CommandName'),
);
export type CommandName = v.InferOutput<typeof CommandNameSchema>;
