/** Location of a PaC: its address as text (with the scope of a link-local one) and its port. */
export interface PacEndpoint {
  readonly address: string;
  readonly port: number;
  /** The local socket that it sends to. */
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
  /** Whether PAR[S] had a Mobility-Capability. */
  readonly offersMobility: boolean;
  /** The EAP-Payload of PAR[S]. */
  readonly eapRequest: Uint8Array | undefined;
}
