import type { MobilityAssignment } from '../../mip6/assignment.js';

/** Settings of the relay agent that a reload can change. */
export interface RelayConfig {
  /** Name of the interface of the access link. */
  readonly interface: string;
  /** An address of the access link, from which the server chooses addresses and options; 16 octets, zero: none. */
  readonly linkAddress: Uint8Array;
  /** Addresses of the servers. Each one gets every message. */
  readonly servers: readonly string[];
  /** Addresses of relay agents behind this one, whose Relay-forward messages are relayed. */
  readonly relays: readonly string[];
}

/** An authorized client. */
export interface RelayClient {
  readonly sessionId: number;
  /** As PANA sees it; a link-local one with its scope. */
  readonly address: string;
  /** The user name from the AAA server. */
  readonly user: string;
  /** What the AAA server assigned. Undefined: no home agent, or one of this access network. */
  readonly assignment: MobilityAssignment | undefined;
}

/** Where a datagram is from; a link-local address has its scope. */
export interface RelayEnd {
  readonly address: string;
  readonly port: number;
}

export type RelayInput =
  /** A datagram to port 547. */
  | { readonly type: 'datagram'; readonly octets: Uint8Array; readonly from: RelayEnd }
  /** A client was authorized, re-authorized, or has moved. */
  | { readonly type: 'client'; readonly client: RelayClient }
  | { readonly type: 'moved'; readonly sessionId: number; readonly address: string }
  /** A client may no longer pass. */
  | { readonly type: 'gone'; readonly sessionId: number }
  /** Answers `readNeighbours`: MAC addresses by address, without scopes. Empty if they cannot be read. */
  | { readonly type: 'neighbours'; readonly macs: ReadonlyMap<string, string> }
  | { readonly type: 'configure'; readonly config: RelayConfig }
  | { readonly type: 'tick' };

/** Why a datagram was discarded. */
export const RELAY_DROPS = [
  /** It is no DHCPv6 message, or one of its options is wrong. */
  'malformed',
  /** Its source is not on the access link, no server and no relay agent. */
  'unknown-source',
  /** Its type does not come from there. */
  'unexpected',
  /** A client sent options that only relay agents send. */
  'relay-option',
  /** It has passed too many relay agents. */
  'hop-limit',
  /** It does not answer a message of this relay agent. */
  'unasked',
  /** Too many messages came from one client, or in total. */
  'rate-of-client',
  'rate-in-all',
  /** Too many messages wait for the MAC address of their clients. */
  'waiting-in-all',
  /** With the options of the relay agent it would be too long. */
  'too-long',
] as const;

export type RelayDrop = (typeof RELAY_DROPS)[number];

/** What a client's message was relayed with. */
export const SUPPLIED = [
  /** The home network information of its session. */
  'home-network',
  /** No session belongs to the client. */
  'no-session',
  /** Sessions of different users belong to it. */
  'ambiguous',
  /** The session has no home agent of the home network. */
  'no-home-agent',
] as const;

export type Supplied = (typeof SUPPLIED)[number];

export type RelayOutput =
  | { readonly type: 'send'; readonly octets: Uint8Array; readonly to: RelayEnd }
  /** Read the neighbours of the access link. Answered by `neighbours`. */
  | { readonly type: 'readNeighbours' }
  /** Make the kernel look up the MAC address of this client. */
  | { readonly type: 'solicit'; readonly address: string }
  /** A client's message went to the servers. */
  | {
      readonly type: 'forwarded';
      readonly messageType: number;
      readonly address: string;
      readonly supplied: Supplied;
      readonly sessionId: number | undefined;
    }
  /** An answer of a server went to a client or relay agent. */
  | { readonly type: 'delivered'; readonly messageType: number; readonly address: string; readonly server: string }
  | { readonly type: 'dropped'; readonly reason: RelayDrop; readonly address: string };
