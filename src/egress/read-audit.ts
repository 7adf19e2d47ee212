import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { ProxyError } from '../errors.ts';
import { auditFiles } from './audit-file.ts';

/**
 * The files of the log in a folder, oldest first; none where there is no folder. A log that cannot be looked for is not taken for none.
 * @throws ProxyError `invalid_config` when the folder cannot be read.
 */
export async function findAuditFiles(folder: string): Promise<readonly string[]> {
  try {
    return await auditFiles(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw unreadable(`The folder of the audit log, ${folder},`, code, error);
  }
}

/**
 * Opens a file of the log to read. Only a regular one: a named pipe would be waited for without end.
 * @throws ProxyError `invalid_config` when it cannot be read, or is none.
 */
export async function openAuditToRead(file: string): Promise<FileHandle> {
  let handle: FileHandle;
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw unreadable(`The file ${file} of the audit log`, (error as NodeJS.ErrnoException).code, error);
  }
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw new ProxyError('invalid_config', `${file} is no regular file, which the audit log would be; put it aside, or name another folder`);
}

function unreadable(what: string, code: string | undefined, cause: unknown): ProxyError {
  const message = `${what} cannot be read (${code ?? 'unknown'}); name the right one, or run this as a user who may read it`;
  return new ProxyError('invalid_config', message, { cause });
}
