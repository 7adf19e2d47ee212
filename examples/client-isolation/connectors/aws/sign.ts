import { createHash, createHmac } from 'node:crypto';

/** What a signature is made of: AWS Signature Version 4, as in the S3 API reference, "Authenticating Requests". */
export interface SigningInput {
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly region: string;
  readonly method: string;
  readonly url: URL;
  /** Signed as they are; names in lower case. `host` is added. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly now: Date;
}

const emptyHash = createHash('sha256').update('').digest('hex');

/** The headers of a request without a body, `authorization` among them. */
export function signedHeaders(input: SigningInput): Record<string, string> {
  const time = amzTime(input.now);
  const headers = { ...input.headers, 'x-amz-content-sha256': emptyHash, 'x-amz-date': time };
  const names = signedNames(headers);
  const signature = sign({ ...input, headers }, emptyHash);
  const credential = `${input.credentials.accessKeyId}/${scopeOf(input)}`;
  return { ...headers, authorization: `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=${names},Signature=${signature}` };
}

/** The URL with the signature in its query. */
export function presignedUrl(input: SigningInput, expiresS: number): URL {
  const url = new URL(input.url);
  const query = {
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${input.credentials.accessKeyId}/${scopeOf(input)}`,
    'X-Amz-Date': amzTime(input.now),
    'X-Amz-Expires': String(expiresS),
    'X-Amz-SignedHeaders': 'host',
  };
  url.search = Object.entries(query)
    .map(([name, value]) => `${name}=${encoded(value)}`)
    .join('&');
  const signature = sign({ ...input, url, headers: {} }, 'UNSIGNED-PAYLOAD');
  url.search += `&X-Amz-Signature=${signature}`;
  return url;
}

/** RFC 3986, which is stricter than encodeURIComponent. */
export function encoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function sign(input: SigningInput, payloadHash: string): string {
  const { credentials, region, method, url, headers = {}, now } = input;
  const sent: Readonly<Record<string, string>> = { ...headers, host: url.host };
  const lines = Object.keys(sent)
    .sort()
    .map((name) => `${name}:${sent[name]?.trim()}\n`);
  const query = url.search.slice(1).split('&').filter(Boolean).sort().join('&');
  const request = [method, url.pathname, query, lines.join(''), signedNames(headers), payloadHash].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', amzTime(now), scopeOf(input), createHash('sha256').update(request).digest('hex')].join('\n');
  const key = [amzTime(now).slice(0, 8), region, 's3', 'aws4_request'].reduce<string | Buffer>(
    (secret, part) => createHmac('sha256', secret).update(part).digest(),
    `AWS4${credentials.secretAccessKey}`,
  );
  return createHmac('sha256', key).update(toSign).digest('hex');
}

function signedNames(headers: Readonly<Record<string, string>>): string {
  return [...Object.keys(headers), 'host'].sort().join(';');
}

function scopeOf({ now, region }: SigningInput): string {
  return `${amzTime(now).slice(0, 8)}/${region}/s3/aws4_request`;
}

function amzTime(now: Date): string {
  return now.toISOString().replace(/[-:]|\.\d+/g, '');
}
