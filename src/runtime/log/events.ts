/** The message of every log line. Values that vary are in fields. */
export type LogEvent =
  // Start and end of a daemon.
  | 'old key files not removed'
  | 'ready'
  | 'start failed'
  | 'configuration reloaded'
  | 'reload failed'
  | 'restart required'
  | 'stopping'
  | 'stopped'
  | 'killed'
  | 'signal ignored'
  | 'service manager not notified'
  | 'fault contained'
  | 'too many faults'
  | 'log lines lost'
  // Certificates and CRLs.
  | 'weak setting'
  | 'certificates reloaded'
  | 'certificates not reloaded'
  | 'CRL reloaded'
  | 'CRL not reloaded'
  | 'CRL not verified'
  | 'credential expiring'
  | 'credential expired'
  | 'certificate revoked'
  // Messages of PANA and Diameter.
  | 'message sent'
  | 'message received'
  | 'message dropped'
  | 'EAP packet discarded'
  // Diameter peers.
  | 'peer connected'
  | 'peer disconnected'
  | 'peer refused'
  | 'peer suspected'
  | 'peer recovered'
  | 'TLS connection failed'
  | 'request answered'
  | 'request unanswered'
  | 'request rejected'
  | 'request failed over'
  | 'duplicate request answered'
  // Sessions.
  | 'session authorized'
  | 'session reauthenticated'
  | 'session refused'
  | 'session moved'
  | 'session replaced'
  | 'session terminating'
  | 'session ended'
  | 'sessions lost'
  | 'older sessions not ended'
  | 'reauthentication postponed'
  | 'invitation unanswered'
  | 'AAA server not responding'
  | 'AAA answer rejected'
  | 'authentication succeeded'
  | 'authentication failed'
  | 'authorization failed'
  | 'conversations expired'
  | 'limit reached'
  // The PaC.
  | 'PAA not found'
  | 'PAA unreachable'
  | 'PAA not responding'
  | 'PAA responding again'
  | 'PAA offers no usable algorithm'
  | 'session starting'
  | 'network changed'
  | 'network monitor missing'
  | 'interface missing'
  | 'session retry scheduled'
  | 'EAP keys derived'
  | 'EAP failed'
  // Mobile IPv6.
  | 'bootstrap completed'
  | 'bootstrap refreshed'
  | 'bootstrap withdrawn'
  | 'Mobile IPv6 unavailable'
  | 'lease assigned'
  | 'lease renewed'
  | 'lease released'
  | 'lease expired'
  | 'lease taken over'
  | 'lease file not written'
  | 'local home agent granted'
  | 'local home agent refreshed'
  | 'local home agent allowed'
  | 'home agent unusable'
  | 'home agent down'
  | 'home agent not responding'
  | 'home agent responding again'
  | 'home agent nodes moved'
  // The store.
  | 'store available'
  | 'store unavailable'
  | 'store terminated'
  | 'store warning'
  | 'store operation completed'
  | 'store operation failed'
  | 'duty resumed'
  | 'clock stepped'
  // Hooks and probes.
  | 'hook output'
  | 'hook done'
  | 'hook failed'
  | 'hook refused'
  | 'hook time limit changed'
  | 'probe output'
  | 'probe failed'
  | 'probe refused';

/** The fields of log lines. A name has the same meaning in all daemons. */
interface FieldTypes {
  /** A Diameter peer or host. `toPeer`: the peer that a request is sent to instead. */
  readonly peer: string;
  readonly toPeer: string;
  /** The address of a PaC, a PAA, or a connecting host. `fromAddress`: the one before a move. */
  readonly address: string;
  readonly port: number;
  readonly fromAddress: string;
  /** The care-of address of this node. */
  readonly careOfAddress: string;
  /**
   * In the PaC and PAA, a PANA session; in the AAA server, a Diameter Session-Id, which the PAA logs as
   * `diameterSession`. `fromSession`: the session that held the lease before.
   */
  readonly session: string;
  readonly fromSession: string;
  readonly diameterSession: string;
  /** The subscriber. `identity`: what an unauthenticated EAP peer claims. `ikeIdentity`: the identity for IKE. */
  readonly nai: string;
  readonly identity: string;
  readonly ikeIdentity: string;
  /** The reason: a constant code or a text. `detail` explains a code. */
  readonly reason: string;
  readonly detail: string;
  /** A Result-Code by its RFC name. */
  readonly resultCode: string;
  /** Milliseconds. */
  readonly duration: number;
  /** Lifetime of a session or lease in seconds. */
  readonly lifetime: number;
  /** The home agent's address. Also its name for operators, its FQDN, and whether it is in the visited network. */
  readonly homeAgent: string;
  readonly homeAgentName: string;
  readonly homeAgentHost: string;
  readonly homeAgentKind: 'home' | 'local';
  readonly homeAddress: string;
  /** The agreed Mobile IPv6 capability, and the first digits of the key's hash. */
  readonly capability: string;
  readonly ike: string;
  readonly root: string;
  readonly fingerprint: string;
  /** The integrity algorithm of PANA. */
  readonly protection: string;
  /** The TLS version, and whether the session was resumed. */
  readonly tls: string;
  readonly resumed: boolean;
  /** Whether the session was in the store. */
  readonly known: boolean;
  /** A message by its RFC name and by the paper's name; its sequence number and size in octets. */
  readonly message: string;
  readonly paper: string;
  readonly sequence: number;
  readonly octets: number;
  /** The Product-Name of a peer. */
  readonly product: string;
  /** One or more configuration keys. */
  readonly option: string;
  /** One or more paths. */
  readonly file: string;
  /** The subject of a certificate or the issuer of a CRL, its serial number, the whole days left, and its end. */
  readonly credential: string;
  readonly issuer: string;
  readonly serial: string;
  readonly days: number;
  readonly until: string;
  /** The role and event of a hook, the number of tries, a line of its output, and milliseconds since its event. */
  readonly role: string;
  readonly event: string;
  readonly subject: string;
  readonly try: number;
  readonly line: string;
  readonly sinceEvent: number;
  /** The time limit of a hook in milliseconds. */
  readonly timeLimit: number;
  /** The operation of an operator, and the operator's name. */
  readonly operation: string;
  readonly operator: string;
  /** A count, and the limit that it reached. */
  readonly count: number;
  readonly limit: string;
  /** Milliseconds by which the clock was set forward. */
  readonly step: number;
  /** The entry point of a fault, its stack, and the number of faults at this entry point that were not logged. */
  readonly where: string;
  readonly stack: string | undefined;
  readonly unlogged: number;
  readonly signal: string;
  /** Addresses and ports that are listened on. */
  readonly listening: readonly { readonly address: string; readonly port: number }[];
}

export type LogFields = { readonly [Name in keyof FieldTypes]?: FieldTypes[Name] | undefined };

/** Writes one log line. */
interface LogCall {
  (event: LogEvent): void;
  (fields: LogFields, event: LogEvent): void;
}

/** The logger of a daemon. A misspelt event or field does not compile. */
export interface Logger {
  level: string;
  isLevelEnabled(level: string): boolean;
  readonly trace: LogCall;
  readonly debug: LogCall;
  readonly info: LogCall;
  readonly warn: LogCall;
  readonly error: LogCall;
  readonly fatal: LogCall;
}
