/** Failures by the names that Python's requests gives them: process models match these names. */
export type RequestErrorName =
  | 'ChunkedEncodingError'
  | 'ConnectionError'
  | 'ConnectTimeout'
  | 'ContentDecodingError'
  | 'InvalidHeader'
  | 'InvalidSchema'
  | 'InvalidURL'
  | 'MissingSchema'
  | 'ProxyError'
  | 'ReadTimeout'
  | 'SSLError'
  | 'TooManyRedirects'
  | 'TypeError'
  | 'AttributeError'
  | 'UnicodeEncodeError'
  // Not of requests: it reads without end.
  | 'ResponseTooLarge'
  | 'Cancelled';

export class RequestError extends Error {
  override readonly name: RequestErrorName;

  constructor(name: RequestErrorName, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = name;
  }
}
