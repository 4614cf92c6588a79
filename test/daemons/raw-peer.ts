import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type DiameterMessage, decodeDiameter, encodeDiameter, FLAG } from '../../src/protocol/diameter/codec.js';
import { APPLICATION, CER } from '../../src/protocol/diameter/commands.js';
import { Dictionary } from '../../src/protocol/diameter/dictionary.js';
import { Grammarian } from '../../src/protocol/diameter/grammar.js';
import { DiameterFramer } from '../../src/runtime/diameter-framer.js';
import type { Place } from '../../src/tool/lab.js';

export const grammarian = new Grammarian(new Dictionary());

/** A Diameter connection whose messages a test writes by hand. */
export class RawPeer {
  readonly #socket: Socket;
  readonly #framer = new DiameterFramer();
  readonly #answers: DiameterMessage[] = [];
  readonly #waiting: ((message: DiameterMessage) => void)[] = [];
  readonly closed: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('data', (chunk) => {
      for (const octets of this.#framer.push(chunk)) this.#take(decodeDiameter(octets));
    });
  }

  static async connect(place: Place): Promise<RawPeer> {
    const socket = connect(place.port, place.address);
    await once(socket, 'connect');
    return new RawPeer(socket);
  }

  /** One that has exchanged capabilities as this host. */
  static async open(place: Place, host: string): Promise<RawPeer> {
    const peer = await RawPeer.connect(place);
    const answer = await peer.ask(
      encodeDiameter(
        grammarian.message(CER, APPLICATION.COMMON, {
          'Origin-Host': host,
          'Origin-Realm': host.slice(host.indexOf('.') + 1),
          'Host-IP-Address': [new Uint8Array(16).fill(1)],
          'Vendor-Id': 0,
          'Product-Name': 'raw',
          'Auth-Application-Id': [APPLICATION.EAP],
        }),
      ),
    );
    if (grammarian.find(answer.avps, 'Result-Code') !== 2001) throw new Error('the CER was not welcome');
    return peer;
  }

  /** Sends octets and resolves with the next answer that comes. */
  ask(octets: Uint8Array): Promise<DiameterMessage> {
    this.send(octets);
    return this.next();
  }

  send(octets: Uint8Array): void {
    this.#socket.write(octets);
  }

  next(): Promise<DiameterMessage> {
    const ready = this.#answers.shift();
    return ready ? Promise.resolve(ready) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  close(): void {
    this.#socket.destroy();
  }

  /** What the other end asks, its watchdog, is left unanswered. */
  #take(message: DiameterMessage): void {
    if (message.flags & FLAG.R) return;
    const waiting = this.#waiting.shift();
    if (waiting) waiting(message);
    else this.#answers.push(message);
  }
}
