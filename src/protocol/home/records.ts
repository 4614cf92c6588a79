export type Ike = 'ikev1' | 'ikev2';

export interface HomeAgent {
  readonly id: number;
  readonly name: string;
  readonly address: string;
  readonly host: string;
  /** `2001:db8:1::/64` */
  readonly prefix: string;
  readonly capacity: number;
  readonly weight: number;
  readonly leases: number;
  /** As the operator said. */
  readonly state: 'up' | 'draining' | 'down';
  /** Host of the server whose probe says that it does not answer; undefined: it does, or nobody asks. */
  readonly failedBy: string | undefined;
  readonly target: string | undefined;
  /** By preference. */
  readonly ike: readonly Ike[];
}

export interface Subscriber {
  readonly nai: string;
  readonly enabled: boolean;
  readonly mip6: boolean;
  readonly localHomeAgent: boolean;
  readonly pskRoot: 'msk' | 'emsk' | undefined;
  /** Name of the home agent that it always gets. */
  readonly homeAgent: string | undefined;
  readonly homeAddress: string | undefined;
  /** Seconds. */
  readonly sessionLifetime: number | undefined;
  /** Name (SAN or CN) in its certificate, where that is not the NAI. */
  readonly certificateName: string | undefined;
  /** SHA-256 of its certificate, 64 hexadecimal digits: no other is taken. */
  readonly certificateSha256: string | undefined;
  /** A second session beside one that lives is refused, or takes the lease over. */
  readonly sessions: 'one' | 'replace';
  /** How often a session took the lease of another that had not ended. */
  readonly takeovers: number;
}

/** A subscriber with nothing but a name: in, with Mobile IPv6, bound to nothing. */
export function plainSubscriber(nai: string): Subscriber {
  return {
    nai,
    enabled: true,
    mip6: true,
    localHomeAgent: true,
    pskRoot: undefined,
    homeAgent: undefined,
    homeAddress: undefined,
    sessionLifetime: undefined,
    certificateName: undefined,
    certificateSha256: undefined,
    sessions: 'replace',
    takeovers: 0,
  };
}

/** What a client proved about itself. */
export interface Proof {
  /** Names in its certificate, in the order in which they are looked up. */
  readonly names: readonly string[];
  /** SHA-256 of its certificate, hexadecimal, lower case. */
  readonly sha256: string;
  /** Session that it asks for. */
  readonly sessionId: string;
}

export type Found =
  | { readonly subscriber: Subscriber }
  | {
      readonly refusal: 'no-subscriber' | 'disabled' | 'other-certificate' | 'second-session' | 'other-subscriber';
      readonly nai?: string;
    };

export interface Lease {
  readonly homeAddress: string;
  readonly nai: string;
  readonly homeAgent: HomeAgent;
  readonly sessionId: string;
  /** Milliseconds since 1970, UTC. */
  readonly acquiredAt: number;
  readonly expiresAt: number;
}

/** A session as an operator sees it. Times: milliseconds since 1970, UTC. */
export interface Session {
  readonly sessionId: string;
  readonly nai: string;
  /** Origin-Host and Origin-Realm of the PAA. */
  readonly origin: string;
  readonly originRealm: string | undefined;
  readonly kind: 'home' | 'local' | undefined;
  readonly homeAgent: string | undefined;
  readonly homeAddress: string | undefined;
  /** Serial number of its certificate, hexadecimal. */
  readonly serial: string | undefined;
  readonly startedAt: number;
  readonly expiresAt: number;
}

/** What the visited network proposes of its own. */
export interface LocalProposal {
  readonly homeAgent: string;
  readonly homeAddress: string;
}

export interface BootstrapRequest {
  readonly nai: string;
  readonly sessionId: string;
  readonly origin: string;
  readonly originRealm: string | undefined;
  readonly originState: number | undefined;
  /** The certificate: identifier of its issuer, a colon, its serial number; hexadecimal, lower case. */
  readonly certificate?: string | undefined;
  /** Undefined: the node asks for no Mobile IPv6. */
  readonly wish: 'home' | 'local' | 'any' | undefined;
  readonly local: LocalProposal | undefined;
  /** Milliseconds from the moment when this is asked: how long session and lease live unless prolonged. */
  readonly sessionLifetime: number;
  readonly leaseLifetime: number;
  /** Unless it is the store's own time. */
  readonly now?: number;
}

export type NoMobility = 'not-wanted' | 'not-granted' | 'no-home-agent' | 'prefix-full';

export type BootstrapResult =
  | {
      readonly result: 'home';
      readonly lease: Lease;
      readonly renewed: boolean;
      readonly released: Lease | undefined;
      /** The session, not ended yet, that had the lease until now. */
      readonly takenFrom: string | undefined;
    }
  | { readonly result: 'local'; readonly local: LocalProposal; readonly released: Lease | undefined }
  | { readonly result: 'none'; readonly reason: NoMobility; readonly released: Lease | undefined }
  /** The session is none: what was true when its certificate was looked at is not any more. */
  | {
      readonly result: 'refused';
      readonly reason: 'no-subscriber' | 'disabled' | 'second-session' | 'other-subscriber';
      readonly released: undefined;
    };
