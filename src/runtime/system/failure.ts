import { CodedError } from '../../errors/coded-error.js';

/** Something that the operator has to put right. Its message says what, where, and what would be right. */
export class OperatorError extends CodedError<'ERR_OPERATOR'> {
  override readonly name = 'OperatorError';

  constructor(message: string, options?: ErrorOptions) {
    super('ERR_OPERATOR', message, options);
  }
}

/** Something that may be otherwise in a while: a daemon that is started again may run. */
export class StartError extends CodedError<'ERR_START'> {
  override readonly name = 'StartError';

  constructor(message: string, options?: ErrorOptions) {
    super('ERR_START', message, options);
  }
}

/** Exit status of a program that was asked for something that cannot be. */
export const EXIT_OPERATOR = 2;

const SYSTEM: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is in use by another program',
  EADDRNOTAVAIL: 'this host has no such address',
  EACCES: 'not permitted: a port below 1024 needs root or CAP_NET_BIND_SERVICE, a file or folder its permissions',
  EPERM: 'not permitted',
  EEXIST: 'a file is in the way',
  ENAMETOOLONG: 'the name is too long',
  ENOSPC: 'the disk is full',
  EROFS: 'the file system is read-only',
  ELOOP: 'its symbolic links lead in a circle',
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is not a folder',
};

/**
 * Why a daemon does not start, for whoever starts it again: it need not be tried with a configuration that is wrong, but
 * with a database that is down, an address that is not there yet, or a clock that is not set.
 */
export function asStartError(error: unknown): unknown {
  if (error instanceof CodedError && error.isOperators) return error;
  const text = explainFailure(error);
  return text === undefined ? error : new StartError(text, { cause: error });
}

/** What to tell the operator; undefined for a fault of ours, which deserves its stack. */
export function explainFailure(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error instanceof CodedError) return error.isForPeople ? error.message : undefined;
  const {
    code = '',
    address,
    port,
    path,
    syscall,
  } = error as NodeJS.ErrnoException & {
    address?: string;
    port?: number;
  };
  const text = SYSTEM[code];
  if (text === undefined) return undefined;
  // A UNIX socket has port -1.
  const where = path ?? (address === undefined ? syscall : port === -1 ? address : `${address} port ${port ?? 0}`);
  return `${where}: ${text} (${code})`;
}
