import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { parseAddress } from '../../src/protocol/bytes/address.js';
import { answerTo } from '../../src/protocol/diameter/wire/answers.js';
import { type DiameterMessage, decodeDiameter, encodeDiameter, FLAG } from '../../src/protocol/diameter/wire/codec.js';
import {
  APPLICATION,
  ASR,
  CEA,
  CER,
  DEA,
  DER,
  DPR,
  DWA,
  DWR,
  RAR,
  STA,
  STR,
} from '../../src/protocol/diameter/wire/commands.js';
import { Dictionary } from '../../src/protocol/diameter/wire/dictionary.js';
import { DiameterFramer } from '../../src/protocol/diameter/wire/framer.js';
import { Grammarian } from '../../src/protocol/diameter/wire/grammar.js';
import { within } from '../eventually.js';
import { breakStream, encodeForStream, mutateDiameter } from './diameter-mutations.js';
import { FIXED_MSK } from './hostile-pac.js';
import type { Chance } from './seed.js';

const grammarian = new Grammarian(new Dictionary());
const octets = (text: string) => parseAddress(text) ?? new Uint8Array(16);

export interface ServerOptions {
  readonly host: string;
  readonly realm: string;
  /** The PAA that connects. */
  readonly paa: { readonly host: string; readonly realm: string };
  /** The server sends fewer than twice this number of requests of its own before each answer. */
  readonly before: number;
  /** Whether the server also sends messages that end a connection. */
  readonly breaks: boolean;
}

/** An AAA server without TLS and store that mutates its messages while `hostile` is true. */
export class HostileServer {
  readonly #options: ServerOptions;
  readonly #chance: Chance;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #sessions: string[] = [];
  /** Whether the server mutates messages. If not, it follows the protocol. */
  hostile = true;
  sent = 0;
  /** The number of requests that got a mutated answer. */
  disturbed = 0;

  constructor(options: ServerOptions, chance: Chance) {
    this.#options = options;
    this.#chance = chance;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  async open(address: string): Promise<number> {
    this.#server.listen(0, address);
    await within(once(this.#server, 'listening'), 'server listens');
    const at = this.#server.address();
    return typeof at === 'object' && at ? at.port : 0;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    const framer = new DiameterFramer();
    socket.on('data', (chunk) => {
      for (const message of framer.push(chunk)) this.#serve(socket, decodeDiameter(message));
    });
  }

  #serve(socket: Socket, message: DiameterMessage): void {
    if (!(message.flags & FLAG.R)) return;
    const { host, realm, breaks } = this.#options;
    const origin = { 'Origin-Host': host, 'Origin-Realm': realm };
    switch (message.commandCode) {
      case CER.code: {
        const capabilities = {
          'Result-Code': 2001,
          ...origin,
          'Host-IP-Address': [octets('127.0.0.1')],
          'Vendor-Id': 0,
          'Product-Name': 'hostile',
          'Auth-Application-Id': [APPLICATION.EAP],
        };
        const cea = answerTo(message, grammarian.write(CEA, capabilities));
        // The CEA is mutated only if connections may break, since the PAA then uses the other server.
        this.#put(socket, breaks && this.hostile && this.#chance.in(2) ? mutateDiameter(cea, this.#chance) : cea);
        if (breaks && this.hostile) setTimeout(() => this.#breakConnection(socket), 20);
        break;
      }
      case DWR.code:
        this.#put(socket, answerTo(message, grammarian.write(DWA, { 'Result-Code': 2001, ...origin })));
        break;
      case DER.code:
        this.#say(socket, this.#dea(message));
        break;
      case STR.code: {
        const sessionId = grammarian.find(message.avps, 'Session-Id') ?? '';
        this.#say(
          socket,
          answerTo(message, grammarian.write(STA, { 'Session-Id': sessionId, 'Result-Code': 2001, ...origin })),
        );
        break;
      }
    }
  }

  /** Sends an answer, possibly mutated, after unrelated requests and answers. */
  #say(socket: Socket, answer: DiameterMessage): void {
    if (this.hostile) {
      const count = this.#chance.below(2 * this.#options.before);
      for (let i = 0; i < count; i += 1) this.#put(socket, mutateDiameter(this.#ownRequest(), this.#chance));
      if (this.#chance.in(3))
        this.#put(socket, mutateDiameter({ ...answer, hopByHop: answer.hopByHop ^ 1 }, this.#chance));
      if (this.#chance.in(2)) {
        this.disturbed += 1;
        this.#put(socket, mutateDiameter(answer, this.#chance));
        return;
      }
    }
    this.#put(socket, answer);
  }

  #put(socket: Socket, message: DiameterMessage): void {
    const framed = this.hostile ? encodeForStream(message, this.#chance) : encodeDiameter(message);
    if (!framed || !socket.writable) return;
    this.sent += 1;
    socket.write(framed);
  }

  /** One EAP round, then a success with every AVP. */
  #dea(der: DiameterMessage): DiameterMessage {
    const { host, realm } = this.#options;
    const sessionId = grammarian.find(der.avps, 'Session-Id') ?? '';
    const payload = grammarian.find(der.avps, 'EAP-Payload') ?? new Uint8Array(5);
    const [, identifier = 0, , , type] = payload;
    const base = {
      'Session-Id': sessionId,
      'Auth-Application-Id': APPLICATION.EAP,
      'Auth-Request-Type': 3,
      'Origin-Host': host,
      'Origin-Realm': realm,
    };
    if (type === 1) {
      const round = Uint8Array.of(1, (identifier + 1) & 0xff, 0, 6, 13, 0x20);
      const state = this.#chance.in(2) ? { State: new Uint8Array(20).fill(7) } : {};
      return answerTo(der, grammarian.write(DEA, { ...base, 'Result-Code': 1001, 'EAP-Payload': round, ...state }));
    }
    this.#sessions.push(sessionId);
    if (this.#sessions.length > 200) this.#sessions.shift();
    return answerTo(
      der,
      grammarian.write(DEA, {
        ...base,
        'Result-Code': 2001,
        'EAP-Payload': Uint8Array.of(3, identifier, 0, 4),
        'EAP-Master-Session-Key': FIXED_MSK.slice(),
        'User-Name': 'mn1@fake.example',
        'Session-Timeout': 20,
        'Authorization-Lifetime': 20,
        'Auth-Grace-Period': 5,
        'Auth-Session-State': 0,
        'Session-Binding': 3,
        'Session-Server-Failover': 1,
        Class: [new Uint8Array(9).fill(1)],
        'Reply-Message': ['welcome'],
        'MIP6-Feature-Vector': this.#chance.in(2) ? 1n : 3n,
        'Mobility-Capability': 0x2d,
        'MIP-Mobile-Node-Address': [octets('2001:db8:1::77')],
        'MIP6-Agent-Info': [
          {
            'MIP-Home-Agent-Address': [octets('2001:db8:1::1')],
            'MIP-Home-Agent-Host': { 'Destination-Realm': realm, 'Destination-Host': `ha.${realm}` },
            'MIP6-Home-Link-Prefix': Uint8Array.of(64, ...octets('2001:db8:1::')),
          },
        ],
      } as never),
    );
  }

  #ownRequest(): DiameterMessage {
    const { host, realm, paa } = this.#options;
    const identifiers = { hopByHop: this.#chance.below(1 << 24), endToEnd: this.#chance.below(1 << 24) };
    const origin = { 'Origin-Host': host, 'Origin-Realm': realm };
    if (this.#chance.in(4)) return grammarian.message(DWR, APPLICATION.COMMON, origin, identifiers);
    const sessionId =
      this.#sessions.length > 0 && !this.#chance.in(3) ? this.#chance.one(this.#sessions) : 'no;such;session';
    const content = {
      'Session-Id': sessionId,
      ...origin,
      'Destination-Realm': paa.realm,
      'Destination-Host': paa.host,
      'Auth-Application-Id': APPLICATION.EAP,
      'User-Name': 'mn1@fake.example',
    };
    if (this.#chance.in(4)) return grammarian.message(ASR, APPLICATION.EAP, content, identifiers);
    return grammarian.message(RAR, APPLICATION.EAP, { ...content, 'Re-Auth-Request-Type': 1 }, identifiers);
  }

  /** Sends a message that ends the connection. */
  #breakConnection(socket: Socket): void {
    if (!socket.writable) return;
    const { host, realm } = this.#options;
    const content = { 'Origin-Host': host, 'Origin-Realm': realm, 'Disconnect-Cause': 0 };
    const dpr = grammarian.message(DPR, APPLICATION.COMMON, content, { hopByHop: 1, endToEnd: 1 });
    this.sent += 1;
    if (this.#chance.in(3)) socket.write(encodeDiameter(mutateDiameter(dpr, this.#chance)));
    else if (this.#chance.in(2)) socket.write(encodeDiameter(this.#ownRequest()).subarray(0, this.#chance.below(60)));
    else socket.write(breakStream(encodeDiameter(this.#ownRequest()), this.#chance));
    setTimeout(() => socket.destroy(), 20);
  }
}
