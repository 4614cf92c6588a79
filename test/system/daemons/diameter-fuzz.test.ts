import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Lab, type Place } from '../../../dist/lab/lab.js';
import { answerTo } from '../../../src/protocol/diameter/wire/answers.js';
import {
  type DiameterMessage,
  decodeDiameter,
  encodeDiameter,
  messageLength,
} from '../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, CEA, CER, DPR, DWR } from '../../../src/protocol/diameter/wire/commands.js';
import { Dictionary } from '../../../src/protocol/diameter/wire/dictionary.js';
import { Grammarian } from '../../../src/protocol/diameter/wire/grammar.js';
import { NOISE, Noise } from '../../daemons/noise.js';
import { numbersOf } from '../../daemons/numbers.js';
import { within } from '../../eventually.js';
import { OCTETS } from '../../protocol/diameter/wire/vectors.js';

const MESSAGES = 500_000;
const BATCH = 50;
const MEMORY = 'process_resident_memory_bytes';
/** Hop-by-Hop Identifier of the DWR after a batch. */
const MARK = 0xd0d0;

let lab: Lab | undefined;
let server: Server | undefined;

afterEach(async () => {
  server?.close();
  const statuses = await lab?.close();
  lab = undefined;
  server = undefined;
  expect(statuses?.every((status) => status === 0) ?? true).toBe(true);
});

const grammarian = new Grammarian(new Dictionary());
const SEED = Uint8Array.of(11);

/** Without DPR: the node would obey it and spend its time on connections. */
const RECORDINGS = OCTETS.filter((octets) => decodeDiameter(octets).commandCode !== DPR.code);

function capabilities(host: string, realm: string) {
  return {
    'Origin-Host': host,
    'Origin-Realm': realm,
    'Host-IP-Address': [new Uint8Array(16).fill(1)],
    'Vendor-Id': 0,
    'Product-Name': 'fuzz',
    'Auth-Application-Id': [APPLICATION.EAP],
  } as const;
}

/** Sets the Message Length to the real length. */
function framed(octets: Uint8Array): Uint8Array {
  const length = Math.max(20, (octets.length + 3) & ~3);
  const message = new Uint8Array(length);
  message.set(octets);
  message.set([1, length >> 16, length >> 8, length & 0xff]);
  return message;
}

/** A peer that sends only malformed messages after its capabilities exchange. */
class FuzzPeer {
  readonly #socket: Socket;
  readonly #host: string;
  answers = 0;
  closed = false;
  #buffer = Buffer.alloc(0);
  #waiting: (() => void) | undefined;
  #isOpen = false;

  private constructor(socket: Socket, host: string) {
    this.#socket = socket;
    this.#host = host;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      this.#waiting?.();
    });
    socket.on('data', (chunk) => this.#read(chunk));
  }

  static async connect(place: Place, host: string): Promise<FuzzPeer> {
    const socket = connect(place.port, place.address);
    await within(once(socket, 'connect'), 'socket connects');
    const peer = new FuzzPeer(socket, host);
    socket.write(encodeDiameter(grammarian.message(CER, APPLICATION.COMMON, capabilities(host, 'access.example'))));
    await peer.#until(() => peer.#isOpen);
    return peer;
  }

  /** For a connection from the node under test, which sends the CER. */
  static async accept(socket: Socket, host: string): Promise<FuzzPeer> {
    const peer = new FuzzPeer(socket, host);
    await peer.#until(() => peer.#isOpen);
    return peer;
  }

  /** Sends messages and a DWR; resolves when that is answered or the connection is closed. */
  async send(messages: readonly Uint8Array[]): Promise<void> {
    const before = this.answers;
    const { 'Origin-Host': host, 'Origin-Realm': realm } = capabilities(this.#host, 'access.example');
    const content = { 'Origin-Host': host, 'Origin-Realm': realm };
    const dwr = encodeDiameter({ ...grammarian.message(DWR, APPLICATION.COMMON, content), hopByHop: MARK });
    this.#socket.write(Buffer.concat([...messages, dwr]));
    await this.#until(() => this.answers > before);
  }

  close(): void {
    this.#socket.destroy();
  }

  async #until(done: () => boolean): Promise<void> {
    while (!this.closed && !done()) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
  }

  #read(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    for (;;) {
      const length = messageLength(this.#buffer);
      if (length === undefined || this.#buffer.length < length) return;
      this.#take(decodeDiameter(this.#buffer.subarray(0, length)));
      this.#buffer = this.#buffer.subarray(length);
    }
  }

  #take(message: DiameterMessage): void {
    const { commandCode, hopByHop, flags } = message;
    const isRequest = (flags & 0x80) !== 0;
    if (commandCode === CER.code && isRequest) {
      const content = { 'Result-Code': 2001, ...capabilities(this.#host, 'home.example') };
      this.#socket.write(encodeDiameter(answerTo(message, grammarian.write(CEA, content))));
    }
    if (commandCode === CER.code) this.#isOpen = true;
    // RFC 6733 5.4: the receiver of a DPA closes the transport. A recorded DPR may have caused it.
    if (commandCode === DPR.code) this.close();
    if (commandCode === DWR.code && !isRequest && hopByHop === MARK) this.answers += 1;
    this.#waiting?.();
  }
}

/**
 * Sends mutated messages with correct framing over as many connections as needed; resolves to the number of answers.
 */
async function flood(next: () => Promise<FuzzPeer>, noise: Noise, count: number): Promise<number> {
  let answers = 0;
  for (let sent = 0; sent < count; ) {
    const peer = await next();
    while (sent < count && !peer.closed) {
      const batch = Array.from({ length: BATCH }, () => framed(noise.mutate(RECORDINGS)));
      sent += batch.length;
      await peer.send(batch);
    }
    answers += peer.answers;
    peer.close();
  }
  return answers;
}

/** Opens connections without a CER; resolves to how many the server closed. */
async function floodUnauthenticated(place: Place, noise: Noise, count: number): Promise<number> {
  let closed = 0;
  for (let i = 0; i < count; i += 1) {
    const socket = connect(place.port, place.address);
    socket.on('error', () => undefined);
    socket.resume();
    const over = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.write(noise.mutate(OCTETS).slice(0, 400));
    // If the first part announces more, the second completes it or makes it invalid.
    socket.write(new Uint8Array(70_000).fill(noise.below(256)));
    socket.end();
    await over;
    closed += 1;
  }
  return closed;
}

describe('500,000 mutated Diameter messages after a capabilities exchange', () => {
  it('leave the AAA server running, its memory bounded and other peers connected', { timeout: 240_000 }, async () => {
    const made = await Lab.make({
      logLevel: 'info',
      hooks: false,
      aaa: { diameter: { peers: [{ host: 'paa.access.example' }, { host: 'fuzz.access.example' }] } },
    });
    lab = made;
    const { place } = await made.startAaa();
    const { daemon: paa } = await made.startPaa(place);
    await made.addSubscriber('mn1@home.example', 'mn1');
    const noise = new Noise(SEED);
    const next = () => FuzzPeer.connect(place, 'fuzz.access.example');
    await flood(next, noise, MESSAGES / 10);
    const warm = await numbersOf(made, 'aaa');
    const flooding = flood(next, noise, (MESSAGES * 9) / 10);
    await (await made.startPac('mn1')).line('bootstrap completed', undefined, 150_000);
    expect(await floodUnauthenticated(place, noise, 500)).toBe(500);
    expect(await flooding).toBeGreaterThan(0);
    const flooded = await numbersOf(made, 'aaa');
    expect(flooded('pana_aaa_diameter_dropped_total')).toBeGreaterThan(0);
    expect(flooded(MEMORY) - warm(MEMORY)).toBeLessThan(NOISE);
    expect(paa.lines.some(({ msg }) => msg === 'peer disconnected')).toBe(false);
    await made.addSubscriber('mn2@home.example', 'mn2');
    await (await made.startPac('mn2')).line('bootstrap completed');
  });

  it('leave the PAA running, its memory bounded and other peers connected', { timeout: 240_000 }, async () => {
    const made = await Lab.make({ logLevel: 'info', hooks: false });
    lab = made;
    const { place } = await made.startAaa();
    const waiting: ((socket: Socket) => void)[] = [];
    const arrived: Socket[] = [];
    const listener = createServer((socket) => {
      const take = waiting.shift();
      if (take) take(socket);
      else arrived.push(socket);
    });
    server = listener;
    listener.listen(0, '::1');
    await within(once(listener, 'listening'), 'listener listens');
    const bound = listener.address();
    const port = typeof bound === 'object' && bound ? bound.port : 0;
    const { daemon: paa } = await made.startPaa(place, 'paa', {
      diameter: {
        reconnect: '100ms',
        peers: [
          { host: 'aaa.home.example', address: place.address, port: place.port },
          { host: 'fuzz.home.example', address: '::1', port, priority: 9 },
        ],
        routes: [{ realm: '*', peers: ['aaa.home.example'] }],
      },
    });
    await made.addSubscriber('mn1@home.example', 'mn1');
    const noise = new Noise(SEED);
    const next = async () => {
      const socket = arrived.shift() ?? (await new Promise<Socket>((resolve) => waiting.push(resolve)));
      return FuzzPeer.accept(socket, 'fuzz.home.example');
    };
    await flood(next, noise, MESSAGES / 10);
    const warm = await numbersOf(made, 'paa');
    const flooding = flood(next, noise, (MESSAGES * 9) / 10);
    await (await made.startPac('mn1')).line('bootstrap completed', undefined, 150_000);
    expect(await flooding).toBeGreaterThan(0);
    const flooded = await numbersOf(made, 'paa');
    expect(flooded('pana_paa_diameter_dropped_total')).toBeGreaterThan(0);
    expect(flooded(MEMORY) - warm(MEMORY)).toBeLessThan(NOISE);
    const lost = paa.lines.filter((line) => line.msg === 'peer disconnected' && line['peer'] === 'aaa.home.example');
    expect(lost).toEqual([]);
    await made.addSubscriber('mn2@home.example', 'mn2');
    await (await made.startPac('mn2')).line('bootstrap completed');
  });
});
