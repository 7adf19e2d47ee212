/**
 * Proxy variables for every common client. All of them name an HTTP proxy: libraries that read a SOCKS URL from ALL_PROXY fail to
 * load where their SOCKS part is not installed (httpx, requests).
 */
export function proxyEnvironment(address: string, port: number): Readonly<Record<string, string>> {
  const url = `http://${address}:${port}`;
  const direct = 'localhost,127.0.0.1,::1';
  return {
    HTTP_PROXY: url,
    HTTPS_PROXY: url,
    ALL_PROXY: url,
    NO_PROXY: direct,
    http_proxy: url,
    https_proxy: url,
    all_proxy: url,
    no_proxy: direct,
    GRPC_PROXY: url,
    grpc_proxy: url,
    NODE_USE_ENV_PROXY: '1',
    JAVA_TOOL_OPTIONS: [
      `-Dhttp.proxyHost=${address}`,
      `-Dhttp.proxyPort=${port}`,
      `-Dhttps.proxyHost=${address}`,
      `-Dhttps.proxyPort=${port}`,
      '-Dhttp.nonProxyHosts=localhost|127.0.0.1|[::1]',
    ].join(' '),
  };
}

/** The deployer's own variables win, but one that sets the heap of a JVM must not take its proxy away: options are joined, and the last counts. */
export function withOwnEnvironment(
  given: Readonly<Record<string, string>>,
  own: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const options = [given['JAVA_TOOL_OPTIONS'], own['JAVA_TOOL_OPTIONS']].filter((text) => text !== undefined);
  return { ...given, ...own, ...(options.length < 2 ? {} : { JAVA_TOOL_OPTIONS: options.join(' ') }) };
}
