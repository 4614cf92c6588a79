import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Place } from '../../dist/lab/lab.js';
import { Patience, USUAL_LIMIT } from '../../src/lab/patience.js';
import { type DiameterMessage, decodeDiameter, encodeDiameter, FLAG } from '../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, CER } from '../../src/protocol/diameter/wire/commands.js';
import { Dictionary } from '../../src/protocol/diameter/wire/dictionary.js';
import { DiameterFramer } from '../../src/protocol/diameter/wire/framer.js';
import { Grammarian } from '../../src/protocol/diameter/wire/grammar.js';
import { within } from '../eventually.js';

export const grammarian = new Grammarian(new Dictionary());

/** A Diameter connection whose messages a test writes. */
export class RawPeer {
  readonly #socket: Socket;
  readonly #framer = new DiameterFramer();
  readonly #answers: DiameterMessage[] = [];
  readonly #waiting: { resolve(message: DiameterMessage): void; reject(error: Error): void }[] = [];
  #error: Error | undefined;
  readonly closed: Promise<void>;
  /** Returns the answer to a request of the other end; undefined: none. By default none is answered, not even a DWR. */
  onRequest: (message: DiameterMessage) => DiameterMessage | undefined = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    void this.closed.then(() => this.#fail(new Error('the other end has closed the connection')));
    socket.on('data', (chunk) => {
      for (const octets of this.#framer.push(chunk)) this.#take(decodeDiameter(octets));
    });
  }

  static async connect(place: Place): Promise<RawPeer> {
    const socket = connect(place.port, place.address);
    await within(once(socket, 'connect'), 'the connection to the daemon is made');
    return new RawPeer(socket);
  }

  /** A connection that has exchanged capabilities as this host. */
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
    if (grammarian.find(answer.avps, 'Result-Code') !== 2001) throw new Error('the CER was not answered with 2001');
    return peer;
  }

  /** Sends octets and resolves with the next answer. */
  ask(octets: Uint8Array): Promise<DiameterMessage> {
    this.send(octets);
    return this.next();
  }

  send(octets: Uint8Array): void {
    this.#socket.write(octets);
  }

  /** Resolves with the next answer. Rejects when the connection is closed or the time limit has passed. */
  next(limit = USUAL_LIMIT): Promise<DiameterMessage> {
    const ready = this.#answers.shift();
    if (ready) return Promise.resolve(ready);
    if (this.#error) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      const patience = new Patience(limit);
      const cancel = patience.whenOver(() => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(new Error(`no Diameter answer within ${patience}`));
      });
      const waiting = {
        resolve: (message: DiameterMessage) => {
          cancel();
          resolve(message);
        },
        reject: (error: Error) => {
          cancel();
          reject(error);
        },
      };
      this.#waiting.push(waiting);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    this.#error = error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }

  #take(message: DiameterMessage): void {
    if (message.flags & FLAG.R) {
      const answer = this.onRequest(message);
      if (answer) this.send(encodeDiameter(answer));
      return;
    }
    const waiting = this.#waiting.shift();
    if (waiting) waiting.resolve(message);
    else this.#answers.push(message);
  }
}
