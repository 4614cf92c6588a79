import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../../src/protocol/bytes/octets.js';
import { LEARNING } from '../../../../src/protocol/pana/relay/known-clients.js';
import { PanaRelay, type RelayInput, type RelayOutput } from '../../../../src/protocol/pana/relay/relay.js';
import { decodeRelay, encodeRelay, MAX_RELAYED } from '../../../../src/protocol/pana/wire/relayed.js';
import { runs } from '../../../seed.js';

const PCI = fromHex('00000010000000010000000000000000');
const PAN = fromHex('00000010000000020000000100000001');
const PAC = { address: '2001:db8:a::77', port: 40_000 };
const LIMITS = { perAddress: 3, perNetwork: 8, inAll: 10 };
const MESSAGES = 20;
const UNPROVEN = 1_500;
const CONFIG = { limits: LIMITS, messages: MESSAGES, unproven: UNPROVEN };
const DAY = 24 * 3600_000;

function relayAt(...addresses: readonly string[]): PanaRelay {
  const sides = addresses.map((address) => ({ local: `at ${address}`, address }));
  return new PanaRelay(sides, CONFIG, new Uint8Array(16).fill(1), 0);
}

const fromPac = (octets: Uint8Array, more: { address?: string; port?: number } = {}): RelayInput => ({
  type: 'fromPac',
  octets,
  ...PAC,
  ...more,
});

/** A PAR of the PAA for a client, with the Session Identifier of `PAN`. */
const fromPaa = (more: { address?: string; port?: number } = {}): RelayInput => ({
  type: 'fromPaa',
  octets: encodeRelay({ pac: { ...PAC, ...more }, octets: PAN }),
});

/** Codes of what was dropped, or the type of the output. */
const codes = (outputs: readonly RelayOutput[]) =>
  outputs.map((output) => (output.type === 'dropped' ? output.code : output.type));

describe('a PANA relay', () => {
  it('puts a message of a client into a PRY, unchanged and without the scope of its address', () => {
    const relay = relayAt('fe80::1%eth1');
    const [up] = relay.handle(fromPac(PCI, { address: 'fe80::77%eth1' }), 0);
    expect(up?.type === 'toPaa' && decodeRelay(up.octets)).toEqual({
      pac: { address: 'fe80::77', port: 40_000 },
      octets: PCI,
    });
  });

  it.each([
    ['2001:db8:a::77', ['fe80::1%eth1', '2001:db8:a::1', '192.0.2.1'], '2001:db8:a::1', '2001:db8:a::77'],
    ['fe80::77', ['2001:db8:a::1', 'fe80::1%eth1'], 'fe80::1%eth1', 'fe80::77%eth1'],
    ['2001:db8:a::77', ['fe80::1%eth1'], 'fe80::1%eth1', '2001:db8:a::77'],
    ['192.0.2.77', ['2001:db8:a::1', '192.0.2.1'], '192.0.2.1', '192.0.2.77'],
  ])('sends what is in a PRY for %s from the address of its kind', (address, sides, from, to) => {
    const octets = encodeRelay({ pac: { address, port: 40_000 }, octets: PAN });
    expect(relayAt(...sides).handle({ type: 'fromPaa', octets }, 0)).toEqual([
      { type: 'toPac', octets: PAN, local: `at ${from}`, address: to, port: 40_000 },
    ]);
  });

  it('drops a PRY for a client of a family that it does not serve', () => {
    const octets = encodeRelay({ pac: { address: '192.0.2.77', port: 1 }, octets: PAN });
    expect(codes(relayAt('2001:db8:a::1').handle({ type: 'fromPaa', octets }, 0))).toEqual(['no-way']);
  });

  it.each([
    ['with source port 0', fromPac(PCI, { port: 0 }), 'source-port'],
    ['that is too short', fromPac(PCI.subarray(1)), 'truncated'],
    ['that is empty', fromPac(new Uint8Array(0)), 'truncated'],
    ['with more than its length', fromPac(Uint8Array.of(...PCI, 0)), 'leftover'],
    ['that does not fit into a PRY', fromPac(sized(MAX_RELAYED + 1)), 'bad-length'],
  ])('drops a message %s', (_what, input, code) => {
    expect(codes(relayAt('2001:db8:a::1').handle(input, 0))).toEqual([code]);
  });

  it('relays the largest message that fits into a PRY', () => {
    expect(codes(relayAt('2001:db8:a::1').handle(fromPac(sized(MAX_RELAYED)), 0))).toEqual(['toPaa']);
  });

  it('limits PCIs by address, and not more of them than of other messages', () => {
    const relay = relayAt('2001:db8:a::1');
    const send = (octets: Uint8Array, now: number) => codes(relay.handle(fromPac(octets), now))[0];
    const all = Array.from({ length: 5 }, () => send(PCI, 0));
    expect(all).toEqual(['toPaa', 'toPaa', 'toPaa', 'pci-of-address', 'pci-of-address']);
    expect(new Set(Array.from({ length: 20 }, () => send(PAN, 0)))).toEqual(new Set(['toPaa']));
    expect(send(PCI, 1000)).toBe('toPaa');
    relay.handle({ type: 'configure', config: { ...CONFIG, limits: { ...LIMITS, perAddress: 1 }, messages: 1 } }, 1000);
    expect(send(PCI, 1000)).toBe('pci-of-address');
  });

  it('limits the other messages of each client, whatever others send', () => {
    const relay = relayAt('2001:db8:a::1');
    const send = (address: string, now: number) => codes(relay.handle(fromPac(PAN, { address }), now))[0];
    for (let n = 0; n < MESSAGES; n += 1) expect(send('2001:db8:a::66', 500)).toBe('toPaa');
    for (let n = 0; n < 1000; n += 1) expect(send('2001:db8:a::66', 999)).toBe('messages-of-address');
    expect(send('2001:db8:a::77', 999)).toBe('toPaa');
    expect(send('2001:db8:a::66', 1000)).toBe('toPaa');
    relay.handle({ type: 'configure', config: { ...CONFIG, messages: 2 } }, 1000);
    expect([send('2001:db8:a::66', 1000), send('2001:db8:a::66', 1000)]).toEqual(['toPaa', 'messages-of-address']);
  });

  it('limits the messages of clients that have not proven their address in total, and never those of the others', () => {
    const relay = relayAt('2001:db8:a::1');
    const send = (octets: Uint8Array, n: number) =>
      codes(relay.handle(fromPac(octets, { address: `2001:db8:a::${n.toString(16)}` }), 0))[0];
    // Answered and in use, answered, and a Session Identifier of the former.
    for (const n of [1, 2]) {
      send(PCI, n);
      relay.handle(fromPaa({ address: `2001:db8:a::${n}` }), 0);
    }
    expect(send(PAN, 1)).toBe('toPaa');
    for (let n = 0; n < UNPROVEN; n += 1) expect(send(PAN, 0x100 + n)).toBe('toPaa');
    expect([send(PAN, 3), send(PAN, 1), send(PAN, 2)]).toEqual(['messages-in-all', 'toPaa', 'toPaa']);
    relay.handle({ type: 'configure', config: { ...CONFIG, unproven: UNPROVEN + 1 } }, 0);
    expect([send(PAN, 3), send(PAN, 4)]).toEqual(['toPaa', 'messages-in-all']);
  });

  it('keeps the limits of a session whatever others send from or to the address of its client', () => {
    const relay = relayAt('2001:db8:a::1');
    relay.handle(fromPac(PCI), 0);
    relay.handle(fromPaa(), 0);
    relay.handle(fromPac(PAN), 0);
    const forged = PAN.map((octet, i) => (i === 8 ? 9 : octet));
    const up = (octets: Uint8Array) => codes(relay.handle(fromPac(octets), 0))[0];
    const down = (octets: Uint8Array) =>
      codes(relay.handle({ type: 'fromPaa', octets: encodeRelay({ pac: PAC, octets }) }, 0))[0];
    for (let n = 0; n < 50; n += 1) down(forged);
    for (let n = 0; n < 50; n += 1) up(forged.map((octet, i) => (i === 9 ? 9 : octet)));
    expect([down(forged), down(PAN)]).toEqual(['messages-to-address', 'toPac']);
    expect([up(forged.map((octet, i) => (i === 9 ? 9 : octet))), up(PAN)]).toEqual(['messages-of-address', 'toPaa']);
    // Its own limit is the same.
    for (let n = 2; n < MESSAGES; n += 1) expect([up(PAN), down(PAN)]).toEqual(['toPaa', 'toPac']);
    expect(up(PAN)).toBe('messages-of-address');
  });

  it('sends nothing to a client that it has not heard, but soon after its start', () => {
    const relay = relayAt('2001:db8:a::1');
    const down = (now: number, more = {}) => codes(relay.handle(fromPaa(more), now))[0];
    const early = Array.from({ length: 101 }, (_, n) => down(0, { address: `2001:db8:b::${n + 1}` }));
    expect(new Set(early.slice(0, 100))).toEqual(new Set(['toPac']));
    expect(early[100]).toBe('unknown-client');
    expect([down(LEARNING - 1), down(LEARNING)]).toEqual(['toPac', 'unknown-client']);
    relay.handle(fromPac(PCI), LEARNING);
    expect([down(LEARNING), down(LEARNING, { port: 40_001 })]).toEqual(['toPac', 'unknown-client']);
  });

  it('forgets a client that has never used the Session Identifier of its PAA within minutes, others after a day', () => {
    const relay = relayAt('2001:db8:a::1');
    const other = { address: '2001:db8:a::88' };
    const start = 10 * DAY;
    for (const client of [{}, other]) {
      relay.handle(fromPac(PCI, client), start);
      relay.handle(fromPaa(client), start);
    }
    relay.handle(fromPac(PAN), start);
    const down = (now: number) => [{}, other].map((client) => codes(relay.handle(fromPaa(client), now))[0]);
    expect(down(start + LEARNING - 1)).toEqual(['toPac', 'toPac']);
    expect(down(start + 2 * LEARNING)).toEqual(['toPac', 'unknown-client']);
    expect(down(start + DAY)).toEqual(['toPac', 'unknown-client']);
    expect(down(start + 2 * DAY)).toEqual(['unknown-client', 'unknown-client']);
  });

  it('limits what the PAA sends to a client, whatever it sends to others', () => {
    const relay = relayAt('2001:db8:a::1');
    const down = (more = {}) => codes(relay.handle(fromPaa(more), 0))[0];
    for (let n = 0; n < MESSAGES; n += 1) expect(down()).toBe('toPac');
    expect([down(), down({ address: '2001:db8:a::88' })]).toEqual(['messages-to-address', 'toPac']);
  });

  it('passes or drops whatever comes from either side', () => {
    const octets = fc.oneof(
      fc.uint8Array({ maxLength: 80, size: 'max' }),
      fc.record({ at: fc.nat(79), octet: fc.nat(255) }).map(({ at, octet }) => {
        const pry = encodeRelay({ pac: PAC, octets: PAN });
        pry[at % pry.length] = octet;
        return pry;
      }),
    );
    const relay = relayAt('2001:db8:a::1', 'fe80::1%eth1', '192.0.2.1');
    fc.assert(
      fc.property(octets, fc.boolean(), (given, isUp) => {
        const before = toHex(given);
        const [output] = relay.handle(isUp ? fromPac(given) : { type: 'fromPaa', octets: given }, 0);
        if (output?.type === 'toPaa') expect(toHex(decodeRelay(output.octets).octets)).toBe(before);
        if (output?.type === 'toPac') expect(before).toContain(toHex(output.octets));
        expect(output).toBeDefined();
      }),
      { numRuns: runs(20_000) },
    );
  });
});

/** A PAN of this size. */
function sized(length: number): Uint8Array {
  const octets = new Uint8Array(length);
  octets.set(PAN);
  new DataView(octets.buffer).setUint16(2, length);
  return octets;
}
