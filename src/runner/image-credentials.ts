import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ProxyError } from '../errors.ts';

/** What the engine sends to a registry on our behalf. */
export interface RegistryCredentials {
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly serveraddress: string;
}

const helperTimeoutMs = 20_000;

/** Docker's own names for its hub: in image names it is left out, and in the config file it is an old URL. */
const hubNames = ['docker.io', 'https://index.docker.io/v1/'] as const;

interface DockerConfig {
  readonly auths?: Readonly<Record<string, { readonly auth?: string; readonly identitytoken?: string }>>;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly credsStore?: string;
}

/**
 * Credentials for the registry of an image, from the docker config folder (`config.json`, with its credential helpers); undefined when it
 * names none. @throws ProxyError `image_unavailable` when the file or a helper fails.
 */
export async function registryCredentials(image: string, configFolder: string): Promise<RegistryCredentials | undefined> {
  const file = join(configFolder, 'config.json');
  const config = await readConfig(file);
  const names = registryNames(image);
  const helper = names.map((name) => config.credHelpers?.[name]).find(Boolean) ?? config.credsStore;
  if (helper !== undefined) return await askHelper(helper, names, image);
  const name = names.find((candidate) => config.auths?.[candidate] !== undefined);
  const entry = name === undefined ? undefined : config.auths?.[name];
  if (name === undefined || entry === undefined) return undefined;
  if (entry.identitytoken !== undefined) return { identitytoken: entry.identitytoken, serveraddress: name };
  const [username = '', ...password] = Buffer.from(entry.auth ?? '', 'base64')
    .toString('utf8')
    .split(':');
  return username === '' ? undefined : { username, password: password.join(':'), serveraddress: name };
}

/** The names by which a config file may know the registry of an image: only a first part with a dot, a colon or `localhost` is a host. */
export function registryNames(image: string): readonly string[] {
  const [first = '', ...rest] = image.split('/');
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  if (!isHost || first === 'docker.io' || first === 'index.docker.io') return hubNames;
  return [first, `https://${first}`, `https://${first}/v1/`, `https://${first}/v2/`];
}

async function readConfig(file: string): Promise<DockerConfig> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as DockerConfig;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new ProxyError('image_unavailable', `${file} cannot be read as JSON; correct it, or remove it.`, { cause });
  }
}

async function askHelper(helper: string, names: readonly string[], image: string): Promise<RegistryCredentials | undefined> {
  // The name becomes a program's: nothing but a word may.
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(helper)) {
    throw new ProxyError(
      'image_unavailable',
      `The docker config names ${JSON.stringify(helper)} as credential helper, which is no name of a program.`,
    );
  }
  for (const name of names) {
    const answer = await runHelper(`docker-credential-${helper}`, name, image);
    if (answer === undefined) continue;
    const { Username, Secret } = readAnswer(answer, helper, image);
    // `<token>` is how a helper says that the secret is one.
    if (Username === '<token>') return { identitytoken: Secret, serveraddress: name };
    return { username: Username, password: Secret, serveraddress: name };
  }
  return undefined;
}

interface HelperAnswer {
  readonly Username: string;
  readonly Secret: string;
}

/** Without a cause: what a parser says of a text quotes it, and it may hold a secret. */
function readAnswer(text: string, helper: string, image: string): HelperAnswer {
  try {
    const { Username, Secret } = JSON.parse(text) as Partial<HelperAnswer>;
    if (typeof Username === 'string' && typeof Secret === 'string') return { Username, Secret };
  } catch {}
  const message = `docker-credential-${helper} answered no JSON with Username and Secret for the registry of ${image}; try it by hand.`;
  throw new ProxyError('image_unavailable', message);
}

async function runHelper(program: string, registry: string, image: string): Promise<string | undefined> {
  const running = promisify(execFile)(program, ['get'], { timeout: helperTimeoutMs });
  running.child.stdin?.on('error', () => {});
  running.child.stdin?.end(registry);
  try {
    return (await running).stdout;
  } catch (error) {
    const { stdout = '', code } = error as { stdout?: string; code?: unknown };
    if (/credentials not found/.test(stdout)) return undefined;
    // Neither its output nor the cause: both may hold a secret.
    throw new ProxyError('image_unavailable', `${program} failed (${String(code)}) for the registry of ${image}; try it by hand.`);
  }
}
