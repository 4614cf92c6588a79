// Long, because it has all rows of the authenticator, from EAP-Identity to its close.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AuthenticatorInput,
  type AuthenticatorOutput,
  EapAuthenticator,
  MAX_IDENTITY,
  MAX_INVALID,
  MAX_SERVER_ROUNDS,
} from '../../../src/protocol/eap/authenticator.js';
import { EAP_CODE, EAP_TYPE } from '../../../src/protocol/eap/codec.js';
import type { EapKeys } from '../../../src/protocol/eap/keys.js';
import { runs } from '../../seed.js';
import { CLIENT, EMPTY, end, fragmentOf, keysOf, record, request, response, tls, ZERO } from './method-rig.js';

type Output = AuthenticatorOutput<string>;

const FIRST = 41;
const HELLO = record(1);
const verified = { type: 'verified', peer: CLIENT, tlsVersion: 'TLSv1.3', resumed: false, applicationData: 0 } as const;
const permitted = { ok: true, identity: 'mn@home.example', grant: 'yes' } as const;

/** An authenticator; the test acts as TLS engine and decides on authorization. */
class Rig {
  readonly method: EapAuthenticator<string>;
  /** Token of the last request that the authenticator made to the TLS engine or for a decision. */
  token = 0;
  question: Output['type'] | undefined;
  /** Identifier of the last Request. */
  identifier = 0;

  constructor(options: { readonly mtu?: number; readonly maxFlight?: number; readonly identifier?: number } = {}) {
    this.method = new EapAuthenticator({ mtu: 1000, identifier: FIRST - 1, ...options });
  }

  feed(input: AuthenticatorInput<string>): Output[] {
    const outputs = this.method.handle(input);
    for (const output of outputs) {
      if ('token' in output) [this.token, this.question] = [output.token, output.type];
      if (output.type === 'request') this.identifier = output.packet[1] ?? 0;
    }
    return outputs;
  }

  octets(octets: Uint8Array): Output[] {
    return this.feed({ type: 'response', octets });
  }

  say(type: number, data: Uint8Array, identifier = this.identifier): Output[] {
    return this.octets(response(identifier, type, data));
  }

  tls(fragment: Uint8Array, more: Parameters<typeof tls>[1] = {}): Output[] {
    return this.say(EAP_TYPE.EAP_TLS, tls(fragment, more));
  }

  /** Continues until Start is sent. */
  begin(): this {
    this.octets(EMPTY);
    this.say(EAP_TYPE.IDENTITY, new TextEncoder().encode('@home.example'));
    return this;
  }

  /** Continues until the engine has received the ClientHello. */
  asked(): this {
    this.begin().tls(HELLO);
    return this;
  }

  /** Continues until the decision is due. */
  deciding(tlsVersion = 'TLSv1.3'): this {
    this.asked().feed({ ...verified, tlsVersion, token: this.token });
    return this;
  }

  /** Continues until the keys are due. */
  committing(tlsVersion = 'TLSv1.3'): this {
    this.deciding(tlsVersion).feed({ type: 'authorized', token: this.token, decision: permitted });
    return this;
  }

  /** Continues until the last flight has been sent. */
  committed(keys: EapKeys = keysOf()): this {
    this.committing().feed({ type: 'finished', token: this.token, flight: record(9), keys });
    return this;
  }
}

const failure = (reason: string, detail: string, identifier: number) => [
  { type: 'abandon' },
  { type: 'failure', packet: end(4, identifier), reason, detail },
];

describe('the authenticator before EAP-TLS', () => {
  it('requests the identity, then sends Start, each with the next Identifier', () => {
    const rig = new Rig();
    expect(rig.octets(EMPTY)).toEqual([{ type: 'request', packet: request(FIRST, EAP_TYPE.IDENTITY, EMPTY) }]);
    const start = request(FIRST + 1, EAP_TYPE.EAP_TLS, Uint8Array.of(0x20));
    expect(rig.say(EAP_TYPE.IDENTITY, new TextEncoder().encode('@home.example'))).toEqual([
      { type: 'request', packet: start },
    ]);
    expect(rig.method.claimedIdentity).toBe('@home.example');
  });

  it('accepts an identity that it did not request (RFC 4072 2.2), and another one before EAP-TLS begins', () => {
    const rig = new Rig();
    const [first] = rig.say(EAP_TYPE.IDENTITY, ZERO, 200);
    expect(first).toMatchObject({ type: 'request', packet: request(201, EAP_TYPE.EAP_TLS, Uint8Array.of(0x20)) });
    expect(rig.say(EAP_TYPE.IDENTITY, ZERO)).toMatchObject([{ type: 'request' }]);
  });

  it('wraps the Identifier from 255 to 0', () => {
    const rig = new Rig({ identifier: 254 });
    expect(rig.octets(EMPTY)).toMatchObject([{ packet: request(255, EAP_TYPE.IDENTITY, EMPTY) }]);
    rig.say(EAP_TYPE.IDENTITY, ZERO);
    expect(rig.identifier).toBe(0);
  });

  it('keeps only the first MAX_IDENTITY octets of an identity', () => {
    const rig = new Rig();
    rig.octets(EMPTY);
    rig.say(EAP_TYPE.IDENTITY, new Uint8Array(1000).fill(0x61));
    expect(rig.method.claimedIdentity).toBe('a'.repeat(MAX_IDENTITY));
  });

  it('fails a peer that proposes other methods, and reports at most eight of them', () => {
    const nak = (...types: number[]) => new Rig().begin().say(EAP_TYPE.NAK, Uint8Array.from(types));
    expect(nak(21)).toEqual(failure('no-common-method', 'the peer requests method 21', FIRST + 1));
    expect(nak(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)).toEqual(
      failure('no-common-method', 'the peer requests method 1, 2, 3, 4, 5, 6, 7, 8 and 2 more', FIRST + 1),
    );
  });

  it('answers an EAP Request with a Failure that has its Identifier (RFC 4072 2.8.4)', () => {
    const rig = new Rig().begin();
    expect(rig.octets(request(3, EAP_TYPE.IDENTITY, EMPTY))).toEqual(failure('protocol', 'received an EAP Request', 3));
  });
});

describe('an invalid Response', () => {
  const invalid = (rig: Rig, octets: Uint8Array, reason: unknown) => {
    const last = rig.octets(Uint8Array.of(9))[0];
    expect(rig.octets(octets)).toEqual([{ type: 'invalid', packet: last?.type === 'invalid' && last.packet, reason }]);
  };

  it('is answered with the last Request if its Identifier, code or type is wrong, or if it is no packet', () => {
    const begin = () => new Rig().begin();
    invalid(begin(), response(FIRST, EAP_TYPE.EAP_TLS, tls(HELLO)), 'wrong EAP identifier');
    invalid(begin(), response(FIRST + 2, EAP_TYPE.EAP_TLS, tls(HELLO)), 'wrong EAP identifier');
    invalid(begin(), end(3, FIRST + 1), 'unexpected EAP code 3');
    invalid(begin(), response(FIRST + 1, EAP_TYPE.NOTIFICATION, EMPTY), 'unexpected EAP type 2');
    invalid(begin(), EMPTY, expect.stringContaining('truncated'));
  });

  it('is an Identity or a Nak after EAP-TLS has begun', () => {
    const begun = () => {
      const rig = new Rig().asked();
      rig.feed({ type: 'flight', token: rig.token, flight: record(2) });
      return rig;
    };
    const reasons = [
      [EAP_TYPE.IDENTITY, 'Identity after the method began'],
      [EAP_TYPE.NAK, 'Nak after the method began'],
    ] as const;
    for (const [type, reason] of reasons) {
      const rig = begun();
      expect(rig.say(type, ZERO)).toMatchObject([{ type: 'invalid', reason }]);
      // The method continues.
      expect(rig.tls(record(3))).toMatchObject([{ type: 'handshake' }]);
      expect(rig.method.claimedIdentity).toBe('@home.example');
    }
  });

  it('ends the conversation if it follows MAX_INVALID others', () => {
    const rig = new Rig().begin();
    for (let i = 0; i < MAX_INVALID; i += 1) expect(rig.octets(ZERO)).toMatchObject([{ type: 'invalid' }]);
    const [, failed] = rig.octets(ZERO);
    expect(failed).toMatchObject({ type: 'failure', reason: 'protocol', packet: end(4, FIRST + 1) });
    expect(rig.tls(HELLO)).toMatchObject([{ type: 'invalid', reason: 'the conversation is over' }]);
  });

  it('is also a Response that arrives while the previous one is processed, which is not counted', () => {
    for (const rig of [new Rig().asked(), new Rig().deciding(), new Rig().committing()]) {
      const { token } = rig;
      for (let i = 0; i <= 2 * MAX_INVALID; i += 1) {
        const [output] = rig.tls(HELLO);
        expect(output).toMatchObject({ type: 'invalid', reason: 'the previous Response is still being processed' });
      }
      expect(rig.token).toBe(token);
      expect(rig.feed({ type: 'failed', token, reason: 'tls-alert', detail: 'x' })).toMatchObject([
        { type: 'abandon' },
        { type: 'failure' },
      ]);
    }
  });
});

describe('EAP-TLS at the server', () => {
  it('authorizes before the commitment, and outputs the keys when the client has acknowledged', () => {
    const rig = new Rig().begin();
    expect(rig.tls(HELLO)).toEqual([{ type: 'handshake', token: 1, flight: HELLO }]);
    const [serverHello] = rig.feed({ type: 'flight', token: 1, flight: record(2) });
    expect(serverHello).toEqual({ type: 'request', packet: request(FIRST + 2, EAP_TYPE.EAP_TLS, tls(record(2))) });
    expect(rig.tls(record(3))).toEqual([{ type: 'handshake', token: 2, flight: record(3) }]);
    expect(rig.feed({ ...verified, token: 2 })).toEqual([{ type: 'authorize', token: 3, peer: CLIENT }]);
    expect(rig.method.proven).toBe(false);
    expect(rig.feed({ type: 'authorized', token: 3, decision: permitted })).toEqual([
      { type: 'commit', token: 4, applicationData: ZERO },
    ]);
    const keys = keysOf();
    const last = rig.feed({ type: 'finished', token: 4, flight: record(4), keys });
    expect(last).toEqual([{ type: 'request', packet: request(FIRST + 3, EAP_TYPE.EAP_TLS, tls(record(4))) }]);
    expect(rig.method.proven).toBe(true);
    const { identity, grant } = permitted;
    const { tlsVersion, resumed } = verified;
    expect(rig.tls(EMPTY)).toEqual([
      { type: 'abandon' },
      {
        type: 'success',
        packet: end(3, FIRST + 3),
        peer: CLIENT,
        identity,
        grant,
        tlsVersion,
        resumed,
        ...keys,
      },
    ]);
    expect(keys.msk.isWiped).toBe(false);
    expect(rig.tls(EMPTY)).toMatchObject([{ type: 'invalid', reason: 'the conversation is over' }]);
    // The caller owns the keys now, so close does not wipe them.
    rig.feed({ type: 'close' });
    expect(keys.msk.isWiped).toBe(false);
  });

  it('sends no application data with TLS 1.2 (RFC 5216), and Success at once if the last flight is empty', () => {
    const rig = new Rig().deciding('TLSv1.2');
    const commit = rig.feed({ type: 'authorized', token: rig.token, decision: permitted });
    expect(commit).toMatchObject([{ type: 'commit', applicationData: EMPTY }]);
    const done = rig.feed({ type: 'finished', token: rig.token, flight: EMPTY, keys: keysOf() });
    expect(done).toMatchObject([{ type: 'abandon' }, { type: 'success', packet: end(3, FIRST + 1) }]);
  });

  it('fails a client that is refused authorization, without sending the commitment', () => {
    const rig = new Rig().deciding();
    const refused = { ok: false, reason: 'disabled' } as const;
    const outputs = rig.feed({ type: 'authorized', token: rig.token, decision: refused });
    expect(outputs).toEqual(failure('disabled', 'mn@home.example mn', FIRST + 1));
    expect(rig.method.proven).toBe(false);
  });

  it.each([
    ['application data of the client', { ...verified, applicationData: 1 }, 'application data from the client'],
    ['an empty flight of the engine', { type: 'flight', flight: EMPTY } as const, 'incomplete flight'],
  ])('fails on %s', (_what, answer, detail) => {
    const rig = new Rig().asked();
    expect(rig.feed({ ...answer, token: rig.token })).toEqual(failure('protocol', detail, FIRST + 1));
  });

  it('fails on an empty flight, and on one that ends within a record, without passing it to the engine', () => {
    expect(new Rig().begin().tls(EMPTY)).toEqual(failure('protocol', 'empty flight', FIRST + 1));
    const [, cut] = new Rig().begin().tls(HELLO.subarray(0, -1));
    expect(cut).toMatchObject({ type: 'failure', reason: 'effort' });
  });

  it.each([
    ['data', record(1), {}, 'protocol', 'data after the handshake'],
    ['one octet', ZERO, {}, 'protocol', 'data after the handshake'],
    ['the first fragment of more', record(1), { more: true, total: 99 }, 'protocol', 'data after the handshake'],
    ['an alert', Uint8Array.of(21, 3, 3, 0, 2, 2, 42), {}, 'tls-alert', 'alert after the handshake'],
  ] as const)(
    'fails when the client answers the last flight with %s, and wipes the keys',
    (_what, flight, more, reason, detail) => {
      const keys = keysOf();
      const rig = new Rig().committed(keys);
      expect(rig.tls(flight, more)).toEqual(failure(reason, detail, FIRST + 2));
      expect([keys.msk.isWiped, keys.emsk.isWiped]).toEqual([true, true]);
    },
  );

  it('wipes the keys when the answer to the last flight is malformed EAP-TLS data', () => {
    const keys = keysOf();
    const [, failed] = new Rig().committed(keys).say(EAP_TYPE.EAP_TLS, EMPTY);
    expect(failed).toMatchObject({ type: 'failure', reason: 'fragments' });
    expect([keys.msk.isWiped, keys.emsk.isWiped]).toEqual([true, true]);
  });

  it('ends without a packet when the engine is busy', () => {
    const rig = new Rig().asked();
    expect(rig.feed({ type: 'busy', token: rig.token })).toEqual([
      { type: 'abandon' },
      { type: 'busy', packet: undefined },
    ]);
    expect(rig.tls(HELLO)).toMatchObject([{ type: 'invalid', reason: 'the conversation is over' }]);
  });

  it('fails once on an internal error', () => {
    for (const rig of [new Rig().asked(), new Rig().deciding(), new Rig().committing()]) {
      expect(rig.feed({ type: 'fault' })).toMatchObject([
        { type: 'abandon' },
        { type: 'failure', reason: 'protocol', detail: 'internal error' },
      ]);
      expect(rig.feed({ type: 'fault' })).toEqual([]);
    }
  });

  it('fails after MAX_SERVER_ROUNDS rounds', () => {
    const rig = new Rig().begin();
    const byOctet = { more: true } as const;
    for (let rounds = 1; rounds < MAX_SERVER_ROUNDS; rounds += 1) {
      expect(rig.tls(ZERO, byOctet)).toMatchObject([{ type: 'request' }]);
    }
    const [, failed] = rig.tls(ZERO, byOctet);
    expect(failed).toMatchObject({ type: 'failure', reason: 'too-many-rounds' });
  });
});

describe('fragments at the server', () => {
  it('are sent one by one as they are acknowledged', () => {
    const rig = new Rig({ mtu: 64 }).asked();
    const flight = record(...new Array<number>(120).fill(7));
    const outputs = rig.feed({ type: 'flight', token: rig.token, flight });
    const sent: number[] = [];
    for (let next = outputs; next[0]?.type === 'request'; next = rig.tls(EMPTY)) {
      sent.push(...fragmentOf(next[0].packet));
      if (sent.length === flight.length) break;
    }
    expect(Uint8Array.from(sent)).toEqual(flight);
    expect(rig.tls(record(3))).toMatchObject([{ type: 'handshake', flight: record(3) }]);
  });

  it('end the conversation when data arrives instead of an acknowledgement', () => {
    const rig = new Rig({ mtu: 64 }).asked();
    rig.feed({ type: 'flight', token: rig.token, flight: record(...new Array<number>(120).fill(7)) });
    expect(rig.tls(record(3))).toMatchObject([
      { type: 'abandon' },
      { type: 'failure', reason: 'fragments', detail: 'data instead of an acknowledgement' },
    ]);
  });

  it('of the client are acknowledged and reach the engine as one flight of at most maxFlight octets', () => {
    const rig = new Rig({ maxFlight: 20 }).begin();
    const flight = record(1, 2, 3, 4, 5, 6);
    const [acknowledged] = rig.tls(flight.subarray(0, 6), { more: true, total: flight.length });
    expect(acknowledged).toMatchObject({ type: 'request' });
    expect(acknowledged?.type === 'request' && fragmentOf(acknowledged.packet)).toEqual(EMPTY);
    expect(rig.tls(flight.subarray(6))).toEqual([{ type: 'handshake', token: 1, flight }]);
    const [, long] = new Rig({ maxFlight: 20 }).begin().tls(ZERO, { more: true, total: 21 });
    expect(long).toMatchObject({ type: 'failure', reason: 'fragments', detail: 'announces-too-much' });
  });

  it('without flags end the conversation', () => {
    const [, failed] = new Rig().begin().say(EAP_TYPE.EAP_TLS, EMPTY);
    expect(failed).toMatchObject({ type: 'failure', reason: 'fragments' });
  });
});

describe('an unexpected result of the engine or of the decision', () => {
  const answers = (token: number, keys: EapKeys): AuthenticatorInput<string>[] => [
    { type: 'flight', token, flight: record(2) },
    { ...verified, token },
    { type: 'authorized', token, decision: permitted },
    { type: 'finished', token, flight: record(4), keys },
    { type: 'failed', token, reason: 'tls-alert', detail: 'x' },
    { type: 'busy', token },
  ];
  const states: [string, () => Rig, readonly string[]][] = [
    ['before EAP-TLS', () => new Rig().begin(), []],
    ['while the engine works', () => new Rig().asked(), ['flight', 'verified', 'failed', 'busy']],
    ['while the decision is due', () => new Rig().deciding(), ['authorized', 'failed']],
    ['while the keys are due', () => new Rig().committing(), ['finished', 'failed', 'busy']],
    ['after the last flight', () => new Rig().committed(), []],
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
        // The machine wipes keys that it does not take over.
        expect(keys.msk.isWiped).toBe(type === 'finished');
        expect(rig.method.busy).toBe(due.length > 0);
      }
    }
  });
});

describe('close', () => {
  it('answers the pending Response, and wipes keys that arrive later', () => {
    for (const rig of [new Rig().asked(), new Rig().deciding(), new Rig().committing()]) {
      const outputs = rig.feed({ type: 'close' });
      expect(outputs).toMatchObject([{ type: 'abandon' }, { type: 'invalid', reason: 'the conversation is over' }]);
      const keys = keysOf();
      expect(rig.feed({ type: 'finished', token: rig.token, flight: record(4), keys })).toEqual([]);
      expect([keys.msk.isWiped, keys.emsk.isWiped]).toEqual([true, true]);
    }
  });

  it('wipes the keys of a client that has not acknowledged', () => {
    const keys = keysOf();
    const rig = new Rig().committed(keys);
    expect(rig.feed({ type: 'close' })).toEqual([{ type: 'abandon' }]);
    expect([keys.msk.isWiped, keys.emsk.isWiped]).toEqual([true, true]);
    expect(rig.tls(EMPTY)).toMatchObject([{ type: 'invalid' }]);
  });
});

describe('the authenticator with any input', () => {
  const octets = fc.oneof(
    fc.uint8Array({ maxLength: 40, size: 'max' }),
    fc.constantFrom(EMPTY, ZERO, record(1), record(2, 3), Uint8Array.of(21, 3, 3, 0, 2, 2, 42)),
  );
  // An input that moves the method forward. Without such inputs, few runs would reach the keys.
  const forward = fc.record({ do: fc.constant('forward' as const), isVerified: fc.boolean() });
  const step = fc.oneof(
    { arbitrary: forward, weight: 12 },
    fc.record({
      do: fc.constant('say' as const),
      type: fc.constantFrom(1, 2, 3, 13, 13, 13, 99),
      octets,
      off: fc.constantFrom(0, 0, 0, 0, 1),
    }),
    fc.record({ do: fc.constant('raw' as const), octets }),
    fc.record({
      do: fc.constant('answer' as const),
      which: fc.constantFrom('flight', 'verified', 'authorized', 'denied', 'finished', 'failed', 'busy'),
      off: fc.constantFrom(0, 0, 0, 1),
      octets,
    }),
    fc.record({ do: fc.constant('close' as const) }),
  );
  type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

  it('answers each Response once, succeeds only after authorization and acknowledgement, and wipes every other key', () => {
    let succeeded = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
        const rig = new Rig();
        const made: EapKeys[] = [];
        const taken: EapKeys[] = [];
        let due = 0;
        let permissions = 0;
        let commits = 0;
        const look = (outputs: Output[]) => {
          for (const output of outputs) {
            if (output.type === 'commit') {
              commits += 1;
              expect(commits).toBeLessThanOrEqual(permissions);
            } else if (!('token' in output) && output.type !== 'abandon') {
              due -= 1;
              if (output.type === 'success') {
                expect(commits).toBeGreaterThan(0);
                taken.push(output);
                succeeded += 1;
              }
            }
          }
          expect(due).toBe(rig.method.busy ? 1 : 0);
        };
        const whatIsDue = (isVerified: boolean): 'authorized' | 'finished' | 'verified' | 'flight' => {
          if (rig.question === 'authorize') return 'authorized';
          if (rig.question === 'commit') return 'finished';
          return isVerified ? 'verified' : 'flight';
        };
        const packetOf = (one: Exclude<Step, { readonly do: 'answer' | 'close' }>) => {
          if (one.do === 'raw') return one.octets;
          if (one.do === 'forward') {
            if (rig.method.claimedIdentity === undefined) return response(rig.identifier, EAP_TYPE.IDENTITY, ZERO);
            return response(rig.identifier, EAP_TYPE.EAP_TLS, tls(commits > 0 ? EMPTY : HELLO));
          }
          const data = one.type === EAP_TYPE.EAP_TLS ? tls(one.octets) : one.octets;
          return response((rig.identifier + one.off) & 0xff, one.type, data);
        };
        due += 1;
        look(rig.octets(EMPTY));
        for (const one of steps) {
          const { token: last, question, method } = rig;
          if (one.do === 'close') look(rig.feed({ type: 'close' }));
          else if (one.do === 'answer' || (one.do === 'forward' && method.busy)) {
            const given = one.do === 'answer' ? one : { which: whatIsDue(one.isVerified), off: 0, octets: record(4) };
            const { which } = given;
            const token = last - given.off;
            const keys = keysOf();
            if (which === 'finished') made.push(keys);
            if (which === 'authorized' && given.off === 0 && question === 'authorize' && method.busy) permissions += 1;
            const inputs: Record<typeof which, AuthenticatorInput<string>> = {
              flight: { type: 'flight', token, flight: given.octets },
              verified: { ...verified, token, applicationData: given.octets[0] === 9 ? 1 : 0 },
              authorized: { type: 'authorized', token, decision: permitted },
              denied: { type: 'authorized', token, decision: { ok: false, reason: 'disabled' } },
              finished: { type: 'finished', token, flight: given.octets, keys },
              failed: { type: 'failed', token, reason: 'crl', detail: '' },
              busy: { type: 'busy', token },
            };
            look(rig.feed(inputs[which]));
          } else {
            due += 1;
            look(rig.octets(packetOf(one)));
          }
        }
        rig.feed({ type: 'close' });
        const isTaken = ({ msk }: EapKeys) => taken.some((one) => one.msk === msk);
        for (const keys of made) expect(keys.msk.isWiped && keys.emsk.isWiped).toBe(!isTaken(keys));
      }),
      { numRuns: runs(2000) },
    );
    expect(succeeded).toBeGreaterThan(20);
  });

  it('sends Failure with the Identifier of the Response', () => {
    for (let identifier = 0; identifier < 256; identifier += 17) {
      const rig = new Rig({ identifier }).begin();
      const [, failed] = rig.say(EAP_TYPE.NAK, ZERO);
      expect(failed).toMatchObject({ type: 'failure', packet: end(EAP_CODE.FAILURE, (identifier + 2) & 0xff) });
    }
  });
});
