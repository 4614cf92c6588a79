import type { Service } from '../mip6/services.js';

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
  /** The state that the operator has set. */
  readonly state: 'up' | 'draining' | 'down';
  /** Host of the server whose probe failed; undefined: the agent answers, or is not probed. */
  readonly failedBy: string | undefined;
  readonly target: string | undefined;
  /** In order of preference. */
  readonly ike: readonly Ike[];
}

export interface Subscriber {
  readonly nai: string;
  readonly enabled: boolean;
  readonly mip6: boolean;
  readonly localHomeAgent: boolean;
  /** Whether a home agent may deliver the home address by IKEv2, after an EAP authentication of its own. */
  readonly ikev2HomeAddress: boolean;
  readonly pskRoot: 'msk' | 'emsk' | undefined;
  /** Name of the home agent that the subscriber always gets. */
  readonly homeAgent: string | undefined;
  readonly homeAddress: string | undefined;
  /** Seconds. */
  readonly sessionLifetime: number | undefined;
  /** Name (SAN or CN) in the subscriber's certificate, if it differs from the NAI. */
  readonly certificateName: string | undefined;
  /** SHA-256 of the subscriber's certificate, 64 hexadecimal digits: no other certificate is accepted. */
  readonly certificateSha256: string | undefined;
  /** What happens with a second session while one exists: `one` refuses it, `replace` lets it take over the lease. */
  readonly sessions: 'one' | 'replace';
  /** `required`: only a node that requests its assignment sealed gets Mobile IPv6. `optional`: the node decides. */
  readonly privacy: 'optional' | 'required';
  /** The services besides Mobile IPv6 that the subscriber may have. */
  readonly services: ServicePolicy;
  /** Number of sessions that took over the lease of a session that had not ended. */
  readonly takeovers: number;
}

/** The services that a subscriber may have. */
export const SERVICE_POLICIES = ['none', 'mip4', 'hip', 'mip4,hip'] as const;
export type ServicePolicy = (typeof SERVICE_POLICIES)[number];

/** A server of a service: a home agent for Mobile IPv4, or a rendezvous server for HIP. */
export interface ServiceServer {
  readonly name: string;
  readonly service: Service;
  readonly address: string;
  /** Home addresses of Mobile IPv4: `192.0.2.0/24`. */
  readonly pool: string | undefined;
  /** Host Identity Tag of a rendezvous server. */
  readonly hit: string | undefined;
  readonly capacity: number;
  readonly leases: number;
  /** `draining`: gets no new nodes. `down`: its nodes get another server at their next authentication. */
  readonly state: 'up' | 'draining' | 'down';
  readonly target: string | undefined;
}

/** A service of a subscriber, until its session ends. */
export interface ServiceLease {
  readonly nai: string;
  readonly server: ServiceServer;
  /** The home address of Mobile IPv4; undefined for HIP. */
  readonly address: string | undefined;
  readonly sessionId: string;
  /** Milliseconds since 1970, UTC. */
  readonly acquiredAt: number;
  readonly expiresAt: number;
}

export interface ServiceRequest {
  readonly nai: string;
  readonly sessionId: string;
  readonly services: readonly Service[];
  /** From the time of this call, in milliseconds. */
  readonly leaseLifetime: number;
}

export interface ServiceResult {
  readonly assigned: readonly { readonly lease: ServiceLease; readonly renewed: boolean }[];
  readonly refused: readonly {
    readonly service: Service;
    readonly reason: 'not-granted' | 'no-server' | 'pool-full';
  }[];
  /** Leases that others replace. */
  readonly released: readonly ServiceLease[];
}

/** A subscriber with default settings: enabled, with Mobile IPv6, not bound to a certificate or home agent. */
export function plainSubscriber(nai: string): Subscriber {
  return {
    nai,
    enabled: true,
    mip6: true,
    localHomeAgent: true,
    ikev2HomeAddress: false,
    pskRoot: undefined,
    homeAgent: undefined,
    homeAddress: undefined,
    sessionLifetime: undefined,
    certificateName: undefined,
    certificateSha256: undefined,
    sessions: 'replace',
    privacy: 'optional',
    services: 'none',
    takeovers: 0,
  };
}

/** The identity that a client has proven. */
export interface Proof {
  /** Names in its certificate, in the order in which they are looked up. */
  readonly names: readonly string[];
  /** SHA-256 of its certificate, hexadecimal, lower case. */
  readonly sha256: string;
  /** The requested session. */
  readonly sessionId: string;
  /** Whether the session is one of a home agent, which is none besides that of the access network. */
  readonly isAtHomeAgent?: boolean;
}

export type FoundSubscriber =
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
  /** Mark of the duty to run the home agent's hook for the change that returned this lease; see Duty. */
  readonly duty?: string | undefined;
  /** Sessions of the home agent that ended with this lease, and that it must be told to end. */
  readonly ended?: readonly Session[] | undefined;
}

/** A session, for display. Times: milliseconds since 1970, UTC. */
export interface Session {
  readonly sessionId: string;
  readonly nai: string;
  /** Origin-Host and Origin-Realm of the PAA. */
  readonly origin: string;
  readonly originRealm: string | undefined;
  /** `ikev2`: the NAS is the home agent, which delivered the home address of the subscriber's lease by IKEv2. */
  readonly kind: 'home' | 'local' | 'ikev2' | undefined;
  readonly homeAgent: string | undefined;
  readonly homeAddress: string | undefined;
  /** Serial number of its certificate, hexadecimal. */
  readonly serial: string | undefined;
  readonly startedAt: number;
  readonly expiresAt: number;
  /** The attributes by which a RADIUS client knows the session, in hexadecimal. */
  readonly nas?: string | undefined;
  /** Octets from and to the node, and when its NAS last reported them. */
  readonly reported?: { readonly at: number; readonly octetsIn: number; readonly octetsOut: number } | undefined;
  /** Mark of the duty to disconnect this removed session at its NAS; see Duty. */
  readonly duty?: string | undefined;
}

/** The home agent proposal of the visited network. */
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
  /** The certificate: identifier of its issuer, a colon, and its serial number, in lower-case hexadecimal. */
  readonly certificate?: string | undefined;
  /** Undefined: the node does not request Mobile IPv6. */
  readonly wish: 'home' | 'local' | 'any' | undefined;
  readonly local: LocalProposal | undefined;
  /** Lifetimes of session and lease from the time of this call, in milliseconds. */
  readonly sessionLifetime: number;
  readonly leaseLifetime: number;
  /** Default: the store's own clock. */
  readonly now?: number;
}

/** The session of a node at its home agent, which authenticates the node by EAP in IKEv2. */
export interface HomeAgentRequest extends Omit<BootstrapRequest, 'wish' | 'local'> {
  /** Name of the home agent that asks. */
  readonly homeAgent: string;
}

export type NoMobility = 'not-wanted' | 'not-granted' | 'no-home-agent' | 'prefix-full';

/** What the store says of each session that it has stored. */
export interface StoredSession {
  /** Whether its subscriber has no other session at its NAS. Undefined: unknown. */
  readonly alone?: boolean | undefined;
}

export type BootstrapResult =
  | (StoredSession & {
      readonly result: 'home';
      readonly lease: Lease;
      readonly renewed: boolean;
      readonly released: Lease | undefined;
      /** The session that had the lease until now and has not ended. */
      readonly takenFrom: string | undefined;
      /** Remaining lifetime of the session in milliseconds, if the lease shortens it. */
      readonly sessionLifetime?: number | undefined;
    })
  | (StoredSession & {
      readonly result: 'local';
      readonly local: LocalProposal;
      readonly released: Lease | undefined;
    })
  | (StoredSession & {
      readonly result: 'none';
      readonly reason: NoMobility;
      readonly released: Lease | undefined;
    })
  /**
   * The session was not stored, because the subscriber has changed since its certificate was checked, or because a home
   * agent must not deliver a home address to it.
   */
  | {
      readonly result: 'refused';
      readonly reason: 'no-subscriber' | 'disabled' | 'second-session' | 'other-subscriber' | HomeAgentRefusal;
      readonly released: Lease | undefined;
    };

/**
 * Why a home agent delivers no home address: the subscriber may not get it by IKEv2; the store does not know the home
 * agent, or as one without IKEv2; the subscriber has its lease on another one, or is pinned to another one; or there is no room.
 */
export type HomeAgentRefusal =
  | 'not-permitted'
  | 'unknown-home-agent'
  | 'no-common-ike'
  | 'other-home-agent'
  | NoMobility;
