import { ConnectorError, type Context, type Input, serve } from './bulkhead.ts';
import { encoded, presignedUrl, type SigningInput, signedHeaders } from './sign.ts';

/** The deployer's settings. */
interface Settings {
  readonly region: string;
  /** For other services with S3's API; default: AWS itself. */
  readonly endpoint?: string;
}

async function ListBuckets(_input: Input, context: Context): Promise<unknown> {
  const input = signing(context, '/');
  const response = await fetch(input.url, { headers: signedHeaders(input), signal: context.signal });
  const text = await response.text();
  if (!response.ok) throw refused(response.status, text);
  return { buckets: [...text.matchAll(/<Name>([^<]*)<\/Name>/g)].map(([, name]) => name) };
}

function PresignGet(values: Input, context: Context): unknown {
  const { bucket, key, expires_s: expiresS = 900 } = values as { bucket: string; key: string; expires_s?: number };
  const path = `/${bucket}/${key.split('/').map(encoded).join('/')}`;
  const input = signing(context, path);
  // `..` in a key would lead to another bucket.
  if (input.url.pathname !== path)
    throw new ConnectorError('The key has a . or .. for a folder.', { errorCode: 'InvalidKey', httpStatus: 400 });
  return { url: presignedUrl(input, expiresS).href };
}

function signing({ config, secrets }: Context, path: string): SigningInput {
  const { region, endpoint = `https://s3.${region}.amazonaws.com` } = config as unknown as Settings;
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = secrets;
  return { credentials: { accessKeyId, secretAccessKey }, region, method: 'GET', url: new URL(path, endpoint), now: new Date() };
}

/** S3 says what is wrong in XML. Its 403 is the account's business, not a reason to try again. */
function refused(status: number, text: string): ConnectorError {
  const code = /<Code>(\w+)<\/Code>/.exec(text)?.[1] ?? 'S3Error';
  return new ConnectorError(`S3 answered ${status} ${code}.`, { errorCode: code, httpStatus: status >= 500 ? 502 : 400 });
}

serve({ commands: { ListBuckets, PresignGet } });
