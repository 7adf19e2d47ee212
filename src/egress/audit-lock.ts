import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { ProxyError } from '../errors.ts';

export interface AuditLock {
  release(): void;
}

/**
 * Keeps a second proxy from writing to the same folder: two writers would each take the other’s lines for tampering, and stop. An abstract socket,
 * which the kernel lets go of when its process dies; it is seen within one network namespace, so that proxies in different containers
 * still find each other only by the other’s first line.
 * @throws ProxyError `invalid_config` when another process holds the folder.
 */
export async function lockAuditFolder(folder: string): Promise<AuditLock> {
  const { dev, ino } = await stat(folder);
  const server = createServer((socket) => socket.destroy());
  // By its place on the disk: one folder has many paths.
  server.listen({ path: `\0dev.bulkhead.audit.${dev}.${ino}` });
  server.unref();
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    const message = `Another proxy writes the audit log in ${folder}; give each proxy a folder of its own (server.audit.folder), or stop the other one.`;
    throw new ProxyError('invalid_config', message, { cause: error });
  }
  return { release: () => void server.close() };
}
