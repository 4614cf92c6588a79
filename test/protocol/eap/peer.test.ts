// Long, because it has all rows of the EAP peer, from EAP-Identity to its keys.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EAP_TYPE } from '../../../src/protocol/eap/codec.js';
import type { EapKeys } from '../../../src/protocol/eap/keys.js';
import { EapPeerMethod, MAX_PEER_ROUNDS, type PeerInput, type PeerOutput } from '../../../src/protocol/eap/peer.js';
import { runs } from '../../seed.js';
import { EMPTY, end, fragmentOf, keysOf, record, request, response, tls, ZERO } from './method-rig.js';

const IDENTITY = '@home.example';
const START = Uint8Array.of(0x20);
const TLS13 = { tlsVersion: 'TLSv1.3', resumed: false } as const;
const TLS12 = { tlsVersion: 'TLSv1.2', resumed: true } as const;
const ALERT = (description: number) => Uint8Array.of(21, 3, 3, 0, 2, 2, description);

/** A peer; the test acts as TLS engine. */
class Rig {
  readonly method: EapPeerMethod;
  /** Token of the last request to the TLS engine. */
  token = 0;
  identifier = 0;

  constructor(mtu = 1000) {
    this.method = new EapPeerMethod({ identity: IDENTITY, mtu });
  }

  feed(input: PeerInput): PeerOutput[] {
    const outputs = this.method.handle(input);
    for (const output of outputs) if ('token' in output) this.token = output.token;
    return outputs;
  }

  packet(octets: Uint8Array): PeerOutput[] {
    return this.feed({ type: 'packet', octets });
  }

  /** A Request with the next Identifier. */
  ask(type: number, data: Uint8Array): PeerOutput[] {
    this.identifier += 1;
    return this.packet(request(this.identifier, type, data));
  }

  tls(fragment: Uint8Array, more: Parameters<typeof tls>[1] = {}): PeerOutput[] {
    return this.ask(EAP_TYPE.EAP_TLS, tls(fragment, more));
  }

  /** The engine's result for the last request. */
  flight(
    flight: Uint8Array,
    applicationData = EMPTY,
    secured?: { tlsVersion: string; resumed: boolean },
  ): PeerOutput[] {
    return this.feed({ type: 'flight', token: this.token, flight, applicationData, secured });
  }

  /** Continues until the engine makes the ClientHello. */
  started(): this {
    this.ask(EAP_TYPE.EAP_TLS, START);
    return this;
  }

  /** Continues until the ClientHello is sent. */
  begun(): this {
    this.started().flight(record(1));
    return this;
  }

  /** Continues until the keys are due. */
  finishing(): this {
    this.begun().tls(record(2));
    this.flight(record(3), ZERO, TLS13);
    return this;
  }

  keyed(keys: EapKeys = keysOf()): this {
    this.finishing().feed({ type: 'finished', token: this.token, keys });
    return this;
  }

  /** Continues until an alert is sent. */
  failed(reason: 'server-name' | 'tls-alert' = 'server-name'): this {
    this.begun().tls(record(2));
    this.feed({ type: 'failed', token: this.token, reason, detail: 'x' });
    return this;
  }

  get last(): number {
    return this.identifier;
  }
}

const discarded = (reason: string) => [{ type: 'discarded', reason }];
const gaveUp = (reason: string, detail: unknown) => [{ type: 'abandon' }, { type: 'failed', reason, detail }];
const refusal = 'application data other than the octet 0x00 of RFC 9190';

describe('the peer before EAP-TLS', () => {
  it('answers Identity and Notification (RFC 3748 5.1, 5.2)', () => {
    const rig = new Rig();
    const identity = response(1, EAP_TYPE.IDENTITY, new TextEncoder().encode(IDENTITY));
    expect(rig.ask(EAP_TYPE.IDENTITY, EMPTY)).toEqual([{ type: 'response', packet: identity }]);
    const notified = response(2, EAP_TYPE.NOTIFICATION, EMPTY);
    expect(rig.ask(EAP_TYPE.NOTIFICATION, new TextEncoder().encode('hello'))).toEqual([
      { type: 'response', packet: notified },
    ]);
  });

  it('answers another method with a Nak for EAP-TLS, and discards it once EAP-TLS has begun', () => {
    const rig = new Rig();
    const nak = response(1, EAP_TYPE.NAK, Uint8Array.of(EAP_TYPE.EAP_TLS));
    expect(rig.ask(21, ZERO)).toEqual([{ type: 'response', packet: nak }]);
    rig.begun();
    expect(rig.ask(21, ZERO)).toEqual(discarded('method'));
  });

  it('discards anything but a Request, and a flight before Start', () => {
    const rig = new Rig();
    expect(rig.packet(Uint8Array.of(1))).toEqual(discarded('truncated'));
    expect(rig.packet(response(1, EAP_TYPE.IDENTITY, EMPTY))).toEqual(discarded('code'));
    expect(rig.packet(end(3, 1))).toEqual(discarded('success before the method ended'));
    expect(rig.tls(record(2))).toEqual(discarded('no start'));
    expect(rig.ask(EAP_TYPE.EAP_TLS, START)).toMatchObject([{ type: 'handshake' }]);
  });

  it('fails at Failure', () => {
    expect(new Rig().packet(end(4, 1))).toEqual([{ type: 'failed', reason: 'refused', detail: 'EAP-Failure' }]);
  });
});

describe('a repeated Request', () => {
  it('gets the same Response and is not processed again (RFC 3748 4.1)', () => {
    const rig = new Rig();
    const start = request(1, EAP_TYPE.EAP_TLS, START);
    rig.packet(start);
    const [hello] = rig.flight(record(1));
    expect(hello).toEqual({ type: 'response', packet: response(1, EAP_TYPE.EAP_TLS, tls(record(1))) });
    for (let i = 0; i < 2 * MAX_PEER_ROUNDS; i += 1) expect(rig.packet(start)).toEqual([hello]);
    rig.identifier = 1;
    expect(rig.tls(record(2))).toMatchObject([{ type: 'handshake', flight: record(2) }]);
  });

  it('is discarded while the engine works on it, but Identity and Notification are answered', () => {
    const rig = new Rig().started();
    const { token } = rig;
    expect(rig.packet(request(rig.last, EAP_TYPE.EAP_TLS, START))).toEqual(discarded('busy'));
    expect(rig.tls(record(2))).toEqual(discarded('busy'));
    expect(rig.packet(request(99, EAP_TYPE.IDENTITY, EMPTY))).toMatchObject([{ type: 'response' }]);
    expect(rig.packet(request(98, EAP_TYPE.NOTIFICATION, EMPTY))).toMatchObject([{ type: 'response' }]);
    rig.token = token;
    // The Response answers Start.
    expect(rig.flight(record(1))).toEqual([
      { type: 'response', packet: response(1, EAP_TYPE.EAP_TLS, tls(record(1))) },
    ]);
  });
});

describe('EAP-TLS at the peer', () => {
  it('has keys only once the server has sent the octet 0x00 with TLS 1.3', () => {
    const rig = new Rig();
    expect(rig.ask(EAP_TYPE.EAP_TLS, START)).toEqual([{ type: 'handshake', token: 1, flight: EMPTY }]);
    rig.flight(record(1));
    expect(rig.tls(record(2))).toEqual([{ type: 'handshake', token: 2, flight: record(2) }]);
    // The handshake is complete at the peer, and the server is the expected one.
    expect(rig.flight(record(3), EMPTY, TLS13)).toEqual([
      { type: 'response', packet: response(2, EAP_TYPE.EAP_TLS, tls(record(3))) },
    ]);
    expect(rig.packet(end(3, 2))).toEqual(discarded('success before the method ended'));
    expect(rig.tls(record(4))).toEqual([{ type: 'handshake', token: 3, flight: record(4) }]);
    expect(rig.flight(EMPTY, ZERO, TLS13)).toEqual([{ type: 'finish', token: 4 }]);
    const keys = keysOf();
    expect(rig.feed({ type: 'finished', token: 4, keys })).toEqual([
      { type: 'abandon' },
      { type: 'keys', ...keys, ...TLS13 },
      { type: 'response', packet: response(3, EAP_TYPE.EAP_TLS, tls(EMPTY)) },
    ]);
    expect(rig.packet(end(3, 3))).toEqual([{ type: 'succeeded' }]);
    expect(keys.msk.isWiped).toBe(false);
  });

  it('has keys as soon as the handshake is complete with TLS 1.2', () => {
    const rig = new Rig().begun();
    rig.tls(record(2));
    expect(rig.flight(record(3), EMPTY, TLS12)).toMatchObject([{ type: 'finish' }]);
    const outputs = rig.feed({ type: 'finished', token: rig.token, keys: keysOf() });
    expect(outputs).toMatchObject([{ type: 'abandon' }, { type: 'keys', ...TLS12 }, { type: 'response' }]);
  });

  it.each([
    ['0x01', Uint8Array.of(1), TLS13],
    ['0x00 twice', Uint8Array.of(0, 0), TLS13],
    ['0x00 and a text', Uint8Array.of(0, 0x61), TLS13],
    ['0x00 with TLS 1.2', ZERO, TLS12],
    ['a text with TLS 1.2', Uint8Array.of(0x61), TLS12],
    ['0x00 before the handshake is complete', ZERO, undefined],
  ])('gives up at application data other than the commitment: %s', (_what, said, secured) => {
    const rig = new Rig().begun();
    rig.tls(record(2));
    expect(rig.flight(record(3), said, secured)).toEqual(gaveUp('protocol', refusal));
    expect(rig.packet(end(3, rig.last))).toEqual([]);
    expect(rig.tls(record(4))).toEqual([]);
  });

  it.each([
    ['server-certificate', 42],
    ['server-name', 42],
    ['extended-master-secret', 40],
    ['tls-alert', 40],
    ['protocol', 40],
  ] as const)('sends an alert when the engine fails with %s', (reason, description) => {
    const rig = new Rig().begun();
    rig.tls(record(2));
    const alerted = rig.feed({ type: 'failed', token: rig.token, reason, detail: 'why' });
    const packet = response(rig.last, EAP_TYPE.EAP_TLS, tls(ALERT(description)));
    expect(alerted).toEqual([{ type: 'abandon' }, { type: 'response', packet }]);
    // The server must end it. Anything else gets the alert again and does not reach the engine.
    const again = response(rig.last + 1, EAP_TYPE.EAP_TLS, tls(ALERT(description)));
    expect(rig.tls(record(4))).toEqual([{ type: 'response', packet: again }]);
    expect(rig.packet(end(3, rig.last))).toEqual(discarded('success before the method ended'));
    expect(rig.packet(end(4, rig.last))).toEqual([{ type: 'failed', reason, detail: 'why' }]);
  });

  it('forgets the ticket of a server that sends Failure after the commitment', () => {
    const rig = new Rig().keyed();
    const failed = { type: 'failed', reason: 'refused', detail: 'EAP-Failure without a TLS alert' };
    expect(rig.packet(end(4, rig.last))).toEqual([{ type: 'forget' }, failed]);
    expect(new Rig().failed().packet(end(4, 9))).toMatchObject([{ type: 'failed', reason: 'server-name' }]);
  });

  it('only acknowledges flights once it has the keys', () => {
    const rig = new Rig().keyed();
    const packet = response(rig.last + 1, EAP_TYPE.EAP_TLS, tls(EMPTY));
    expect(rig.tls(record(5))).toEqual([{ type: 'response', packet }]);
    expect(rig.packet(end(3, rig.last))).toEqual([{ type: 'succeeded' }]);
  });

  it('discards a second Start', () => {
    const rig = new Rig().begun();
    expect(rig.ask(EAP_TYPE.EAP_TLS, START)).toEqual(discarded('second start'));
    expect(rig.tls(record(2))).toMatchObject([{ type: 'handshake' }]);
  });

  it('gives up on an internal error, and after MAX_PEER_ROUNDS packets', () => {
    const rig = new Rig().started();
    expect(rig.feed({ type: 'fault' })).toEqual(gaveUp('protocol', 'internal error'));
    expect(rig.ask(EAP_TYPE.IDENTITY, EMPTY)).toEqual([]);
    expect(rig.feed({ type: 'fault' })).toEqual([]);
    const late = new Rig().finishing();
    expect(late.feed({ type: 'fault' })).toEqual(gaveUp('protocol', 'internal error'));
    const long = new Rig().begun();
    for (let i = 1; i < MAX_PEER_ROUNDS; i += 1) {
      expect(long.tls(ZERO, { more: true })).toMatchObject([{ type: 'response' }]);
    }
    expect(long.tls(ZERO, { more: true })).toEqual(gaveUp('too-many-rounds', `more than ${MAX_PEER_ROUNDS} packets`));
  });
});

describe('fragments at the peer', () => {
  it('are sent as they are acknowledged, and data instead of an acknowledgement ends the run', () => {
    const flight = record(...new Array<number>(120).fill(7));
    const rig = new Rig(64).started();
    const sent: number[] = [];
    for (let next = rig.flight(flight); next[0]?.type === 'response'; next = rig.tls(EMPTY)) {
      sent.push(...fragmentOf(next[0].packet));
      if (sent.length === flight.length) break;
    }
    expect(Uint8Array.from(sent)).toEqual(flight);
    expect(rig.tls(record(2))).toMatchObject([{ type: 'handshake', flight: record(2) }]);
    const mixed = new Rig(64).started();
    mixed.flight(flight);
    expect(mixed.tls(record(2))).toEqual(gaveUp('fragments', 'data instead of an acknowledgement'));
  });

  it('are kept when a packet is discarded', () => {
    const rig = new Rig(64).started();
    const flight = record(...new Array<number>(80).fill(7));
    const [first] = rig.flight(flight);
    expect(rig.ask(EAP_TYPE.EAP_TLS, START)).toEqual(discarded('second start'));
    const [second] = rig.tls(EMPTY);
    if (first?.type !== 'response' || second?.type !== 'response') throw new Error('no fragments');
    expect([...fragmentOf(first.packet), ...fragmentOf(second.packet)]).toEqual([...flight]);
  });

  it('of the server are acknowledged and reach the engine as one flight', () => {
    const rig = new Rig().begun();
    const flight = record(1, 2, 3, 4);
    const acknowledged = rig.tls(flight.subarray(0, 5), { more: true, total: flight.length });
    expect(acknowledged).toEqual([{ type: 'response', packet: response(rig.last, EAP_TYPE.EAP_TLS, tls(EMPTY)) }]);
    expect(rig.tls(flight.subarray(5))).toMatchObject([{ type: 'handshake', flight }]);
  });

  it.each([
    ['announce more than 64 KiB', ZERO, { more: true, total: 65_537 }, 'announces-too-much'],
    ['are less than announced', ZERO, { total: 9 }, 'less-than-announced'],
    ['are empty', EMPTY, { more: true }, 'empty-fragment'],
  ])('end the run when they %s', (_what, fragment, more, detail) => {
    expect(new Rig().begun().tls(fragment, more)).toEqual(gaveUp('fragments', detail));
  });

  it('end the run when they have no flags', () => {
    expect(new Rig().begun().ask(EAP_TYPE.EAP_TLS, EMPTY)).toMatchObject(gaveUp('fragments', expect.any(String)));
  });
});

describe('an unexpected result of the engine', () => {
  const answers = (token: number, keys: EapKeys): PeerInput[] => [
    { type: 'flight', token, flight: record(3), applicationData: ZERO, secured: TLS13 },
    { type: 'finished', token, keys },
    { type: 'failed', token, reason: 'tls-alert', detail: 'x' },
  ];
  const states: [string, () => Rig, readonly string[]][] = [
    ['before Start', () => new Rig(), []],
    ['while the engine works', () => new Rig().started(), ['flight', 'failed']],
    ['while a Request is due', () => new Rig().begun(), []],
    ['while the keys are due', () => new Rig().finishing(), ['finished']],
    ['with keys', () => new Rig().keyed(), []],
    ['after an alert', () => new Rig().failed(), []],
    [
      'after the end',
      () => {
        const rig = new Rig().started();
        rig.feed({ type: 'close' });
        return rig;
      },
      [],
    ],
  ];

  it.each(states)('changes nothing: %s', (_name, make, due) => {
    for (const isOld of [true, false]) {
      for (const [i, { type }] of answers(0, keysOf()).entries()) {
        if (!isOld && due.includes(type)) continue;
        const rig = make();
        const keys = keysOf();
        const input = answers(rig.token - (isOld ? 1 : 0), keys)[i];
        if (!input) throw new Error('no answer');
        expect(rig.feed(input)).toEqual([]);
        expect([keys.msk.isWiped, keys.emsk.isWiped]).toEqual([type === 'finished', type === 'finished']);
      }
    }
  });
});

describe('the peer with any input', () => {
  const octets = fc.oneof(
    fc.uint8Array({ maxLength: 40, size: 'max' }),
    fc.constantFrom(EMPTY, ZERO, START, tls(record(2)), tls(EMPTY)),
  );
  // An input that moves the method forward. Without such inputs, few runs would reach the keys.
  const forward = fc.record({
    do: fc.constant('forward' as const),
    said: fc.constantFrom(EMPTY, EMPTY, ZERO, ZERO, ZERO, Uint8Array.of(1)),
    secured: fc.constantFrom(undefined, undefined, TLS12, TLS13, TLS13),
  });
  const step = fc.oneof(
    { arbitrary: forward, weight: 12 },
    fc.record({ do: fc.constant('ask' as const), type: fc.constantFrom(1, 2, 13, 13, 13, 13, 21), octets }),
    fc.record({ do: fc.constant('raw' as const), octets }),
    fc.record({ do: fc.constant('end' as const), code: fc.constantFrom(3 as const, 4 as const) }),
    fc.record({
      do: fc.constant('answer' as const),
      which: fc.constantFrom('flight', 'flight', 'finished', 'failed', 'fault'),
      off: fc.constantFrom(0, 0, 0, 1),
      said: fc.constantFrom(EMPTY, EMPTY, ZERO, Uint8Array.of(1)),
      secured: fc.constantFrom(undefined, TLS12, TLS13),
    }),
  );

  it('has keys at most once and only after the commitment, and wipes all others', () => {
    let succeeded = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
        const rig = new Rig();
        const made: EapKeys[] = [];
        const taken: EapKeys[] = [];
        let committed = false;
        let question: PeerOutput['type'] | undefined;
        for (const one of steps) {
          let outputs: PeerOutput[];
          const isAnswer = one.do === 'answer' || (one.do === 'forward' && question !== undefined);
          if (one.do === 'ask') outputs = rig.ask(one.type, one.octets);
          else if (one.do === 'raw') outputs = rig.packet(one.octets);
          else if (one.do === 'end') outputs = rig.packet(end(one.code, rig.last & 0xff));
          else if (!isAnswer) {
            const isOver = taken.length > 0;
            if (isOver) outputs = rig.packet(end(3, rig.last));
            else outputs = rig.last === 0 ? rig.ask(EAP_TYPE.EAP_TLS, START) : rig.tls(record(2));
          } else {
            const which = one.do === 'answer' ? one.which : question === 'finish' ? 'finished' : 'flight';
            const token = rig.token - (one.do === 'answer' ? one.off : 0);
            const keys = keysOf();
            if (which === 'finished') made.push(keys);
            const { said: applicationData, secured } = one;
            const isCommitted =
              secured?.tlsVersion === 'TLSv1.3' ? applicationData === ZERO : secured && applicationData === EMPTY;
            const inputs: Record<typeof which, PeerInput> = {
              flight: { type: 'flight', token, flight: record(3), applicationData, secured },
              finished: { type: 'finished', token, keys },
              failed: { type: 'failed', token, reason: 'server-name', detail: '' },
              fault: { type: 'fault' },
            };
            outputs = rig.feed(inputs[which]);
            if (outputs.some(({ type }) => type === 'finish')) committed = isCommitted === true;
          }
          if (isAnswer && outputs.length > 0) question = undefined;
          for (const output of outputs) {
            if ('token' in output) question = output.type;
            if (output.type === 'keys') {
              taken.push(output);
              expect(committed).toBe(true);
            }
            if (output.type !== 'succeeded') continue;
            expect(taken).toHaveLength(1);
            succeeded += 1;
          }
        }
        expect(taken.length).toBeLessThanOrEqual(1);
        for (const { msk, emsk } of made) {
          expect(msk.isWiped && emsk.isWiped).toBe(taken.every((one) => one.msk !== msk));
        }
      }),
      { numRuns: runs(2000) },
    );
    expect(succeeded).toBeGreaterThan(20);
  });
});
