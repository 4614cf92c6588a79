/** What an error of ours says about itself. */
interface ErrorRow {
  /** The class that has the code. */
  readonly of: string;
  /** Whether its message is meant for people as it stands; else it is a matter of programs, or a fault of ours. */
  readonly people: boolean;
  /** Whether an operator has to put something right: trying again changes nothing. */
  readonly fixable: boolean;
}

const PEOPLE = { people: true, fixable: false } as const;
const OPERATOR = { people: true, fixable: true } as const;
const PROGRAM = { people: false, fixable: false } as const;

/** Every code of an error of ours. Codes are stable: logs, counters and scripts go by them. */
export const ERROR_CODES = {
  /** Something has to be put right: the message says what, where, and what would be right. */
  ERR_OPERATOR: { of: 'OperatorError', ...OPERATOR },
  /** No daemon listens on the control socket. */
  ERR_NO_DAEMON: { of: 'NoDaemonError', ...OPERATOR },
  /** A CRL that its issuer did not sign, or was not allowed to. */
  ERR_CRL_SIGNATURE: { of: 'CrlSignatureError', ...OPERATOR },
  /** What the demo promises did not happen. */
  ERR_DEMO: { of: 'DemoError', ...OPERATOR },
  /** The daemon cannot start now, and may be able to in a while. */
  ERR_START: { of: 'StartError', ...PEOPLE },
  /** A running daemon refuses its operator's request. */
  ERR_CONTROL: { of: 'ControlError', ...PEOPLE },
  /** A folder of certificates, or a request about it, is wrong. */
  ERR_PKI: { of: 'PkiError', ...OPERATOR },

  /** It is there already. */
  ERR_STORE_EXISTS: { of: 'StoreError', ...OPERATOR },
  ERR_STORE_NOT_FOUND: { of: 'StoreError', ...OPERATOR },
  /** An argument of the operation is wrong. */
  ERR_STORE_VALUE: { of: 'StoreError', ...OPERATOR },
  /** Something else depends on it. */
  ERR_STORE_IN_USE: { of: 'StoreError', ...OPERATOR },
  /** There is no such operation, or operators may not ask for it. */
  ERR_STORE_OPERATION: { of: 'StoreError', ...OPERATOR },

  /** A newer version of this program wrote the database. */
  ERR_STORE_NEWER: { of: 'DatabaseError', ...OPERATOR },
  /** The database does not keep what the store needs, or its URL is wrong. */
  ERR_STORE_REFUSED: { of: 'DatabaseError', ...OPERATOR },
  /** The database cannot be opened now. */
  ERR_STORE_OPEN: { of: 'DatabaseError', ...PEOPLE },
  /** Another process has it. */
  ERR_STORE_LOCKED: { of: 'DatabaseError', ...PEOPLE },
  /** Too many calls wait. */
  ERR_STORE_BUSY: { of: 'DatabaseError', ...PEOPLE },
  /** The database was lost. */
  ERR_STORE_DOWN: { of: 'DatabaseError', ...PEOPLE },
  /** The disk of the database is full, whichever database it is. */
  ERR_STORE_FULL: { of: 'DatabaseError', ...PEOPLE },
  /** An operation of the store failed by a fault of ours. */
  ERR_STORE_FAULT: { of: 'StoreFault', ...PROGRAM },
  /** PostgreSQL asks for a password that nobody gave. */
  ERR_STORE_PASSWORD: { of: 'PasswordError', ...OPERATOR },

  /** A value that must not reach a hook. */
  ERR_HOOK_VALUE: { of: 'HookValueError', ...PROGRAM },
  /** A CRL is well formed, but of a kind that is not followed. */
  ERR_CRL_KIND: { of: 'CrlKindError', ...PROGRAM },
  /** A key was used after it was wiped. */
  ERR_SECRET_WIPED: { of: 'WipedSecretError', ...PROGRAM },

  /** Fewer octets than a length field, or the format, asks for. */
  truncated: { of: 'DecodeError', ...PROGRAM },
  /** Octets left over after the value. */
  leftover: { of: 'DecodeError', ...PROGRAM },
  /** A length field that contradicts its own header, its type or a limit. */
  'bad-length': { of: 'DecodeError', ...PROGRAM },
  /** A value outside of what its format allows. */
  'bad-value': { of: 'DecodeError', ...PROGRAM },
  /** Bits set that must not be, or not together. */
  'bad-flags': { of: 'DecodeError', ...PROGRAM },
  /** A protocol version that is not ours. */
  'bad-version': { of: 'DecodeError', ...PROGRAM },
  /** More elements, or deeper nesting, than the limit named beside the decoder. */
  'too-many': { of: 'DecodeError', ...PROGRAM },
} as const satisfies Record<string, ErrorRow>;

type Codes = typeof ERROR_CODES;

export type ErrorCode = keyof Codes;

/** The codes of one class of errors, by its name. */
export type CodeOf<C extends Codes[ErrorCode]['of']> = {
  [K in ErrorCode]: Codes[K]['of'] extends C ? K : never;
}[ErrorCode];
