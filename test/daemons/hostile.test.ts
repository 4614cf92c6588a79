import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket as TcpSocket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Drbg } from '../../src/protocol/bytes/drbg.js';
import { fromHex } from '../../src/protocol/bytes/octets.js';
import { encodeDiameter, messageLength } from '../../src/protocol/diameter/codec.js';
import { APPLICATION, CER, DPR, DWR } from '../../src/protocol/diameter/commands.js';
import { Dictionary } from '../../src/protocol/diameter/dictionary.js';
import { Grammarian } from '../../src/protocol/diameter/grammar.js';
import { encodePana } from '../../src/protocol/pana/codec.js';
import { callDaemon } from '../../src/runtime/control.js';
import { Lab, type Place } from '../../src/tool/lab.js';
import { OCTETS } from '../protocol/diameter/vectors.js';
import { RECORDINGS, recording } from '../protocol/pana/vectors.js';

const SEED = Uint8Array.of(7);
const PANA_PACKETS = 900_000;
const DIAMETER_MESSAGES = 100_000;
const READ = 'pana_paa_datagrams_total{direction="in"}';
/** What the smallest receive buffer of a kernel holds. */
const BATCH = 150;
/** Growth of a daemon's memory that is still the noise of its garbage collector, in octets. */
const NOISE = 80 * 1024 * 1024;

let lab: Lab | undefined;

afterEach(async () => {
  const statuses = await lab?.close();
  lab = undefined;
  expect(statuses?.every((status) => status === 0) ?? true).toBe(true);
});

/** Random octets that cost little: a million packets need many. */
class Noise {
  #pool: Uint8Array;
  #at = 0;

  constructor(seed: Uint8Array) {
    this.#pool = new Drbg(seed).bytes(1 << 20);
  }

  below(limit: number): number {
    this.#at = (this.#at + 3) % (this.#pool.length - 4);
    const [a = 0, b = 0, c = 0] = this.#pool.subarray(this.#at, this.#at + 3);
    return ((a << 16) | (b << 8) | c) % limit;
  }

  octets(length: number): Uint8Array {
    const at = this.below(this.#pool.length - length);
    return this.#pool.slice(at, at + length);
  }

  /** A recording with a few octets changed, cut or grown; or nothing that ever was a message. */
  mutate(recordings: readonly Uint8Array[]): Uint8Array {
    if (this.below(4) === 0) return this.octets(this.below(300));
    const recording = recordings[this.below(recordings.length)] ?? new Uint8Array(0);
    const octets = this.below(4) === 0 ? recording.slice(0, this.below(recording.length)) : recording.slice();
    for (let i = this.below(6); i > 0; i -= 1) octets[this.below(octets.length || 1)] = this.below(256);
    return octets;
  }
}

async function numbersOf(of: Lab, name: string): Promise<(metric: string) => number> {
  const text = String(await callDaemon(of.socket(name), 'GET', '/metrics'));
  return (metric) =>
    text
      .split('\n')
      .filter((line) => line.startsWith(metric) && !line.startsWith('#'))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** Sends a batch and waits until a PCI behind it is answered: then the PAA has read them all. */
async function sendBatch(socket: Socket, packets: readonly Uint8Array[]): Promise<void> {
  const pci = encodePana({ type: 1, flags: 0, sessionId: 0, sequence: 0, avps: [] });
  for (const packet of packets) socket.send(packet);
  for (;;) {
    const answered = once(socket, 'message', { signal: AbortSignal.timeout(200) }).then(
      () => true,
      () => false,
    );
    socket.send(pci);
    if (await answered) return;
  }
}

describe('a million random and mutated packets', () => {
  it('leave the daemons up, their memory flat, and a node in the middle of them gets in', {
    timeout: 120_000,
  }, async () => {
    const made = await Lab.make({
      logLevel: 'info',
      hooks: false,
      paa: { pana: { limits: { 'pci-per-address': 1000, pci: 100_000, 'half-open': 64 } } },
      aaa: { diameter: { peers: [{ host: 'paa.access.example' }, { host: 'fuzz.access.example' }] } },
    });
    lab = made;
    const { place: aaaPlace } = await made.startAaa();
    const { place } = await made.startPaa(aaaPlace);
    await made.addSubscriber('mn1@home.example', 'mn1');
    const noise = new Noise(SEED);

    const socket = createSocket('udp6');
    socket.connect(place.port, place.address);
    await once(socket, 'connect');
    const recordings = RECORDINGS.flatMap((name) => recording(name).messages.map(({ hex }) => fromHex(hex)));
    /** What was lost on the way does not count: the PAA says how many it has read. */
    const floodUntil = async (count: number) => {
      for (let read = 0; read < count; ) {
        for (let i = 0; i < 200; i += 1) {
          await sendBatch(
            socket,
            Array.from({ length: BATCH }, () => noise.mutate(recordings)),
          );
        }
        read = (await numbersOf(made, 'paa'))(READ);
      }
    };
    await floodUntil(PANA_PACKETS / 10);
    const warm = await numbersOf(made, 'paa');
    const flooding = floodUntil(PANA_PACKETS);
    const pac = await made.startPac('mn1');
    await pac.line('bootstrapped');
    await flooding;
    socket.close();

    const flooded = await numbersOf(made, 'paa');
    expect(flooded(READ)).toBeGreaterThanOrEqual(PANA_PACKETS);
    expect(flooded('pana_paa_dropped_total')).toBeGreaterThan(PANA_PACKETS * 0.8);
    expect(flooded('pana_paa_half_open_sessions')).toBeLessThanOrEqual(64);
    const memory = 'process_resident_memory_bytes';
    expect(flooded(memory) - warm(memory)).toBeLessThan(NOISE);

    await floodDiameter(aaaPlace, noise, DIAMETER_MESSAGES / 10);
    const aaaWarm = await numbersOf(made, 'aaa');
    const strangers = await floodStrangers(aaaPlace, noise, 500);
    const answers = await floodDiameter(aaaPlace, noise, (DIAMETER_MESSAGES * 9) / 10);
    const aaaFlooded = await numbersOf(made, 'aaa');
    expect(strangers).toBe(500);
    expect(answers).toBeGreaterThan(0);
    expect(aaaFlooded('pana_aaa_diameter_dropped_total')).toBeGreaterThan(0);
    expect(aaaFlooded(memory) - aaaWarm(memory)).toBeLessThan(NOISE);
    // Both still do their work.
    await made.addSubscriber('mn2@home.example', 'mn2');
    await (await made.startPac('mn2')).line('bootstrapped');
  });

  it('each get a counter and a line at debug', async () => {
    const made = await Lab.make({ hooks: false });
    lab = made;
    const { daemon: aaa, place: aaaPlace } = await made.startAaa();
    const { daemon: paa, place } = await made.startPaa(aaaPlace);
    const socket = createSocket('udp6');
    socket.send(Uint8Array.of(1, 2, 3), place.port, place.address);
    expect(await paa.line('dropped')).toMatchObject({ level: 20, code: 'truncated', from: '::1' });
    socket.close();
    expect((await numbersOf(made, 'paa'))('pana_paa_dropped_total{code="truncated"}')).toBe(1);
    const tcp = connect(aaaPlace.port, aaaPlace.address);
    tcp.on('error', () => undefined);
    tcp.write(new Uint8Array(64).fill(0xff));
    expect(await aaa.line('dropped')).toMatchObject({ level: 20 });
    tcp.destroy();
    expect((await numbersOf(made, 'aaa'))('pana_aaa_diameter_dropped_total')).toBe(1);
  });
});

const grammarian = new Grammarian(new Dictionary());
const ORIGIN = { 'Origin-Host': 'fuzz.access.example', 'Origin-Realm': 'access.example' } as const;

/** Connections that say no CER; how many the server closed. */
async function floodStrangers(place: Place, noise: Noise, count: number): Promise<number> {
  const recordings = OCTETS;
  let closed = 0;
  for (let i = 0; i < count; i += 1) {
    const socket = connect(place.port, place.address);
    socket.on('error', () => undefined);
    socket.resume();
    const over = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.write(noise.mutate(recordings).slice(0, 400));
    // What announces more than it has waits for the rest: a second one makes it whole, or nonsense.
    socket.write(new Uint8Array(70_000).fill(noise.below(256)));
    socket.end();
    await over;
    closed += 1;
  }
  return closed;
}

/** Broken messages from a peer that is known, well framed, on as many connections as it takes; answers that came. */
async function floodDiameter(place: Place, noise: Noise, count: number): Promise<number> {
  const recordings = OCTETS;
  let answers = 0;
  for (let sent = 0; sent < count; ) {
    const peer = await FuzzPeer.connect(place);
    while (sent < count && !peer.closed) {
      const batch = Array.from({ length: 50 }, () => framed(noise.mutate(recordings)));
      sent += batch.length;
      await peer.send(batch);
    }
    answers += peer.answers;
    peer.close();
  }
  return answers;
}

/** With a Message Length that is its own. */
function framed(octets: Uint8Array): Uint8Array {
  const length = Math.max(20, (octets.length + 3) & ~3);
  const message = new Uint8Array(length);
  message.set(octets);
  message.set([1, length >> 16, length >> 8, length & 0xff]);
  return message;
}

class FuzzPeer {
  readonly #socket: TcpSocket;
  answers = 0;
  closed = false;
  #buffer = Buffer.alloc(0);
  #waiting: (() => void) | undefined;

  private constructor(socket: TcpSocket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      this.#waiting?.();
    });
    socket.on('data', (chunk) => this.#read(chunk));
  }

  static async connect(place: Place): Promise<FuzzPeer> {
    const socket = connect(place.port, place.address);
    await once(socket, 'connect');
    const peer = new FuzzPeer(socket);
    const cer = grammarian.message(CER, APPLICATION.COMMON, {
      ...ORIGIN,
      'Host-IP-Address': [new Uint8Array(16).fill(1)],
      'Vendor-Id': 0,
      'Product-Name': 'fuzz',
      'Auth-Application-Id': [APPLICATION.EAP],
    });
    const answered = new Promise<void>((resolve) => {
      peer.#waiting = resolve;
    });
    socket.write(encodeDiameter(cer));
    await answered;
    return peer;
  }

  /** Sends messages and a DWR behind them; resolves when that is answered, or the connection is closed. */
  async send(messages: readonly Uint8Array[]): Promise<void> {
    const before = this.answers;
    const dwr = encodeDiameter({ ...grammarian.message(DWR, APPLICATION.COMMON, ORIGIN), hopByHop: 0xd0d0 });
    this.#socket.write(Buffer.concat([...messages, dwr]));
    while (!this.closed && this.answers === before) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    for (;;) {
      const length = messageLength(this.#buffer);
      if (length === undefined || this.#buffer.length < length) return;
      const message = this.#buffer.subarray(0, length);
      this.#buffer = this.#buffer.subarray(length);
      const isOurs = message.readUIntBE(5, 3) === DWR.code && message.readUInt32BE(12) === 0xd0d0;
      const isCea = message.readUIntBE(5, 3) === CER.code;
      // RFC 6733 5.4: whoever gets DPA closes the transport; a recording of DPR may have asked for it.
      if (message.readUIntBE(5, 3) === DPR.code) this.close();
      if (isOurs) this.answers += 1;
      if (isOurs || isCea) this.#waiting?.();
    }
  }
}
