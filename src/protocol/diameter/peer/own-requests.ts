import type { DiameterMessage } from '../wire/codec.js';
import type { ConnectionId, PeerOutput } from './alphabet.js';
import type { EndToEndIdentifiers } from './identifiers.js';

export type Sent = Extract<PeerOutput, { type: 'send' }>;

/** Identifiers of requests to a peer (RFC 6733 3), and the unanswered DWRs. */
export class OwnRequests {
  readonly #identifiers: EndToEndIdentifiers;
  #hopByHop: number;
  /** Hop-by-Hop Identifiers of unanswered DWRs on the open connection. */
  readonly #probes = new Set<number>();

  /** `hopByHop`: 32 random bits. */
  constructor(identifiers: EndToEndIdentifiers, hopByHop: number) {
    this.#identifiers = identifiers;
    this.#hopByHop = hopByHop;
  }

  nextHopByHop(): number {
    this.#hopByHop = (this.#hopByHop + 1) >>> 0;
    return this.#hopByHop;
  }

  ask(connection: ConnectionId, message: DiameterMessage): Sent {
    const identifiers = { hopByHop: this.nextHopByHop(), endToEnd: this.#identifiers.next() };
    return { type: 'send', connection, message: { ...message, ...identifiers } };
  }

  /** Sends a DWR to check whether the connection is alive. */
  probe(connection: ConnectionId, dwr: DiameterMessage): Sent {
    const asked = this.ask(connection, dwr);
    this.#probes.add(asked.message.hopByHop);
    return asked;
  }

  /** Handles a DWA. Returns false if it answers no DWR. */
  probed({ hopByHop }: DiameterMessage): boolean {
    return this.#probes.delete(hopByHop);
  }

  /** Discards unanswered DWRs, because another connection has been opened. */
  forgetProbes(): void {
    this.#probes.clear();
  }
}
