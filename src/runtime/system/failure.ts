import { CodedError } from '../../errors/coded-error.js';

/** An error that the operator has to fix. Its message states what is wrong, where, and what to do. */
export class OperatorError extends CodedError<'ERR_OPERATOR'> {
  override readonly name = 'OperatorError';
  /** What is wrong and where: the message without `remedy`. */
  readonly problem: string;
  /** What to do, if the message says it. */
  readonly remedy: string | undefined;

  constructor(problem: string, { remedy, ...options }: ErrorOptions & { readonly remedy?: string } = {}) {
    super('ERR_OPERATOR', remedy === undefined ? problem : `${problem}: ${remedy}`, options);
    this.problem = problem;
    this.remedy = remedy;
  }
}

/** A start failure that may resolve itself: a later start may succeed. */
export class StartError extends CodedError<'ERR_START'> {
  override readonly name = 'StartError';

  constructor(message: string, options?: ErrorOptions) {
    super('ERR_START', message, options);
  }
}

/** Exit status for an invalid request or configuration. */
export const EXIT_OPERATOR = 2;

const SYSTEM: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is in use by another program',
  EADDRNOTAVAIL: 'this host has no such address',
  ENOTFOUND: 'no such host or address',
  EAI_AGAIN: 'the name cannot be resolved now',
  EACCES: 'not permitted: this user may not access the file or folder, or a folder above it',
  EPERM: 'not permitted',
  EEXIST: 'a file with this name exists',
  ENAMETOOLONG: 'the name is too long',
  ENOSPC: 'the disk is full',
  EROFS: 'the file system is read-only',
  ELOOP: 'its symbolic links form a loop',
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is not a folder',
};

/** EACCES of a socket. */
const PORT_NOT_PERMITTED = 'not permitted: a port below 1024 needs root or CAP_NET_BIND_SERVICE';

/** EINVAL of these calls concerns the address; that of any other call is a fault of this program. */
const BINDING: readonly unknown[] = ['bind', 'listen'];

/**
 * Classifies why a daemon did not start, for the service manager. A wrong configuration remains an OperatorError: a
 * retry cannot help. A database that is down, a missing address, or a clock that is not set becomes a StartError.
 */
export function asStartError(error: unknown): unknown {
  if (error instanceof CodedError && error.isOperators) return error;
  const text = explainFailure(error);
  return text === undefined ? error : new StartError(text, { cause: error });
}

/** Explains an error to the operator. Undefined for a fault of this program, which is logged with its stack. */
export function explainFailure(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error instanceof CodedError) return error.isForPeople ? error.message : undefined;
  const {
    code = '',
    address,
    port,
    path,
    syscall,
    hostname,
  } = error as NodeJS.ErrnoException & {
    address?: string;
    port?: number;
    hostname?: string;
  };
  const text = bindingProblem(code, syscall, port) ?? SYSTEM[code];
  if (text === undefined) return undefined;
  // A UNIX socket has port -1.
  const where =
    path ?? hostname ?? (address === undefined ? syscall : port === -1 ? address : `${address} port ${port ?? 0}`);
  return `${where}: ${text} (${code})`;
}

/** Why an address and port cannot be bound. A UNIX socket has port -1. */
function bindingProblem(code: string, syscall: string | undefined, port: number | undefined): string | undefined {
  if (!BINDING.includes(syscall)) return undefined;
  if (code === 'EACCES') return port === -1 ? undefined : PORT_NOT_PERMITTED;
  return code === 'EINVAL' ? 'a link-local address needs an interface of this host, as in fe80::1%eth0' : undefined;
}
