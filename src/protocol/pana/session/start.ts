/** Where a PaC is: its address as text (with the scope of a link-local one) and its port. */
export interface PacEndpoint {
  readonly address: string;
  readonly port: number;
  /** Which of our sockets it speaks to. */
  readonly local: string;
}

/** The place as a key of tables. */
export function placeOf(peer: PacEndpoint): string {
  return `${peer.address}|${peer.port}|${peer.local}`;
}

/** A start that a PAN[S] proves: the peer got this PAR[S]. */
export interface Start {
  readonly sessionId: number;
  readonly sequence: number;
  readonly salt: number;
  readonly iPar: Uint8Array;
  /** The PAR[S] held a Mobility-Capability. */
  readonly offersMobility: boolean;
  /** The EAP-Payload that it held. */
  readonly eapRequest: Uint8Array | undefined;
}
