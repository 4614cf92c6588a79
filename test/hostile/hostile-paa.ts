import { randomBytes } from 'node:crypto';
import { parseAddress } from '../../src/protocol/bytes/address.js';
import { identityRequest } from '../../src/protocol/nas/eap.js';
import { Paa } from '../../src/protocol/pana/agent/paa.js';
import type { PaaInput, PaaOutput } from '../../src/protocol/pana/agent/paa-interface.js';
import type { Grant } from '../../src/protocol/pana/session/paa-interface.js';
import type { PacEndpoint } from '../../src/protocol/pana/session/start.js';
import { algorithmsOf } from '../../src/protocol/pana/wire/algorithms.js';
import { encodePana, FLAG, MESSAGE_TYPE } from '../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../src/protocol/pana/wire/dictionary.js';
import { type Protection, signInPlace } from '../../src/protocol/pana/wire/keys.js';
import type { EapConversation, EapServer } from '../../src/runtime/eap/server.js';
import { UdpSocket } from '../../src/runtime/net/udp.js';
import { Driver } from '../../src/runtime/system/driver.js';
import { PAA_CONFIG } from '../protocol/pana/session/ladder.js';
import { anyRequest, mutatePana } from './pana-mutations.js';
import type { Chance } from './seed.js';

interface Client {
  conversation: EapConversation<string>;
  protection: Protection | undefined;
  lastRequest: Uint8Array | undefined;
  /** The number of messages after which mutated ones are sent while there is no key. */
  from: number;
  step: number;
  peer: PacEndpoint;
}

/** The largest number of messages that a PAA sends until its client is authorized. */
const STEPS = 12;

const octets = (text: string) => parseAddress(text) ?? new Uint8Array(16);

const GRANT: Grant = {
  lifetime: 3_000,
  authorizationLifetime: undefined,
  assignment: {
    capability: 0x02d,
    homeAgent: octets('2001:db8:1::1'),
    homeAddress: octets('2001:db8:1::77'),
    prefix: { length: 64, octets: octets('2001:db8:1::') },
    host: 'ha.home.example',
    ikeIdentity: 'mn1@home.example',
    lifetime: 3600,
  },
};

/** A PAA with its own AAA server that follows the protocol but sends mutated messages before each correct one. */
export class HostilePaa {
  readonly #chance: Chance;
  readonly #eap: EapServer<string>;
  readonly #paa: Paa;
  readonly #driver: Driver<PaaInput, PaaOutput>;
  readonly #clients = new Map<number, Client>();
  #socket: UdpSocket | undefined;
  sent = 0;
  authorized = 0;
  /** The PAA sends fewer than twice this number of mutated messages before each correct one; 0: none. */
  before: number;

  constructor(eap: EapServer<string>, before: number, chance: Chance) {
    this.#chance = chance;
    this.#eap = eap;
    this.before = before;
    const limits = {
      pciPerAddress: 1000,
      pciPerNetwork: 10_000,
      pciInAll: 100_000,
      halfOpenPerAddress: 1000,
      halfOpenPerNetwork: 1000,
      halfOpen: 1000,
      sessions: 100_000,
    };
    const config = { ...PAA_CONFIG, exportKeys: true, failedSessionTimeout: 2_000, limits };
    this.#paa = new Paa(config, randomBytes(32));
    this.#driver = new Driver<PaaInput, PaaOutput>(this.#paa, (output) => this.#perform(output));
  }

  async open(address: string): Promise<number> {
    this.#socket = await UdpSocket.open({ address, port: 0 }, (datagram, from) =>
      this.#driver.feed({ type: 'datagram', octets: datagram, from }),
    );
    return this.#socket.address.port;
  }

  async close(): Promise<void> {
    this.#driver.stop();
    await this.#socket?.close();
    for (const { conversation } of this.#clients.values()) conversation.close();
  }

  #perform(output: PaaOutput): void {
    if (output.type === 'send') this.#send(output.octets, output.to);
    else if (output.type === 'session') this.#event(output);
  }

  #send(good: Uint8Array, to: PacEndpoint): void {
    const sessionId = new DataView(good.buffer, good.byteOffset).getUint32(8);
    const client = this.#clients.get(sessionId);
    if (client) client.step += 1;
    // Before there is a key, a mutated message may end the conversation. So each conversation sends its first one at a
    // different step.
    const isDue = client ? client.step > client.from || client.protection : this.#chance.in(4);
    const count = this.before > 0 && isDue ? this.#chance.below(2 * this.before) : 0;
    for (let i = 0; i < count; i += 1) this.#put(mutatePana(good, this.#chance, client?.protection), to);
    if (client && ((good[4] ?? 0) << 8) & FLAG.R) client.lastRequest = good;
    this.#put(good, to);
  }

  #put(datagram: Uint8Array, to: PacEndpoint): void {
    this.sent += 1;
    this.#socket?.send(datagram, to);
  }

  #event({ sessionId, peer, event }: Extract<PaaOutput, { type: 'session' }>): void {
    switch (event.type) {
      case 'eapStart': {
        this.#clients.get(sessionId)?.conversation.close();
        const conversation = this.#eap.conversation({ mtu: 1100, session: String(sessionId) });
        const protection = this.#clients.get(sessionId)?.protection;
        const from = this.#chance.in(3) ? this.#chance.below(STEPS) : STEPS;
        this.#clients.set(sessionId, { conversation, protection, lastRequest: undefined, from, step: 0, peer });
        this.#feed(sessionId, { type: 'eapRequest', packet: identityRequest(this.#chance.below(256)) });
        break;
      }
      case 'eapPacket':
        void this.#eapPacket(sessionId, event.packet);
        break;
      case 'key': {
        const client = this.#clients.get(sessionId);
        const algorithms = algorithmsOf(5, event.integrity);
        if (client && algorithms) client.protection = { integrity: algorithms.integrity, key: event.key };
        break;
      }
      case 'authorized':
        this.authorized += 1;
        if (this.before > 0) this.#inside(sessionId);
        break;
      case 'closed':
        this.#clients.get(sessionId)?.conversation.close();
        this.#clients.delete(sessionId);
    }
  }

  /** Acts in an open session: sends a ping or arbitrary requests, re-authenticates, or ends the session. */
  #inside(sessionId: number): void {
    const client = this.#clients.get(sessionId);
    if (!client) return;
    this.#feed(sessionId, { type: 'ping' });
    setTimeout(() => {
      const { lastRequest } = client;
      if (lastRequest) {
        const sequence = new DataView(lastRequest.buffer, lastRequest.byteOffset).getUint32(12);
        for (let i = 0; i < 4 * this.before; i += 1) {
          const request = encodePana(anyRequest(sessionId, (sequence + this.#chance.below(3)) >>> 0, this.#chance));
          this.#put(mutatePana(request, this.#chance, client.protection), client.peer);
        }
      }
      if (this.#chance.in(3)) this.#feed(sessionId, { type: 'reauthenticate' });
      else this.#feed(sessionId, { type: 'terminate', cause: 4 });
    }, 5);
    // Ends the session whatever sequence number the PaC expects now.
    setTimeout(() => this.#end(sessionId, client), 25);
  }

  #end(sessionId: number, { protection, lastRequest, peer }: Client): void {
    if (!protection || !lastRequest) return;
    const first = new DataView(lastRequest.buffer, lastRequest.byteOffset).getUint32(12);
    const auth = makeAvp('AUTH', new Uint8Array(protection.integrity.tagLength));
    const avps = [makeAvp('Termination-Cause', 4), auth];
    for (let ahead = 0; ahead < 16; ahead += 1) {
      const sequence = (first + ahead) >>> 0;
      const ptr = { type: MESSAGE_TYPE.TERMINATION, flags: FLAG.R, sessionId, sequence, avps };
      this.#put(signInPlace(protection, encodePana(ptr)), peer);
    }
  }

  async #eapPacket(sessionId: number, packet: Uint8Array): Promise<void> {
    const client = this.#clients.get(sessionId);
    if (!client) return;
    const { conversation } = client;
    const answer = await conversation.handle(packet);
    if (this.#clients.get(sessionId)?.conversation !== conversation) return;
    if (answer.type === 'request') this.#feed(sessionId, { type: 'eapRequest', packet: answer.packet });
    else if (answer.type === 'success') {
      const { packet: success, msk, emsk } = answer;
      emsk.wipe();
      this.#feed(sessionId, { type: 'eapSuccess', packet: success, msk, authorized: true, grant: GRANT });
    } else this.#feed(sessionId, { type: 'eapFailure', packet: answer.packet });
  }

  #feed(sessionId: number, input: Extract<PaaInput, { type: 'session' }>['input']): void {
    this.#driver.feed({ type: 'session', sessionId, input });
  }
}
