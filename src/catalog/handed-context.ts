import type { ConnectorConfig } from '../config/config.ts';
import type { CommandManifest, ContextName } from '../manifest/manifest.ts';

/** Engine data that a command is handed: what its manifest asks for, as far as the config grants it. */
export function handedContext(
  { context }: CommandManifest,
  { context: granted }: Pick<ConnectorConfig, 'context'>,
): readonly ContextName[] {
  return granted === undefined ? context : context.filter((name) => granted.includes(name));
}
