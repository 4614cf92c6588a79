import type { Service, ServiceAssignment } from '../mip6/services.js';
import type { Ike, Lease, LocalProposal, NoMobility } from './records.js';

/** Why an accepted node gets no Mobile IPv6. */
export type WithoutMobility =
  | NoMobility
  | 'hooks-behind'
  | 'ikev2-not-permitted'
  | 'psk-root'
  | 'privacy-required'
  | 'unfit'
  | 'no-common-ike'
  | 'store';

/** Why an accepted node does not get a service that it requested. */
export type WithoutService =
  | 'not-granted'
  | 'psk-root'
  | 'privacy-required'
  | 'hooks-behind'
  | 'no-server'
  | 'pool-full'
  | 'unfit'
  | 'store';

/** The limit that was exceeded: failures per certificate, number of conversations, or load of the TLS engine. */
export type Limited = 'certificate' | 'conversations' | 'engine';

/** Events for log and metrics. They contain no secrets. */
export type HomeEvent =
  | {
      readonly name: 'authenticated';
      readonly sessionId: string;
      readonly origin: string;
      readonly nai: string;
      readonly tls: string;
      readonly resumed: boolean;
      /** Seconds. */
      readonly lifetime: number;
      /** Milliseconds since the first packet. */
      readonly duration: number;
    }
  | {
      readonly name: 'refused';
      readonly sessionId: string;
      readonly origin: string;
      readonly identity: string | undefined;
      readonly reason: string;
      readonly detail: string;
    }
  /** The subscriber was changed between the check of its certificate and the storing of its session. */
  | { readonly name: 'notAuthorized'; readonly nai: string; readonly reason: string }
  | { readonly name: 'invalidPacket'; readonly sessionId: string; readonly reason: string }
  | {
      readonly name: 'leaseGiven';
      readonly lease: Lease;
      readonly renewed: boolean;
      readonly ike: Ike;
      readonly root: 'msk' | 'emsk';
      readonly fingerprint: string;
    }
  /** A home agent delivers the home address of a lease by IKEv2. */
  | { readonly name: 'homeAddressDelivered'; readonly lease: Lease; readonly origin: string }
  | { readonly name: 'leaseReleased'; readonly lease: Lease; readonly reason: string }
  /** A node has moved to another NAS, or two devices use the same certificate. */
  | { readonly name: 'leaseTakenOver'; readonly lease: Lease; readonly from: string; readonly origin: string }
  | { readonly name: 'localAllowed'; readonly nai: string; readonly local: LocalProposal }
  | { readonly name: 'noMobility'; readonly nai: string; readonly reason: WithoutMobility }
  | {
      readonly name: 'serviceGiven';
      readonly nai: string;
      readonly assignment: ServiceAssignment;
      /** Name of the server in the store. */
      readonly server: string;
      readonly renewed: boolean;
      readonly fingerprint: string;
    }
  | { readonly name: 'noService'; readonly nai: string; readonly service: Service; readonly reason: WithoutService }
  | { readonly name: 'unfitHomeAgent'; readonly nai: string; readonly reason: string }
  | {
      readonly name: 'storeFailed';
      readonly reason: string;
      readonly nai?: string | undefined;
      readonly origin?: string | undefined;
    }
  | { readonly name: 'sessionEnded'; readonly sessionId: string; readonly cause: string; readonly known: boolean }
  | { readonly name: 'foreignTermination'; readonly sessionId: string; readonly origin: string }
  /** A NAS has restarted and lost its sessions. */
  | { readonly name: 'sessionsLost'; readonly origin: string; readonly sessions: number }
  | { readonly name: 'olderNotEnded'; readonly nai: string; readonly reason: string }
  | { readonly name: 'limited'; readonly of: Limited }
  /** Sent at most once per REPORT_INTERVAL. */
  | {
      readonly name: 'turnedAway';
      readonly of: Limited;
      readonly clients: number;
      readonly peer: string | undefined;
      readonly address: string | undefined;
    }
  /** A subscriber gets access because of an earlier authentication while the store is unavailable. */
  | { readonly name: 'knownSubscriber'; readonly nai: string }
  | { readonly name: 'conversationsForgotten'; readonly conversations: number };
