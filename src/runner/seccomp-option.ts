import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ProxyError } from '../errors.ts';
import { seccompFault, seccompProfile } from './container-seccomp.ts';
import type { DockerEngine, EngineFacts } from './docker-engine.ts';
import type { DockerInstance } from './docker-instance.ts';

interface MadeOption {
  readonly facts: EngineFacts;
  readonly option: Promise<string>;
}

/**
 * Gives what a create payload says of the filter: the profile itself or, for Podman, the path of a file that holds it. Made once, and again when
 * the engine was away and may be another, or when something that cleans up temporary folders has taken the file.
 * What it gives rejects with ProxyError `sandbox_unavailable` where no filter can be had, and `engine_unavailable`.
 */
export function createSeccompOption(engine: DockerEngine, instance: DockerInstance): () => Promise<string> {
  let made: MadeOption | undefined;
  return async () => {
    const facts = await engine.facts();
    const isCurrent = made?.facts === facts && (await isThere(made));
    if (!isCurrent || made === undefined) made = { facts, option: makeOption(facts, engine.address, instance) };
    return await made.option;
  };
}

/** One that could not be made is not there either. */
async function isThere({ facts, option }: MadeOption): Promise<boolean> {
  try {
    const made = await option;
    if (facts.product === 'podman') await access(made);
    return true;
  } catch {
    return false;
  }
}

async function makeOption(facts: EngineFacts, address: string, instance: DockerInstance): Promise<string> {
  const fault = seccompFault(facts);
  if (fault !== undefined) {
    throw new ProxyError('sandbox_unavailable', `The engine at ${address} ${fault}; use one that can have it, or sandbox: none.`);
  }
  const text = JSON.stringify(seccompProfile(facts.architecture));
  if (facts.product === 'docker') return text;
  const file = join(await instance.makeFolder(), 'seccomp.json');
  await writeFile(file, text);
  return file;
}
