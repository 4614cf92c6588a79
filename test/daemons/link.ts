import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Place } from '../../dist/lab/lab.js';
import type { PanaMessage } from '../../src/protocol/pana/wire/codec.js';
import { decodePana } from '../../src/protocol/pana/wire/codec.js';
import { messageName } from '../../src/protocol/pana/wire/dictionary.js';
import { within } from '../eventually.js';

export interface Passing {
  readonly from: 'pac' | 'paa';
  readonly name: string;
  readonly octets: Uint8Array;
  readonly message: PanaMessage;
}

/** Returns the messages to deliver in place of a message that passes the link. */
export type Interference = (passing: Passing) => readonly Uint8Array[];

/** A link between a PaC and a PAA with an attacker who can read and replace messages. */
export class Link {
  readonly #front: Socket;
  readonly #back: Socket;
  readonly #paa: Place;
  #pac: { readonly address: string; readonly port: number } | undefined;
  readonly recorded: Passing[] = [];
  interfere: Interference = ({ octets }) => [octets];

  private constructor(front: Socket, back: Socket, paa: Place) {
    this.#front = front;
    this.#back = back;
    this.#paa = paa;
    front.on('message', (octets, { address, port }) => {
      this.#pac = { address, port };
      this.#pass('pac', octets);
    });
    back.on('message', (octets) => this.#pass('paa', octets));
  }

  static async open(paa: Place): Promise<Link> {
    const sockets = [createSocket('udp6'), createSocket('udp6')] as const;
    for (const socket of sockets) {
      socket.bind({ address: paa.address, port: 0 });
      await within(once(socket, 'listening'), 'socket listens');
    }
    return new Link(...sockets, paa);
  }

  /** The address that the PaC uses as its PAA. */
  get place(): Place {
    return this.#front.address();
  }

  /** Sends octets to one end as if from the other. */
  send(to: 'pac' | 'paa', octets: Uint8Array): void {
    if (to === 'paa') this.#back.send(octets, this.#paa.port, this.#paa.address);
    else if (this.#pac) this.#front.send(octets, this.#pac.port, this.#pac.address);
  }

  close(): void {
    this.#front.close();
    this.#back.close();
  }

  #pass(from: 'pac' | 'paa', octets: Uint8Array): void {
    const message = decodePana(octets);
    const passing = { from, octets: octets.slice(), message, name: messageName(message).rfc };
    this.recorded.push(passing);
    for (const each of this.interfere(passing)) this.send(from === 'pac' ? 'paa' : 'pac', each);
  }
}
