import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Lab, type Place } from '../../../dist/lab/lab.js';
import { fromHex } from '../../../src/protocol/bytes/octets.js';
import { encodePana } from '../../../src/protocol/pana/wire/codec.js';
import { NOISE, Noise } from '../../daemons/noise.js';
import { numbersOf } from '../../daemons/numbers.js';
import { within } from '../../eventually.js';
import { RECORDINGS, recording } from '../../protocol/pana/wire/vectors.js';

const SEED = Uint8Array.of(7);
const PANA_PACKETS = 1_000_000;
const ADDRESSES = 100_000;
const READ = 'pana_paa_datagrams_total{direction="in"}';
/** The number of packets that the smallest receive buffer holds. */
const BATCH = 150;

let lab: Lab | undefined;

afterEach(async () => {
  const statuses = await lab?.close();
  lab = undefined;
  expect(statuses?.every((status) => status === 0) ?? true).toBe(true);
});

/** Sends a batch and then PCIs until one is answered, so that the PAA has read the batch. */
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

/** Sends PCIs from addresses of 127.0.0.0/8, one each; resolves when each is answered. */
async function floodAddresses(place: Place, pci: Uint8Array, first: number, end: number): Promise<void> {
  const one = async (i: number) => {
    const socket = createSocket('udp4');
    socket.bind({ address: `127.${100 + (i >> 16)}.${(i >> 8) & 0xff}.${i & 0xff}`, port: 0 });
    await within(once(socket, 'listening'), 'socket listens');
    for (;;) {
      const answered = once(socket, 'message', { signal: AbortSignal.timeout(1000) }).then(
        () => true,
        () => false,
      );
      socket.send(pci, place.port, place.address);
      if (await answered) break;
    }
    socket.close();
  };
  for (let i = first; i < end; i += BATCH) {
    await Promise.all(Array.from({ length: Math.min(BATCH, end - i) }, (_, k) => one(i + k)));
  }
}

describe('PAA under a flood', () => {
  it('of a million random and mutated packets keeps running with bounded memory and serves nodes', {
    timeout: 240_000,
  }, async () => {
    const made = await Lab.make({
      logLevel: 'info',
      hooks: false,
      paa: { pana: { limits: { 'pci-per-address': 1000, pci: 100_000, 'half-open': 64 } } },
    });
    lab = made;
    const { place: aaaPlace } = await made.startAaa();
    const { place } = await made.startPaa(aaaPlace);
    await made.addSubscriber('mn1@home.example', 'mn1');
    const noise = new Noise(SEED);

    const socket = createSocket('udp6');
    socket.connect(place.port, place.address);
    await within(once(socket, 'connect'), 'socket connects');
    const recordings = RECORDINGS.flatMap((name) => recording(name).messages.map(({ hex }) => fromHex(hex)));
    /** Lost packets do not count: the PAA reports how many it has read. */
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
    // Some messages of this node are lost in the flood and sent again.
    await pac.line('bootstrap completed', undefined, 150_000);
    await flooding;
    socket.close();

    const flooded = await numbersOf(made, 'paa');
    expect(flooded(READ)).toBeGreaterThanOrEqual(PANA_PACKETS);
    expect(flooded('pana_paa_dropped_total')).toBeGreaterThan(PANA_PACKETS * 0.8);
    expect(flooded('pana_paa_half_open_sessions')).toBeLessThanOrEqual(64);
    const memory = 'process_resident_memory_bytes';
    expect(flooded(memory) - warm(memory)).toBeLessThan(NOISE);

    // The PAA still serves nodes.
    await made.addSubscriber('mn2@home.example', 'mn2');
    await (await made.startPac('mn2')).line('bootstrap completed');
  });

  it('of 100,000 PCIs from as many addresses keeps no state for them and serves nodes', {
    timeout: 240_000,
  }, async () => {
    const made = await Lab.make({ logLevel: 'info', hooks: false, family: 'ipv4' });
    lab = made;
    const { place: aaaPlace } = await made.startAaa();
    const { place } = await made.startPaa(aaaPlace);
    await made.addSubscriber('mn1@home.example', 'mn1');
    const pci = encodePana({ type: 1, flags: 0, sessionId: 0, sequence: 0, avps: [] });
    const memory = 'process_resident_memory_bytes';
    await floodAddresses(place, pci, 0, ADDRESSES / 10);
    const warm = await numbersOf(made, 'paa');
    const flooding = floodAddresses(place, pci, ADDRESSES / 10, ADDRESSES);
    const pac = await made.startPac('mn1');
    // Some messages of this node are lost in the flood and sent again.
    await pac.line('bootstrap completed', undefined, 150_000);
    await flooding;
    const flooded = await numbersOf(made, 'paa');
    // Each address sent until it was answered, so the PAA has read them all.
    expect(flooded(READ)).toBeGreaterThanOrEqual(ADDRESSES);
    expect(flooded('pana_paa_half_open_sessions')).toBe(0);
    expect(flooded('pana_paa_sessions ')).toBe(1);
    expect(flooded(memory) - warm(memory)).toBeLessThan(NOISE);
  });

  it('counts each invalid packet and logs it at debug level, as does the AAA server', async () => {
    const made = await Lab.make({ hooks: false });
    lab = made;
    const { daemon: aaa, place: aaaPlace } = await made.startAaa();
    const { daemon: paa, place } = await made.startPaa(aaaPlace);
    const socket = createSocket('udp6');
    socket.send(Uint8Array.of(1, 2, 3), place.port, place.address);
    expect(await paa.line('message dropped')).toMatchObject({ level: 20, reason: 'truncated', address: '::1' });
    socket.close();
    expect((await numbersOf(made, 'paa'))('pana_paa_dropped_total{code="truncated"}')).toBe(1);
    const tcp = connect(aaaPlace.port, aaaPlace.address);
    tcp.on('error', () => undefined);
    tcp.write(new Uint8Array(64).fill(0xff));
    expect(await aaa.line('message dropped')).toMatchObject({ level: 20 });
    tcp.destroy();
    expect((await numbersOf(made, 'aaa'))('pana_aaa_diameter_dropped_total')).toBe(1);
  });
});
