/** The message of every log line. What varies is in fields. */
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
  | 'session starting'
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
  | 'clock stepped'
  // Hooks and probes.
  | 'hook output'
  | 'hook done'
  | 'hook failed'
  | 'hook refused'
  | 'probe output'
  | 'probe failed'
  | 'probe refused';

/** The fields of log lines. Each has one name and one meaning in all daemons. */
interface FieldTypes {
  /** A Diameter peer or host; `toPeer`: where a request goes instead. */
  readonly peer: string;
  readonly toPeer: string;
  /** Of a PaC or PAA, or of a host that connects; `fromAddress`: before it moved. */
  readonly address: string;
  readonly port: number;
  readonly fromAddress: string;
  /** Of this node. */
  readonly careOfAddress: string;
  /**
   * A PANA session in the PaC and PAA, a Diameter Session-Id in the AAA server; in the PAA that one is `diameterSession`.
   * `fromSession`: the one that had the lease before.
   */
  readonly session: string;
  readonly fromSession: string;
  readonly diameterSession: string;
  /** The subscriber; `identity` is what an unauthenticated EAP peer claims, `ikeIdentity` what IKE uses. */
  readonly nai: string;
  readonly identity: string;
  readonly ikeIdentity: string;
  /** Why: a constant code or a text. `detail` explains a code. */
  readonly reason: string;
  readonly detail: string;
  /** By its name in the RFC. */
  readonly resultCode: string;
  /** Milliseconds. */
  readonly duration: number;
  /** Seconds of a session or lease. */
  readonly lifetime: number;
  /** Its address; its name for operators, its FQDN, and whether it is in the visited network. */
  readonly homeAgent: string;
  readonly homeAgentName: string;
  readonly homeAgentHost: string;
  readonly homeAgentKind: 'home' | 'local';
  readonly homeAddress: string;
  /** What of Mobile IPv6 was agreed on, and the first digits of the key's hash. */
  readonly capability: string;
  readonly ike: string;
  readonly root: string;
  readonly fingerprint: string;
  /** The integrity algorithm of PANA. */
  readonly protection: string;
  /** The version of TLS, and whether its session was resumed. */
  readonly tls: string;
  readonly resumed: boolean;
  /** Whether the store knew the session. */
  readonly known: boolean;
  /** A message by its RFC name, and by the paper's; its sequence number and octets. */
  readonly message: string;
  readonly paper: string;
  readonly sequence: number;
  readonly octets: number;
  /** Product-Name of a peer. */
  readonly product: string;
  /** A key of the configuration, or several. */
  readonly option: string;
  /** A path, or several. */
  readonly file: string;
  /** A certificate's subject or a CRL's issuer, with its serial number, whole days left, and end. */
  readonly credential: string;
  readonly issuer: string;
  readonly serial: string;
  readonly days: number;
  readonly until: string;
  /** What ran a hook, what for, how often it was tried, a line of its output, and milliseconds since its event. */
  readonly role: string;
  readonly event: string;
  readonly subject: string;
  readonly try: number;
  readonly line: string;
  readonly sinceEvent: number;
  /** What an operator did, and his name. */
  readonly operation: string;
  readonly operator: string;
  /** How many, and which limit they have reached. */
  readonly count: number;
  readonly limit: string;
  /** Milliseconds by which the clock was set forward. */
  readonly step: number;
  /** The entry point of a fault, its stack, and faults there that were not logged. */
  readonly where: string;
  readonly stack: string | undefined;
  readonly unlogged: number;
  readonly signal: string;
  /** Addresses and ports. */
  readonly listening: readonly { readonly address: string; readonly port: number }[];
}

export type LogFields = { readonly [Name in keyof FieldTypes]?: FieldTypes[Name] | undefined };

/** A call for one line. */
interface LogCall {
  (event: LogEvent): void;
  (fields: LogFields, event: LogEvent): void;
}

/** What daemons log with. A misspelt event or field does not compile. */
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
