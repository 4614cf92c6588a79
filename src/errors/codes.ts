/** The properties of an error code. */
interface ErrorRow {
  /** The class that uses the code. */
  readonly of: string;
  /** Whether the message can be shown to people as it is. Otherwise the error is for programs, or a fault. */
  readonly people: boolean;
  /** Whether an operator has to fix something; retrying does not help. */
  readonly fixable: boolean;
}

const PEOPLE = { people: true, fixable: false } as const;
const OPERATOR = { people: true, fixable: true } as const;
const PROGRAM = { people: false, fixable: false } as const;

/** All error codes. They are stable: logs, counters and scripts rely on them. */
export const ERROR_CODES = {
  /** The operator has to fix something. The message states what, where, and what would be valid. */
  ERR_OPERATOR: { of: 'OperatorError', ...OPERATOR },
  /** No daemon listens on the control socket. */
  ERR_NO_DAEMON: { of: 'NoDaemonError', ...OPERATOR },
  /** The node has no address from which the PAA can be reached. */
  ERR_NO_SOURCE: { of: 'NoSourceError', ...PEOPLE },
  /** A CRL that its issuer did not sign or must not sign. */
  ERR_CRL_SIGNATURE: { of: 'CrlSignatureError', ...OPERATOR },
  /** A step of the demo failed. */
  ERR_DEMO: { of: 'DemoError', ...OPERATOR },
  /** The daemon cannot start now; a later start may succeed. */
  ERR_START: { of: 'StartError', ...PEOPLE },
  /** A node of a load has no session, or lost it. */
  ERR_LOAD_NODE: { of: 'NodeFailure', ...PEOPLE },
  /** A running daemon refused an operator's request. */
  ERR_CONTROL: { of: 'ControlError', ...PEOPLE },
  /** A certificate folder, or a request about it, is invalid. */
  ERR_PKI: { of: 'PkiError', ...OPERATOR },

  /** The object already exists. */
  ERR_STORE_EXISTS: { of: 'StoreError', ...OPERATOR },
  ERR_STORE_NOT_FOUND: { of: 'StoreError', ...OPERATOR },
  /** An argument of the operation is invalid. */
  ERR_STORE_VALUE: { of: 'StoreError', ...OPERATOR },
  /** Another object depends on it. */
  ERR_STORE_IN_USE: { of: 'StoreError', ...OPERATOR },
  /** The operation does not exist, or is not available to operators. */
  ERR_STORE_OPERATION: { of: 'StoreError', ...OPERATOR },

  /** A newer version of this program wrote the database. */
  ERR_STORE_NEWER: { of: 'DatabaseError', ...OPERATOR },
  /** The database lacks what the store needs, or its URL is invalid. */
  ERR_STORE_REFUSED: { of: 'DatabaseError', ...OPERATOR },
  /** The database cannot be opened at present. */
  ERR_STORE_OPEN: { of: 'DatabaseError', ...PEOPLE },
  /** Another process has locked the database. */
  ERR_STORE_LOCKED: { of: 'DatabaseError', ...PEOPLE },
  /** Too many calls are pending. */
  ERR_STORE_BUSY: { of: 'DatabaseError', ...PEOPLE },
  /** The connection to the database was lost. */
  ERR_STORE_DOWN: { of: 'DatabaseError', ...PEOPLE },
  /** The disk of the database (of either kind) is full. */
  ERR_STORE_FULL: { of: 'DatabaseError', ...PEOPLE },
  /** A store operation failed because of a fault in this program. */
  ERR_STORE_FAULT: { of: 'StoreFault', ...PROGRAM },
  /** PostgreSQL requires a password, but none was given. */
  ERR_STORE_PASSWORD: { of: 'PasswordError', ...OPERATOR },

  /** A value that must not be passed to a hook. */
  ERR_HOOK_VALUE: { of: 'HookValueError', ...PROGRAM },
  /** A well-formed CRL of an unsupported kind. */
  ERR_CRL_KIND: { of: 'CrlKindError', ...PROGRAM },
  /** A key was used after it had been wiped. */
  ERR_SECRET_WIPED: { of: 'WipedSecretError', ...PROGRAM },

  /** Fewer octets than a length field or the format requires. */
  truncated: { of: 'DecodeError', ...PROGRAM },
  /** Octets left over after the value. */
  leftover: { of: 'DecodeError', ...PROGRAM },
  /** A length field that contradicts its own header, its type or a limit. */
  'bad-length': { of: 'DecodeError', ...PROGRAM },
  /** A value that its format does not allow. */
  'bad-value': { of: 'DecodeError', ...PROGRAM },
  /** Bits that must not be set, or must not be set together. */
  'bad-flags': { of: 'DecodeError', ...PROGRAM },
  /** An unsupported protocol version. */
  'bad-version': { of: 'DecodeError', ...PROGRAM },
  /** More elements or deeper nesting than the decoder's limit. */
  'too-many': { of: 'DecodeError', ...PROGRAM },
} as const satisfies Record<string, ErrorRow>;

type Codes = typeof ERROR_CODES;

export type ErrorCode = keyof Codes;

/** The codes of one error class, by its name. */
export type CodeOf<C extends Codes[ErrorCode]['of']> = {
  [K in ErrorCode]: Codes[K]['of'] extends C ? K : never;
}[ErrorCode];
