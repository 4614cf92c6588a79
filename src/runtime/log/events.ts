/** The message of every log line. Values that vary are in fields. */
export type LogEvent =
  // Start and end of a daemon.
  /** Key files that hooks of an earlier run left could not be removed; remove them by hand. */
  | 'old key files not removed'
  /** The daemon listens and serves. */
  | 'ready'
  /** The daemon was told to stop while it started, and its start failed too. */
  | 'start failed'
  /** SIGHUP: the configuration and the files that it names are in use. */
  | 'configuration reloaded'
  /** SIGHUP: something is wrong, as the reason says; the daemon goes on with the former configuration. */
  | 'reload failed'
  /** SIGHUP: keys changed that only a restart applies. */
  | 'restart required'
  /** The daemon ends its sessions and connections. */
  | 'stopping'
  /** The daemon has ended in order. */
  | 'stopped'
  /** A second signal came, or the stop took too long: the daemon ends at once. */
  | 'killed'
  /** A signal came that has no meaning for the daemon. */
  | 'signal ignored'
  /** systemd did not take a message of the daemon. */
  | 'service manager not notified'
  /** An error in the code of the daemon; only the message or session that caused it is dropped. Report it. */
  | 'fault contained'
  /** The daemon ends with status 1 after too many faults. */
  | 'too many faults'
  /** A thread for TLS handshakes has ended; `count` handshakes were lost. It is replaced after `pause`. */
  | 'worker ended'
  /** A thread has taken the place of one that ended. */
  | 'worker replaced'
  /** Standard output did not take the lines in time. */
  | 'log lines lost'
  // Certificates and CRLs.
  /** The TLS settings or the own certificate allow less than is recommended. */
  | 'weak setting'
  /** Certificates, keys or CAs changed on disk, and are in use. */
  | 'certificates reloaded'
  /** Changed certificates, keys or CAs are incomplete or do not match; the former ones stay in use. */
  | 'certificates not reloaded'
  /** A CRL changed on disk, and is in use. */
  | 'CRL reloaded'
  /** A changed CRL cannot be used; the former one stays in use. */
  | 'CRL not reloaded'
  /** The CA of a CRL is not in the CA file yet. */
  | 'CRL not verified'
  /** A certificate, CA or CRL expires within 30, 7 or 1 days. */
  | 'credential expiring'
  /** A certificate, CA or CRL has expired. */
  | 'credential expired'
  /** A session is terminated, because its certificate is revoked. */
  | 'certificate revoked'
  // Messages of PANA and Diameter.
  /** A PANA, Diameter or RADIUS message was sent. */
  | 'message sent'
  /** A PANA, Diameter or authentic RADIUS message came. */
  | 'message received'
  /** The PAA accepted a request of a RADIUS server to end or re-authenticate a session. */
  | 'request accepted'
  /** Accounting-Requests were given up: no RADIUS server acknowledged them. */
  | 'accounting records lost'
  /** A message was dropped, for the reason given; the counters of dropped messages count it. */
  | 'message dropped'
  /** A host that is not in `pana.relays` sends relayed messages, `count` since the last such line; these come more and more rarely. */
  | 'relay not allowed'
  /** RADIUS packets were discarded unanswered: one line per client and minute says why, and counts them. */
  | 'RADIUS packet discarded'
  /** A RADIUS client reports that a session began, goes on or has ended, with its octets from and to the node. */
  | 'accounting received'
  /** A DHCPv6 message went from a client to the servers, or back; reason says what was sent with it. */
  | 'DHCPv6 message relayed'
  /** A DHCPv6 datagram was dropped, for the reason given; a counter counts it. */
  | 'DHCPv6 message dropped'
  /** An EAP packet does not fit the conversation. */
  | 'EAP packet discarded'
  // Diameter peers.
  /** A Diameter connection is open. */
  | 'peer connected'
  /** A Diameter connection is closed. */
  | 'peer disconnected'
  /** A host was refused as a Diameter peer; detail says what to do. */
  | 'peer refused'
  /** A Diameter peer left a watchdog request unanswered; requests go to another. */
  | 'peer suspected'
  /** A suspected Diameter peer answers again. */
  | 'peer recovered'
  /** A TLS connection for Diameter was refused by one of its ends. */
  | 'TLS connection failed'
  /** A PAA answered a request to disconnect or re-authenticate a session. */
  | 'request answered'
  /** A PAA did not answer a request to disconnect or re-authenticate a session. */
  | 'request unanswered'
  /** A request concerns a session of another server or PAA. */
  | 'request rejected'
  /** A Diameter request was sent again to another peer. */
  | 'request failed over'
  /** A repeated Diameter request got the same answer again. */
  | 'duplicate request answered'
  // Sessions.
  /** A session is authorized for the first time. */
  | 'session authorized'
  /** A session was authenticated again. */
  | 'session reauthenticated'
  /** A client is authenticated that has not come to this network yet (RFC 5873); on a node: a PAA to which it may move. */
  | 'session pre-authenticated'
  /** The AAA server refused a client. */
  | 'session refused'
  /** A session continues at another address of its client. */
  | 'session moved'
  /** A session with another PAA replaces the former one. */
  | 'session replaced'
  /** The PAA ends a session; the enforcement point closes for it. */
  | 'session terminating'
  /** A session is over, for the reason given. */
  | 'session ended'
  /** A PAA restarted, and its former sessions are over. */
  | 'sessions lost'
  /** The older sessions of a subscriber with too many could not be ended. */
  | 'older sessions not ended'
  /** The AAA server gave no verdict; the session goes on until its lifetime ends. */
  | 'reauthentication postponed'
  /** No client answered at an address that an operator named. */
  | 'invitation unanswered'
  /** The AAA server did not answer for a session. */
  | 'AAA server not responding'
  /** An answer of the AAA server cannot be used. */
  | 'AAA answer rejected'
  /** The AAA server accepts a node's certificate. */
  | 'authentication succeeded'
  /** The AAA server refuses a node's certificate, or its TLS handshake failed. */
  | 'authentication failed'
  /** The certificate is good, but the subscriber is unknown, disabled, or bound to another certificate. */
  | 'authorization failed'
  /** EAP conversations ended because their nodes sent nothing more. */
  | 'conversations expired'
  /** Authentications are refused without a check, because a limit is reached. */
  | 'limit reached'
  // The PaC.
  /** Neither the configuration nor DHCP nor a default router names a PAA. */
  | 'PAA not found'
  /** The host has no route to a PAA, or no address from which to reach it. */
  | 'PAA unreachable'
  /** A PAA does not answer. */
  | 'PAA not responding'
  /** A silent PAA answers. */
  | 'PAA responding again'
  /** The PAA and this node have no PRF or integrity algorithm in common. */
  | 'PAA offers no usable algorithm'
  /** The node asks a PAA for a session. */
  | 'session starting'
  /** The kernel reports signs that the node is on another link. */
  | 'network changed'
  /** ip(8) or route(8), which reports changes of the network, cannot be run. */
  | 'network monitor missing'
  /** The interface of the access link does not exist. */
  | 'interface missing'
  /** The next attempt begins after this time. */
  | 'session retry scheduled'
  /** The EAP-TLS handshake is complete. */
  | 'EAP keys derived'
  /** The node refused or could not complete the authentication, for the reason given. */
  | 'EAP failed'
  // Mobile IPv6.
  /** The node has a home agent and a home address. */
  | 'bootstrap completed'
  /** The node has the same home agent and home address with new keys. */
  | 'bootstrap refreshed'
  /** The node has no home agent any more. */
  | 'bootstrap withdrawn'
  /** Neither DNS nor the DHCPv6 client names a usable home agent, for the reason given. */
  | 'home agent not found'
  /** A client has access without Mobile IPv6, for the reason given. */
  | 'Mobile IPv6 unavailable'
  /** The node asked for a sealed assignment, which the PAA or the AAA server cannot or may not give: the access network saw it. */
  | 'assignment not sealed'
  /** The node has a service besides Mobile IPv6: Mobile IPv4, or a HIP rendezvous server. In the AAA server: it assigned one. */
  | 'service assigned'
  /** The node has the same service with a new key. */
  | 'service renewed'
  /** The session of a service has ended: the hook of the service runs `down`. */
  | 'service withdrawn'
  /** A node has access without a service that it asked for, for the reason given. */
  | 'service unavailable'
  /** The server assigned a home agent and a home address. */
  | 'lease assigned'
  /** A subscriber keeps its home agent and home address. */
  | 'lease renewed'
  /** A home address is free again. */
  | 'lease released'
  /** A home address is free again, because its session ended without a message. */
  | 'lease expired'
  /** Another session of the same subscriber has the lease now. */
  | 'lease taken over'
  /** A home agent may deliver the home address of a lease by IKEv2. */
  | 'home address delivered'
  /** The PAA cannot save the home addresses of its local home agent; after a restart it does not remove them there. */
  | 'lease file not written'
  /** A client has a home address of the home agent of this access network. */
  | 'local home agent granted'
  /** A client keeps its home address of the local home agent with new keys. */
  | 'local home agent refreshed'
  /** The server lets a subscriber use the home agent of the visited network. */
  | 'local home agent allowed'
  /** A home agent was added with data that cannot be used. */
  | 'home agent unusable'
  /** An operator or the probes took a home agent out of service; its nodes are moved. */
  | 'home agent down'
  /** A home agent fails its probes. */
  | 'home agent not responding'
  /** A home agent answers its probes again. */
  | 'home agent responding again'
  /** The nodes of a home agent that is down were asked to authenticate again. */
  | 'home agent nodes moved'
  // The store.
  /** The database answers again. */
  | 'store available'
  /** No call of the store was refused for ten seconds. */
  | 'store overload ended'
  /** The store has begun to refuse calls, because they waited too long for their turn or for a lock. */
  | 'store overloaded'
  /** The database does not answer; subscribers known from before get access without Mobile IPv6. */
  | 'store unavailable'
  /** The thread of the store has ended, and the daemon ends too. */
  | 'store terminated'
  /** A setting of the database is not as recommended. */
  | 'store warning'
  /** An operation of an operator was carried out. */
  | 'store operation completed'
  /** A task of the server on its store failed. */
  | 'store operation failed'
  /** This server finishes the work of a server that ended. */
  | 'duty resumed'
  /** The clock was set, and the times in the store were shifted with it. */
  | 'clock stepped'
  // Operators.
  /** The web page can be opened; `file` has the token. */
  | 'web page ready'
  /** An operator logged in at the web page. */
  | 'operator logged in'
  /** A wrong token was given at the web page, or too many from one address. */
  | 'login refused'
  /** A logout was not stored, and is lost when the daemon restarts. */
  | 'logout not written'
  /** An operator asked to disconnect, re-authenticate or ping a session. */
  | 'operator command'
  // Hooks and probes.
  /** A line that a hook wrote. */
  | 'hook output'
  /** A hook has ended with status 0. */
  | 'hook done'
  /** A hook has failed; it is run again. */
  | 'hook failed'
  /** A hook cannot be run: it is missing or not executable. */
  | 'hook refused'
  /** The runs of a hook became slower or faster, and its time limit was changed. */
  | 'hook time limit changed'
  /** A line that a probe wrote. */
  | 'probe output'
  /** A probe of a home agent has failed. */
  | 'probe failed'
  /** A probe cannot be run: it is missing or not executable. */
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
  /** What named the home agent: `dns` or `dhcpv6`. */
  readonly source: string;
  readonly homeAgentKind: 'home' | 'local' | 'sealed';
  readonly homeAddress: string;
  /** A service besides Mobile IPv6: `mip4` or `hip`. Its server in the store, and what it assigned; see docs/services.md. */
  readonly service: string;
  readonly server: string;
  readonly mip4HomeAgent: string;
  readonly mip4HomeAddress: string;
  readonly mip4PrefixLength: number;
  readonly mip4Spi: number;
  readonly hipRvsHit: string;
  readonly hipRvsAddress: string;
  readonly hipTokenId: string;
  /** The agreed Mobile IPv6 capability, and the first digits of the key's hash. */
  readonly capability: string;
  readonly ike: string;
  readonly root: string;
  readonly fingerprint: string;
  /** The integrity algorithm of PANA. */
  readonly protection: string;
  /** Encryption-Algorithm of a PANA session; none: AVPs are not encrypted. */
  readonly encryption: string;
  /** The TLS version, and whether the session was resumed. */
  readonly tls: string;
  readonly resumed: boolean;
  /** Whether the session was in the store. */
  readonly known: boolean;
  /** A message by its RFC name and by the paper's name; its sequence number and size in octets. */
  readonly message: string;
  readonly paper: string;
  /** Whether the client had been pre-authenticated (RFC 5873). */
  readonly preAuthenticated: boolean | undefined;
  /** Whether it came or went through a relay (RFC 6345). */
  readonly relayed: boolean;
  readonly sequence: number;
  readonly octets: number;
  /** Octets from and to a node since its session began. */
  readonly octetsIn: number;
  readonly octetsOut: number;
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
  /** Number of a worker thread, and milliseconds until it is replaced. */
  readonly worker: number;
  readonly pause: number;
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
