/** Location of a PaC: its address as text (with the scope of a link-local one) and its port. */
export interface PacEndpoint {
  readonly address: string;
  readonly port: number;
  /** The local socket that it sends to, and its relay if it has one. */
  readonly local: string;
  /** Where its messages come from and go to if they are relayed (RFC 6345). */
  readonly relay?: RelayEndpoint;
}

/** Location of a relay: its address as text, the port that it sends from, and the local socket that it sends to. */
export interface RelayEndpoint {
  readonly address: string;
  readonly port: number;
  readonly local: string;
}

/** Location as a table key. */
export function placeOf(peer: PacEndpoint): string {
  return `${peer.address}|${peer.port}|${peer.local}`;
}

/** A start that PAN[S] has proven: the peer has received this PAR[S]. */
export interface Start {
  readonly sessionId: number;
  readonly sequence: number;
  readonly salt: number;
  readonly iPar: Uint8Array;
  /** Whether PAR[S] had the E flag (RFC 5873). */
  readonly preAuthentication: boolean;
  /** Whether PAR[S] had a Mobility-Capability. */
  readonly offersMobility: boolean;
  /** The values of Encryption-Algorithm in PAR[S]. */
  readonly encryption: readonly number[];
  /** The EAP-Payload of PAR[S]. */
  readonly eapRequest: Uint8Array | undefined;
}
