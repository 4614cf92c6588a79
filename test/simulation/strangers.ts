import { CER_TIMEOUT } from '../../src/protocol/diameter/node/new-connections.js';
import { DIAMETER_PORT } from '../../src/protocol/diameter/wire/ports.js';
import { EAP_CODE, EAP_TYPE, encodeEap } from '../../src/protocol/eap/codec.js';
import { receive } from '../../src/protocol/pana/session/session.js';
import { encodePana, FLAG, MESSAGE_TYPE, type PanaAvp } from '../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../src/protocol/pana/wire/dictionary.js';
import type { TransportConnection } from '../../src/runtime/diameter/transport.js';
import { type Dice, Life } from './clock.js';
import { naiOf } from './credentials.js';
import { type Place, STRANGE } from './links.js';
import { linkOfPaa, PANA_PORT, paaAddress, paaDiameterAddress, serverAddress } from './machines.js';
import { TIMES } from './recovery.js';
import type { World } from './world.js';

/** The enterprise number of the daemons' own AVPs. */
const VENDOR = 32473;

/**
 * What a stranger does after a PAA has answered its PCI. `silent`: it does nothing. `mute`: it completes the start and
 * then sends nothing. `empty`: it answers every request without an EAP response. `garbage`: it sends the name of a
 * subscriber, and then random octets in place of TLS.
 */
const WAYS = ['silent', 'mute', 'empty', 'garbage'] as const;
type Way = (typeof WAYS)[number];

/** How long a stranger waits for messages: longer than a phase of PANA without progress. */
const LISTENS = 2 * TIMES.progress;

/** How long a connection without CER may stay open, in milliseconds: the limit of RFC 6733 5.6 and one second. */
const INTRUSION = CER_TIMEOUT + 1_000;

/** The largest number of strangers of one visit that complete a start. It limits the cost of their sessions. */
const MAX_STARTING = 20;

/** Hosts without a certificate, on the access links and between the PAAs and the AAA servers. */
export class Strangers {
  readonly #world: World;
  readonly #dice: Dice;
  readonly #say: (detail: string) => void;

  /** `say` is called when strangers cause more work than they may. */
  constructor(world: World, dice: Dice, say: (detail: string) => void) {
    this.#world = world;
    this.#dice = dice;
    this.#say = say;
  }

  /** Sends datagrams of several strangers to a PAA at once. */
  visit(paa: number, count: number): void {
    const to = { address: paaAddress(paa), port: PANA_PORT };
    const pci = encodePana({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] });
    for (let i = 0; i < count; i += 1) {
      const from = { address: `${linkOfPaa(paa)}${STRANGE}${this.#dice.whole(1, 50).toString(16)}`, port: 40_000 };
      const isPci = this.#dice.chance(0.5);
      if (isPci && i < MAX_STARTING) this.#begin(from, to, this.#dice.pick(WAYS));
      this.#world.links.inject(isPci ? pci : this.#dice.octets(this.#dice.whole(0, 200)), from, to);
    }
  }

  #begin(from: Place, to: Place, way: Way): void {
    if (way === 'silent') return;
    const { links, begun } = this.#world;
    links.listen(from, LISTENS, (octets) => {
      const received = receive(octets, VENDOR);
      if ('type' in received || received.message.type !== MESSAGE_TYPE.AUTH) return;
      const { message, values } = received;
      const isStart = (message.flags & FLAG.S) !== 0;
      if ((message.flags & FLAG.R) === 0 || (!isStart && way === 'mute')) return;
      const avps: PanaAvp[] = [];
      if (isStart) {
        const [prf] = values['PRF-Algorithm'];
        const [integrity] = values['Integrity-Algorithm'];
        if (prf !== undefined) avps.push(makeAvp('PRF-Algorithm', prf));
        if (integrity !== undefined) avps.push(makeAvp('Integrity-Algorithm', integrity));
      } else if (values.Nonce) avps.push(makeAvp('Nonce', this.#dice.octets(20)));
      const request = values['EAP-Payload'];
      const response = way === 'garbage' ? request && this.#response(request) : undefined;
      if (response) avps.push(makeAvp('EAP-Payload', response));
      const { sessionId, sequence, type } = message;
      begun.add(sessionId);
      const flags = message.flags & (FLAG.S | FLAG.C);
      links.inject(encodePana({ type, flags, sessionId, sequence, avps }), from, to);
    });
  }

  /** An EAP response with the name of a subscriber, or later with random octets. */
  #response(request: Uint8Array): Uint8Array {
    const identifier = request[1] ?? 0;
    const code = EAP_CODE.RESPONSE;
    if (request[4] === EAP_TYPE.IDENTITY) {
      const name = naiOf(this.#dice.whole(1, this.#world.options.nodes));
      return encodeEap({ code, identifier, type: EAP_TYPE.IDENTITY, data: new TextEncoder().encode(name) });
    }
    const data = this.#dice.octets(this.#dice.whole(1, 60));
    return encodeEap({ code, identifier, type: EAP_TYPE.EAP_TLS, data });
  }

  /** Opens connections to an AAA server that send nothing or random octets. The server must close them in time. */
  intrude(server: number, count: number): void {
    const { connections, clock, options, servers } = this.#world;
    const { name = '', life: ofServer } = servers[server - 1] ?? {};
    const to = { address: serverAddress(server), port: DIAMETER_PORT };
    for (let i = 0; i < count; i += 1) {
      const isKnown = this.#dice.chance(0.5);
      const address = isKnown ? paaDiameterAddress(this.#dice.whole(1, options.paas)) : `2001:db8:bad::${i + 1}`;
      const garbage = this.#dice.octets(this.#dice.whole(0, 60));
      const life = new Life('stranger');
      const { signal } = new AbortController();
      const connected = ({ stream }: TransportConnection) => {
        if (garbage.length > 0) stream.write(garbage);
        clock.after(INTRUSION, () => {
          if (!stream.closed && ofServer?.alive) this.#say(`${name} keeps a connection without CER from ${address}`);
          life.end();
        });
      };
      void connections
        .transportOf(address, life)
        .connect(to, '', signal)
        .then(connected, () => undefined);
    }
  }
}
