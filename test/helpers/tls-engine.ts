import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';

/** An engine's socket behind TLS that wants certificates of both sides, as dockerd --tlsverify listens. */
export interface TlsEngine extends AsyncDisposable {
  readonly port: number;
  /** A folder with ca.pem, cert.pem and key.pem: `known` is let in; `stranger` has a certificate of another authority. */
  readonly certs: { readonly known: string; readonly stranger: string };
}

export async function startTlsEngine(socketPath: string): Promise<TlsEngine> {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-tls-'));
  const ours = makeAuthority(folder, 'ours');
  const other = makeAuthority(folder, 'other');
  const server = ours.issue('server', 'subjectAltName=IP:127.0.0.1');
  const known = ours.issue('known');
  const stranger = other.issue('stranger');
  // Trusts the server, but is not trusted by it.
  writeFileSync(join(stranger, 'ca.pem'), readFileSync(ours.certificate));
  const front = createServer(
    {
      ca: readFileSync(ours.certificate),
      cert: readFileSync(join(server, 'cert.pem')),
      key: readFileSync(join(server, 'key.pem')),
      ...{ requestCert: true, rejectUnauthorized: true, allowHalfOpen: true },
    },
    (client) => {
      const engine = connect({ path: socketPath, allowHalfOpen: true });
      client.pipe(engine).pipe(client);
      for (const [one, two] of [
        [client, engine],
        [engine, client],
      ] as const)
        one.on('error', () => two.destroy()).on('close', () => two.destroy());
    },
  );
  const clients = new Set<{ destroy(): void }>();
  front.on('connection', (socket) => clients.add(socket));
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  return {
    port: (front.address() as AddressInfo).port,
    certs: { known, stranger },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy();
      await new Promise((resolve) => front.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function makeAuthority(root: string, name: string) {
  const folder = join(root, name);
  mkdirSync(folder);
  const [key, certificate] = [join(folder, 'authority-key.pem'), join(folder, 'authority.pem')];
  openssl('req', '-x509', ...newKey, '-days', '2', '-subj', `/CN=${name}`, '-keyout', key, '-out', certificate);
  return {
    certificate,
    issue(subject: string, extension = 'extendedKeyUsage=clientAuth'): string {
      const own = join(folder, subject);
      mkdirSync(own);
      const [request, extensions] = [join(own, 'request.pem'), join(own, 'extensions')];
      writeFileSync(extensions, extension);
      openssl('req', ...newKey, '-subj', `/CN=${subject}`, '-keyout', join(own, 'key.pem'), '-out', request);
      openssl(
        ...['x509', '-req', '-in', request, '-CA', certificate, '-CAkey', key, '-CAcreateserial', '-days', '2'],
        ...['-extfile', extensions, '-out', join(own, 'cert.pem')],
      );
      writeFileSync(join(own, 'ca.pem'), readFileSync(certificate));
      return own;
    },
  };
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
