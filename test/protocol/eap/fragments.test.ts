import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat } from '../../../src/protocol/bytes/octets.js';
import { decodeEap, encodeEap } from '../../../src/protocol/eap/codec.js';
import { ACKNOWLEDGEMENT, decodeEapTls, type EapTlsData, encodeEapTls } from '../../../src/protocol/eap/eap-tls.js';
import {
  cutFlight,
  FlightBuffer,
  FragmentExchange,
  type FragmentStep,
  MAX_FLIGHT,
  MIN_MTU,
} from '../../../src/protocol/eap/fragments.js';
import { runs } from '../../seed.js';

describe('a TLS flight', () => {
  const mtus = fc.integer({ min: 64, max: 2000 });

  it('is split into fragments of at most the MTU and reassembled', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000, size: 'max' }), mtus, (flight, mtu) => {
        const fragments = cutFlight(flight, mtu);
        const buffer = new FlightBuffer();
        const packets = fragments.map((data) =>
          encodeEap({ code: 1, identifier: 0, type: 13, data: encodeEapTls(data) }),
        );
        expect(Math.max(...packets.map(({ length }) => length))).toBeLessThanOrEqual(mtu);
        const outcomes = packets.map((packet) => buffer.add(decodeEapTls(decodeEap(packet).data)));
        expect(outcomes.slice(0, -1).every((outcome) => outcome === 'more')).toBe(true);
        expect(outcomes.at(-1)).toEqual({ flight });
      }),
    );
  });

  it('has its length in the first of several fragments only', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 5000, size: 'max' }), mtus, (flight, mtu) => {
        const [first, ...rest] = cutFlight(flight, mtu);
        expect(first?.total).toBe(rest.length > 0 ? flight.length : undefined);
        expect(rest.every(({ total }) => total === undefined)).toBe(true);
      }),
    );
  });

  it('never exceeds the limit of its buffer, whatever fragments arrive', () => {
    const LIMIT = 100;
    const fragment: fc.Arbitrary<EapTlsData> = fc.record({
      start: fc.constant(false),
      more: fc.constantFrom(true, true, true, false),
      total: fc.option(fc.integer({ min: 0, max: 2 * LIMIT }), { nil: undefined, freq: 1 }),
      fragment: fc.integer({ min: 1, max: 40 }).map((length) => new Uint8Array(length)),
    });
    fc.assert(
      fc.property(fc.array(fragment, { minLength: 1, maxLength: 12, size: 'max' }), (fragments) => {
        const buffer = new FlightBuffer(LIMIT);
        let held = 0;
        for (const data of fragments) {
          const outcome = buffer.add(data);
          held += data.fragment.length;
          if (typeof outcome === 'string' && outcome !== 'more') return;
          expect(held).toBeLessThanOrEqual(LIMIT);
          if (typeof outcome !== 'object') continue;
          expect(outcome.flight).toHaveLength(held);
          held = 0;
        }
      }),
      { numRuns: runs(1000) },
    );
    const whole = { start: false, more: false, total: undefined };
    expect(new FlightBuffer().add({ ...whole, fragment: new Uint8Array(MAX_FLIGHT) })).toHaveProperty('flight');
    expect(new FlightBuffer().add({ ...whole, fragment: new Uint8Array(MAX_FLIGHT + 1) })).toBe('more-than-announced');
  });

  it('is reassembled from fragments that all repeat the length', () => {
    const buffer = new FlightBuffer();
    const part = (at: number, more: boolean) => ({
      start: false,
      more,
      total: 6,
      fragment: Uint8Array.of(at, at + 1, at + 2),
    });
    expect(buffer.add(part(0, true))).toBe('more');
    expect(buffer.add(part(3, false))).toEqual({ flight: concat(Uint8Array.of(0, 1, 2), Uint8Array.of(3, 4, 5)) });
  });

  it('shares no memory with the messages of its fragments', () => {
    const buffer = new FlightBuffer();
    const message = Uint8Array.of(1, 2, 3, 4);
    const more = { start: false, more: true, total: undefined };
    expect(buffer.add({ ...more, fragment: message.subarray(1, 3) })).toBe('more');
    message.fill(0);
    expect(buffer.add({ ...more, more: false, fragment: Uint8Array.of(9) })).toEqual({
      flight: Uint8Array.of(2, 3, 9),
    });
  });
});

describe('FragmentExchange', () => {
  const flights = fc.array(fc.uint8Array({ minLength: 1, maxLength: 3000, size: 'max' }), {
    minLength: 1,
    maxLength: 4,
  });
  const mtu = fc.integer({ min: 0, max: 1400 });

  it('carries flights in both directions, one fragment per acknowledgement, for any two packet sizes', () => {
    fc.assert(
      fc.property(flights, mtu, mtu, (given, one, other) => {
        const ends = [new FragmentExchange(one), new FragmentExchange(other)] as const;
        const limits = [Math.max(MIN_MTU, one), Math.max(MIN_MTU, other)] as const;
        for (const [turn, flight] of given.entries()) {
          let from = turn % 2;
          let step: FragmentStep = { type: 'fragment', data: ends[from as 0 | 1].send(flight) };
          while (step.type === 'fragment' || step.type === 'acknowledge') {
            expect(encodeEapTls(step.data).length + 5).toBeLessThanOrEqual(limits[from as 0 | 1]);
            from = 1 - from;
            step = ends[from as 0 | 1].receive(step.data);
          }
          expect(step).toEqual({ type: 'flight', flight });
        }
      }),
    );
  });

  it('keeps its position when it refuses data instead of an acknowledgement', () => {
    const end = new FragmentExchange(MIN_MTU);
    const flight = new Uint8Array(100).fill(7);
    const first = end.send(flight);
    const data = { ...ACKNOWLEDGEMENT, fragment: Uint8Array.of(1) };
    const refused = { type: 'refused', detail: 'data instead of an acknowledgement' };
    expect(end.receive(data)).toEqual(refused);
    expect(end.receive({ ...ACKNOWLEDGEMENT, more: true })).toEqual(refused);
    const second = end.receive(ACKNOWLEDGEMENT);
    expect(second.type === 'fragment' && concat(first.fragment, second.data.fragment)).toEqual(flight);
  });

  it('refuses a flight over its limit', () => {
    const end = new FragmentExchange(MIN_MTU, 10);
    expect(end.receive({ ...ACKNOWLEDGEMENT, more: true, total: 11, fragment: Uint8Array.of(1) })).toEqual({
      type: 'refused',
      detail: 'announces-too-much',
    });
    const exact = { ...ACKNOWLEDGEMENT, fragment: new Uint8Array(10) };
    expect(new FragmentExchange(MIN_MTU, 10).receive(exact)).toMatchObject({ type: 'flight' });
    const long = { ...ACKNOWLEDGEMENT, fragment: new Uint8Array(11) };
    expect(new FragmentExchange(MIN_MTU, 10).receive(long)).toMatchObject({ type: 'refused' });
  });
});
