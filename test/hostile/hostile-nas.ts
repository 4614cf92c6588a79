import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Place } from '../../dist/lab/lab.js';
import { parseAddress } from '../../src/protocol/bytes/address.js';
import { encodeUtf8 } from '../../src/protocol/bytes/octets.js';
import { answerTo } from '../../src/protocol/diameter/wire/answers.js';
import { type DiameterMessage, decodeDiameter, encodeDiameter, FLAG } from '../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, CER, DER, DPR, DWA, DWR, STR } from '../../src/protocol/diameter/wire/commands.js';
import { Dictionary } from '../../src/protocol/diameter/wire/dictionary.js';
import { DiameterFramer } from '../../src/protocol/diameter/wire/framer.js';
import { Grammarian } from '../../src/protocol/diameter/wire/grammar.js';
import type { PeerCredentials } from '../../src/runtime/eap/engine.js';
import { EapPeer } from '../../src/runtime/eap/peer.js';
import { breakStream, encodeForStream, mutateDiameter } from './diameter-mutations.js';
import type { Chance } from './seed.js';

const grammarian = new Grammarian(new Dictionary());
const octets = (text: string) => parseAddress(text) ?? new Uint8Array(16);

/** Time limit for an answer, in milliseconds. */
const ANSWER = 2_000;

/** A PAA towards the AAA server that follows the protocol but sends mutated messages before each correct one. */
export class HostileNas {
  readonly #server: Place;
  readonly #host: string;
  readonly #chance: Chance;
  readonly #waiting = new Map<number, (answer: DiameterMessage | undefined) => void>();
  #socket: Socket | undefined;
  #hopByHop = 0;
  #session = 0;
  #closed = true;
  sent = 0;
  accepted = 0;
  refused = 0;
  connections = 0;

  constructor(server: Place, host: string, chance: Chance) {
    this.#server = server;
    this.#host = host;
    this.#chance = chance;
  }

  get isOpen(): boolean {
    return !this.#closed;
  }

  async open(): Promise<void> {
    const socket = connect(this.#server.port, this.#server.address);
    await once(socket, 'connect');
    socket.setNoDelay(true);
    this.#socket = socket;
    this.#closed = false;
    this.connections += 1;
    const framer = new DiameterFramer();
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#closed = true;
      for (const resolve of this.#waiting.values()) resolve(undefined);
      this.#waiting.clear();
    });
    socket.on('data', (chunk) => {
      for (const message of framer.push(chunk)) this.#take(decodeDiameter(message));
    });
    await this.#ask(this.#cer());
  }

  close(): void {
    this.#socket?.destroy();
  }

  /**
   * Runs one conversation with up to 2 × `before` mutated messages before each correct one. Resolves to whether it was
   * authorized.
   */
  async converse(credentials: PeerCredentials, before: number): Promise<boolean> {
    this.#session += 1;
    const sessionId = `${this.#host};${process.hrtime.bigint()};${this.#session}`;
    let response: ((packet: Uint8Array) => void) | undefined;
    const peer = new EapPeer({ identity: '@home.example', mtu: 1100, credentials }, (event) => {
      if (event.type === 'response') response?.(event.packet);
      else if (event.type === 'keys') {
        event.msk.wipe();
        event.emsk.wipe();
      } else if (event.type !== 'succeeded') response?.(new Uint8Array(0));
    });
    let payload: Uint8Array = Uint8Array.of(2, 1, 0, 18, 1, ...encodeUtf8('@home.example'));
    try {
      for (let round = 0; round < 20; round += 1) {
        const der = this.#der(sessionId, payload, round === 0);
        this.#mutants(der, before);
        const answer = await this.#ask(der);
        if (!answer) return false;
        const code = grammarian.find(answer.avps, 'Result-Code');
        const packet =
          grammarian.find(answer.avps, 'EAP-Payload') ?? grammarian.find(answer.avps, 'EAP-Reissued-Payload');
        if (code === 2001) {
          this.accepted += 1;
          const str = this.#str(sessionId);
          this.#mutants(str, before);
          await this.#ask(str);
          return true;
        }
        if (code !== 1001 || !packet) {
          this.refused += 1;
          return false;
        }
        payload = await new Promise<Uint8Array>((resolve) => {
          response = resolve;
          peer.receive(packet);
        });
        if (payload.length === 0) return false;
      }
      return false;
    } finally {
      peer.close();
    }
  }

  /** Sends a message that ends the connection, and waits until the connection is closed. */
  async breakConnection(): Promise<void> {
    const socket = this.#socket;
    if (!socket || this.#closed) return;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    this.sent += 1;
    const origin = { 'Origin-Host': this.#host, 'Origin-Realm': 'access.example' };
    const dpr = grammarian.message(DPR, APPLICATION.COMMON, { ...origin, 'Disconnect-Cause': this.#chance.below(3) });
    if (this.#chance.in(3)) socket.write(encodeDiameter(mutateDiameter(dpr, this.#chance)));
    else if (this.#chance.in(2)) socket.write(encodeDiameter(this.#cer()).subarray(0, this.#chance.below(100)));
    else socket.write(breakStream(encodeDiameter(this.#cer()), this.#chance));
    setTimeout(() => socket.destroy(), 20);
    await closed;
  }

  /** Opens connections with a mutated CER. */
  async sendBadCapabilities(count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      const socket = connect(this.#server.port, this.#server.address);
      socket.on('error', () => undefined);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      await once(socket, 'connect');
      this.sent += 1;
      socket.resume();
      socket.end(encodeDiameter(mutateDiameter(this.#cer(), this.#chance)));
      setTimeout(() => socket.destroy(), 50);
      await closed;
    }
  }

  #mutants(of: DiameterMessage, before: number): void {
    const count = before === 0 ? 0 : this.#chance.below(2 * before);
    for (let i = 0; i < count; i += 1) {
      const identifiers = { hopByHop: this.#next(), endToEnd: this.#next() };
      const origin = { 'Origin-Host': this.#host, 'Origin-Realm': 'access.example' };
      const what = this.#chance.in(6) ? grammarian.message(DWR, APPLICATION.COMMON, origin) : of;
      this.#put(mutateDiameter({ ...what, ...identifiers }, this.#chance));
    }
  }

  #put(message: DiameterMessage): void {
    const framed = encodeForStream(message, this.#chance);
    if (!framed || !this.#socket?.writable) return;
    this.sent += 1;
    this.#socket.write(framed);
  }

  /** Sends a correct message and resolves with its answer; undefined if there is none. */
  async #ask(message: DiameterMessage): Promise<DiameterMessage | undefined> {
    const { hopByHop } = message;
    if (this.#closed) return undefined;
    const answered = new Promise<DiameterMessage | undefined>((resolve) => this.#waiting.set(hopByHop, resolve));
    const limit = setTimeout(() => this.#waiting.get(hopByHop)?.(undefined), ANSWER);
    this.sent += 1;
    this.#socket?.write(encodeDiameter(message));
    const answer = await answered;
    clearTimeout(limit);
    this.#waiting.delete(hopByHop);
    return answer;
  }

  #take(message: DiameterMessage): void {
    if (!(message.flags & FLAG.R)) {
      this.#waiting.get(message.hopByHop)?.(message);
      return;
    }
    if (message.commandCode !== DWR.code) return;
    const origin = { 'Origin-Host': this.#host, 'Origin-Realm': 'access.example' };
    this.#socket?.write(encodeDiameter(answerTo(message, grammarian.write(DWA, { 'Result-Code': 2001, ...origin }))));
  }

  #next(): number {
    this.#hopByHop = (this.#hopByHop + 1) >>> 0;
    return this.#hopByHop;
  }

  #cer(): DiameterMessage {
    const capabilities = {
      'Origin-Host': this.#host,
      'Origin-Realm': 'access.example',
      'Host-IP-Address': [octets('127.0.0.1')],
      'Vendor-Id': 0,
      'Product-Name': 'hostile',
      'Auth-Application-Id': [APPLICATION.EAP],
    };
    return grammarian.message(CER, APPLICATION.COMMON, capabilities, {
      hopByHop: this.#next(),
      endToEnd: this.#next(),
    });
  }

  #der(sessionId: string, payload: Uint8Array, isFirst: boolean): DiameterMessage {
    const mobility = isFirst
      ? {
          'MIP6-Feature-Vector': 3n,
          'Mobility-Capability': 0x3f,
          'MIP-Mobile-Node-Address': [octets('2001:db8:a::77')],
          'MIP6-Agent-Info': [
            {
              'MIP-Home-Agent-Address': [octets('2001:db8:a::1')],
              'MIP6-Home-Link-Prefix': Uint8Array.of(64, ...octets('2001:db8:a::')),
            },
          ],
        }
      : {};
    return grammarian.message(
      DER,
      APPLICATION.EAP,
      {
        'Session-Id': sessionId,
        'Auth-Application-Id': APPLICATION.EAP,
        'Auth-Request-Type': 3,
        'Origin-Host': this.#host,
        'Origin-Realm': 'access.example',
        'Destination-Realm': 'home.example',
        'User-Name': '@home.example',
        'NAS-Identifier': this.#host,
        'Calling-Station-Id': '192.0.2.7',
        'Framed-MTU': 1100,
        'EAP-Payload': payload,
        ...mobility,
      } as never,
      { hopByHop: this.#next(), endToEnd: this.#next() },
    );
  }

  #str(sessionId: string): DiameterMessage {
    return grammarian.message(
      STR,
      APPLICATION.EAP,
      {
        'Session-Id': sessionId,
        'Origin-Host': this.#host,
        'Origin-Realm': 'access.example',
        'Destination-Realm': 'home.example',
        'Auth-Application-Id': APPLICATION.EAP,
        'Termination-Cause': 1,
      },
      { hopByHop: this.#next(), endToEnd: this.#next() },
    );
  }
}
