import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, toHex } from '../../../src/protocol/bytes/octets.js';
import { type AuthenticatorInput, EapAuthenticator } from '../../../src/protocol/eap/authenticator.js';
import { EapPeerMethod, type PeerInput } from '../../../src/protocol/eap/peer.js';
import { runs } from '../../seed.js';
import { VirtualHost } from '../../virtual-host.js';
import { CLIENT, EMPTY, keysOf, record } from './method-rig.js';

/** Retransmission interval of the lower layer, and the longest duration of a run, in milliseconds. */
const REPEAT = 1_000;
const LIMIT = 3_600_000;

type Verdict = 'granted' | 'refused' | 'bad certificate' | 'bad server' | 'busy';

interface Plan {
  readonly seed: number;
  /** Percentage of packets lost, and of packets repeated. */
  readonly loss: number;
  readonly repeats: number;
  /** Longest delay of a packet or of an answer of the engine, in milliseconds. */
  readonly delay: number;
  readonly mtu: number;
  /** Lengths in octets of the flights of client and server in turn. The last one is the flight with the commitment. */
  readonly sizes: readonly [number, number, number, number];
  readonly tlsVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly verdict: Verdict;
}

interface Packet {
  readonly sequence: number;
  readonly octets: Uint8Array;
}

function isSame(octets: Uint8Array, expected: Uint8Array | undefined): void {
  expect(toHex(octets)).toBe(toHex(expected ?? EMPTY));
}

/**
 * Peer and authenticator over a link that loses, duplicates and reorders. As in PANA, the server's side repeats each packet until
 * it is answered, and late packets are recognized by sequence numbers. The TLS engines are scripted and check that each flight
 * arrives as it was sent.
 */
class Joined {
  readonly #plan: Plan;
  readonly #host: VirtualHost;
  readonly #server: EapAuthenticator<string>;
  readonly #peer: EapPeerMethod;
  readonly #flights: readonly Uint8Array[];
  #sent: Packet | undefined;
  #sequence = 0;
  #heard = 0;
  #answer = new Map<number, Uint8Array>();
  #clientFlights = 0;
  #serverFlights = 0;
  readonly keys: { server?: string; peer?: string } = {};
  readonly ends: { server?: string; peer?: string } = {};

  constructor(plan: Plan) {
    this.#plan = plan;
    const seed = new Uint8Array(32);
    new DataView(seed.buffer).setUint32(0, plan.seed);
    this.#host = new VirtualHost(seed);
    const identifier = this.#dice(256);
    this.#server = new EapAuthenticator({ mtu: plan.mtu, identifier });
    this.#peer = new EapPeerMethod({ identity: '@home.example', mtu: plan.mtu });
    this.#flights = plan.sizes.map((size, i) => record(...Array.from({ length: size }, (_, at) => (at + i) & 0xff)));
  }

  run(): this {
    this.#toServer({ type: 'response', octets: EMPTY });
    while (!(this.ends.server && this.ends.peer) && this.#host.monotonic() < LIMIT) {
      const next = this.#host.next;
      if (next === undefined) break;
      this.#host.advance(next - this.#host.monotonic());
    }
    return this;
  }

  #dice(below: number): number {
    const [high = 0, low = 0] = this.#host.random(2);
    return (high * 256 + low) % below;
  }

  #later(action: () => void): void {
    this.#host.after(this.#dice(this.#plan.delay + 1), action);
  }

  #transmit(action: () => void): void {
    const { loss, repeats } = this.#plan;
    if (this.#dice(100) >= loss) this.#later(action);
    if (this.#dice(100) < repeats) this.#later(action);
  }

  /** Sends a packet of the server until it is answered. */
  #send(octets: Uint8Array): void {
    expect(octets.length).toBeLessThanOrEqual(this.#plan.mtu);
    this.#sequence += 1;
    const packet = { sequence: this.#sequence, octets };
    this.#sent = packet;
    const again = () => {
      if (this.#sent !== packet) return;
      this.#transmit(() => this.#arrived(packet));
      this.#host.after(REPEAT, again);
    };
    again();
  }

  #arrived({ sequence, octets }: Packet): void {
    if (sequence < this.#heard) return;
    this.#heard = sequence;
    this.#toPeer({ type: 'packet', octets });
    // A Success or Failure is answered by the lower layer.
    if (this.ends.peer) this.#respond(sequence, EMPTY);
  }

  #respond(sequence: number, octets: Uint8Array): void {
    expect(octets.length).toBeLessThanOrEqual(this.#plan.mtu);
    const before = this.#answer.get(sequence);
    if (before) isSame(octets, before);
    this.#answer.set(sequence, octets);
    this.#transmit(() => {
      if (this.#sent?.sequence !== sequence) return;
      this.#sent = undefined;
      if (octets.length > 0) this.#toServer({ type: 'response', octets });
    });
  }

  #toServer(input: AuthenticatorInput<string>): void {
    const { verdict, tlsVersion } = this.#plan;
    for (const output of this.#server.handle(input)) {
      switch (output.type) {
        case 'handshake': {
          const { token, flight } = output;
          const isFirst = this.#serverFlights === 0;
          if (verdict !== 'bad server' || isFirst) isSame(flight, this.#flights[isFirst ? 0 : 2]);
          this.#serverFlights += 1;
          this.#later(() => {
            if (isFirst) this.#toServer({ type: 'flight', token, flight: this.#flights[1] ?? EMPTY });
            else if (flight[0] === 21) this.#toServer({ type: 'failed', token, reason: 'tls-alert', detail: '' });
            else if (verdict === 'busy') this.#toServer({ type: 'busy', token });
            else if (verdict === 'bad certificate') {
              this.#toServer({ type: 'failed', token, reason: 'revoked', detail: '' });
            } else {
              const verified = { peer: CLIENT, tlsVersion, resumed: false, applicationData: 0 };
              this.#toServer({ type: 'verified', token, ...verified });
            }
          });
          break;
        }
        case 'authorize': {
          const { token } = output;
          const yes = { ok: true, identity: 'mn', grant: 'yes' } as const;
          const decision = verdict === 'refused' ? ({ ok: false, reason: 'disabled' } as const) : yes;
          this.#later(() => this.#toServer({ type: 'authorized', token, decision }));
          break;
        }
        case 'commit': {
          const { token, applicationData } = output;
          const flight = concat(this.#flights[3] ?? EMPTY, applicationData.length > 0 ? record(0) : EMPTY);
          this.#later(() => this.#toServer({ type: 'finished', token, flight, keys: keysOf(7) }));
          break;
        }
        case 'abandon':
          break;
        case 'request':
          this.#send(output.packet);
          break;
        case 'invalid':
          throw new Error(`a packet of the peer is invalid: ${output.reason}`);
        case 'busy':
          this.ends.server = output.type;
          this.ends.peer ??= 'left';
          break;
        case 'success':
          this.keys.server = toHex(output.msk.octets()) + toHex(output.emsk.octets());
          this.ends.server = output.type;
          this.#send(output.packet);
          break;
        case 'failure':
          this.ends.server = output.reason;
          this.#send(output.packet);
      }
    }
  }

  #toPeer(input: PeerInput): void {
    const { verdict, tlsVersion } = this.#plan;
    for (const output of this.#peer.handle(input)) {
      switch (output.type) {
        case 'handshake': {
          const { token, flight } = output;
          const turn = this.#clientFlights;
          this.#clientFlights += 1;
          const isLast = turn === 2;
          const said = isLast && tlsVersion === 'TLSv1.3' ? Uint8Array.of(0) : EMPTY;
          const commitment = concat(this.#flights[3] ?? EMPTY, said.length > 0 ? record(0) : EMPTY);
          isSame(flight, [EMPTY, this.#flights[1], commitment][turn]);
          // With TLS 1.2 the Finished of the server comes last; with TLS 1.3 it came before.
          const isSecured = isLast || (turn === 1 && tlsVersion === 'TLSv1.3');
          const secured = isSecured ? { tlsVersion, resumed: false } : undefined;
          const flightBack = [this.#flights[0], this.#flights[2], EMPTY][turn] ?? EMPTY;
          this.#later(() => {
            if (turn === 1 && verdict === 'bad server') {
              this.#toPeer({ type: 'failed', token, reason: 'server-name', detail: '' });
            } else this.#toPeer({ type: 'flight', token, flight: flightBack, applicationData: said, secured });
          });
          break;
        }
        case 'finish':
          this.#toPeer({ type: 'finished', token: output.token, keys: keysOf(7) });
          break;
        case 'keys':
          this.keys.peer = toHex(output.msk.octets()) + toHex(output.emsk.octets());
          break;
        case 'response':
          this.#respond(this.#heard, output.packet);
          break;
        case 'succeeded':
          this.ends.peer = output.type;
          break;
        case 'failed':
          this.ends.peer = output.reason;
          break;
        case 'discarded':
          // Only a repeated Request is discarded, while the engine works on it.
          expect(output.reason).toBe('busy');
          break;
        default:
      }
    }
  }
}

const SIZE = fc.integer({ min: 1, max: 2_000 });

const plans: fc.Arbitrary<Plan> = fc.record({
  seed: fc.integer({ min: 0, max: 0xffff_ffff }),
  loss: fc.integer({ min: 0, max: 40 }),
  repeats: fc.integer({ min: 0, max: 30 }),
  delay: fc.integer({ min: 0, max: 5_000 }),
  // With less, the largest flights would need more packets than both ends allow.
  mtu: fc.integer({ min: 96, max: 1_400 }),
  sizes: fc.tuple(SIZE, SIZE, SIZE, SIZE),
  tlsVersion: fc.constantFrom('TLSv1.2', 'TLSv1.3'),
  verdict: fc.constantFrom<Verdict>(
    'granted',
    'granted',
    'granted',
    'refused',
    'bad certificate',
    'bad server',
    'busy',
  ),
});

describe('peer and authenticator over a link that loses, duplicates and reorders', () => {
  it('reach the same result, with the same keys or none', () => {
    fc.assert(
      fc.property(plans, (plan) => {
        const { ends, keys } = new Joined(plan).run();
        const expected = {
          granted: { server: 'success', peer: 'succeeded' },
          refused: { server: 'disabled', peer: 'refused' },
          'bad certificate': { server: 'revoked', peer: 'refused' },
          'bad server': { server: 'tls-alert', peer: 'server-name' },
          busy: { server: 'busy', peer: 'left' },
        }[plan.verdict];
        expect(ends).toEqual(expected);
        if (plan.verdict === 'granted') {
          expect(keys.peer).toBe(keys.server);
          expect(keys.peer).toHaveLength(256);
        } else {
          expect(keys).toEqual({});
        }
      }),
      { numRuns: runs(300) },
    );
  });
});
