import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { Paa } from '../../../../src/protocol/pana/agent/paa.js';
import type { PaaConfig, PaaInput, PaaOutput } from '../../../../src/protocol/pana/agent/paa-interface.js';
import { PacSession } from '../../../../src/protocol/pana/session/pac.js';
import type { PacConfig, PacInput, PacOutput } from '../../../../src/protocol/pana/session/pac-interface.js';
import type { PacEndpoint } from '../../../../src/protocol/pana/session/start.js';
import { type Algorithms, algorithmsOf } from '../../../../src/protocol/pana/wire/algorithms.js';
import {
  decodePana,
  encodePana,
  FLAG,
  MESSAGE_TYPE,
  type PanaAvp,
  type PanaMessage,
} from '../../../../src/protocol/pana/wire/codec.js';
import { makeAvp, messageName, type PanaValues, readPana } from '../../../../src/protocol/pana/wire/dictionary.js';
import { type Protection, panaAuthKey, signInPlace, verifyAuth } from '../../../../src/protocol/pana/wire/keys.js';
import { HOME, PAA_CONFIG, PAC_CONFIG } from '../session/ladder.js';

export const MSK = new Uint8Array(64).fill(0x4d);
const NONCE = new Uint8Array(20).fill(0x6e);
const KEY_ID = 7;
const SESSION = 0x1122_3344;

/** EAP packets of a simulated method. */
export const EAP = {
  request: Uint8Array.of(1, 9, 0, 5, 1),
  response: Uint8Array.of(2, 9, 0, 5, 1),
  success: Uint8Array.of(3, 9, 0, 4),
  failure: Uint8Array.of(4, 9, 0, 4),
} as const;

export const PAR = { type: MESSAGE_TYPE.AUTH, request: true } as const;
export const PAN = { type: MESSAGE_TYPE.AUTH, request: false } as const;
export const PTR = { type: MESSAGE_TYPE.TERMINATION, request: true } as const;
export const PTA = { type: MESSAGE_TYPE.TERMINATION, request: false } as const;
export const PNR = { type: MESSAGE_TYPE.NOTIFICATION, request: true } as const;
export const PNA = { type: MESSAGE_TYPE.NOTIFICATION, request: false } as const;

interface Kind {
  readonly type: number;
  readonly request: boolean;
}

/** A message that the machine under test sent. */
export interface Sent {
  readonly name: string;
  readonly octets: Uint8Array;
  readonly message: PanaMessage;
  readonly values: PanaValues;
}

export function sentOf(octets: Uint8Array): Sent {
  const message = decodePana(octets);
  const values = readPana(message);
  if (typeof values === 'string') throw new Error(`the machine sent a message with ${values}`);
  return { name: messageName(message).rfc, octets, message, values };
}

/** One end whose messages the test writes by hand, with any sequence numbers, nonces and keys. */
abstract class Foreign<I, O extends { readonly type: string }> {
  now = 0;
  #msk: Uint8Array = MSK;
  /** Sequence number of its next request. */
  sequence = 5000;
  sessionId = SESSION;
  nonce: Uint8Array = NONCE;
  key: Protection | undefined;
  /** Outputs other than messages since the last call of `take`. */
  readonly said: O[] = [];
  /** All messages that the machine under test sent. */
  readonly sent: Sent[] = [];

  /** A copy for each caller, because the machine that takes it over wipes it. */
  get msk(): Secret {
    return Secret.copyOf(this.#msk);
  }

  set msk(octets: Uint8Array) {
    this.#msk = octets;
  }

  protected abstract step(input: I): readonly O[];
  protected abstract arrive(octets: Uint8Array): void;
  abstract get deadline(): number | undefined;

  feed(input: I): this {
    for (const output of this.step(input)) {
      if (output.type === 'send' && 'octets' in output) this.sent.push(sentOf(output['octets'] as Uint8Array));
      else this.said.push(output);
    }
    return this;
  }

  /** Ticks at each deadline up to `until`, which then is the current time. */
  until(until: number, tick: I): this {
    for (let at = this.deadline; at !== undefined && at <= until; at = this.deadline) {
      this.now = Math.max(this.now, at);
      this.feed(tick);
    }
    this.now = until;
    return this;
  }

  /** Names of the messages sent, then of the other outputs, since the last call. */
  take(): string[] {
    const names = this.sent.slice(this.#taken).map(({ name }) => name);
    this.#taken = this.sent.length;
    const events = this.said.splice(0).map((output) => eventName(output));
    return [...names, ...events];
  }
  #taken = 0;

  get last(): Sent {
    const last = this.sent.at(-1);
    if (!last) throw new Error('nothing was sent');
    return last;
  }

  /** A request of the other end, with the next sequence number unless given, signed if there is a key. */
  request(kind: Kind, flags: number, avps: readonly PanaAvp[] = [], more: Partial<PanaMessage> = {}): Uint8Array {
    const sequence = this.sequence;
    this.sequence += 1;
    return this.put({ type: kind.type, flags: flags | FLAG.R, sessionId: this.sessionId, sequence, avps, ...more });
  }

  /** An answer to the last message sent, or to `to`. */
  answer(kind: Kind, flags: number, avps: readonly PanaAvp[] = [], to: Sent = this.last): Uint8Array {
    const { sessionId, sequence } = to.message;
    return this.put({ type: kind.type, flags, sessionId, sequence, avps });
  }

  put(message: PanaMessage): Uint8Array {
    const octets = this.encode(message);
    this.arrive(octets);
    return octets;
  }

  encode(message: PanaMessage): Uint8Array {
    const { key } = this;
    if (!key) return encodePana(message);
    const auth = makeAvp('AUTH', new Uint8Array(key.integrity.tagLength));
    return signInPlace(key, encodePana({ ...message, avps: [...message.avps, auth] }));
  }

  again(octets: Uint8Array): this {
    this.arrive(octets.slice());
    return this;
  }

  protected makeKey(
    algorithms: Algorithms,
    iPar: Uint8Array,
    iPan: Uint8Array,
    nonces: { readonly pac: Uint8Array; readonly paa: Uint8Array },
    keyId: number,
  ): Protection {
    const { pac: pacNonce, paa: paaNonce } = nonces;
    const key = panaAuthKey(algorithms, { msk: this.msk, iPar, iPan, pacNonce, paaNonce, keyId });
    return { integrity: algorithms.integrity, key };
  }
}

function eventName(output: { readonly type: string }): string {
  if ('code' in output) return `dropped ${String(output.code)}`;
  if ('cause' in output) return `closed ${String(output.cause)}`;
  if ('event' in output) return eventName(output.event as { readonly type: string });
  return output.type;
}

interface PacOptions {
  readonly config?: Partial<PacConfig>;
  /** AVPs of its PAR[S]. */
  readonly offer?: readonly PanaAvp[];
}

/** A PAA whose messages the test writes by hand, against the PaC of this project. */
export class ForeignPaa extends Foreign<PacInput, PacOutput> {
  readonly pac: PacSession;
  readonly #offer: readonly PanaAvp[];
  #iPar: Uint8Array = new Uint8Array(0);

  constructor({
    config = {},
    offer = [makeAvp('PRF-Algorithm', 5), makeAvp('Integrity-Algorithm', 12)],
  }: PacOptions = {}) {
    super();
    this.#offer = offer;
    this.pac = new PacSession({ ...PAC_CONFIG, mobility: undefined, ...config }, new Uint8Array(32).fill(3));
  }

  get state(): string {
    return this.pac.state;
  }

  get deadline(): number | undefined {
    return this.pac.deadline;
  }

  protected step(input: PacInput): PacOutput[] {
    return this.pac.handle(input, this.now);
  }

  protected arrive(octets: Uint8Array): void {
    this.feed({ type: 'datagram', octets });
  }

  run(until: number): this {
    return this.until(until, { type: 'tick' });
  }

  /** PAR[S], after AUTH_USER. */
  start(avps: readonly PanaAvp[] = []): this {
    this.feed({ type: 'start' });
    return this.offer(avps);
  }

  offer(avps: readonly PanaAvp[] = []): this {
    this.#iPar = this.request(PAR, FLAG.S, [...this.#offer, ...avps]);
    return this;
  }

  /** PAR with an EAP request; the first one of a run needs the Nonce. */
  eapRequest(withNonce: boolean): this {
    const nonce = withNonce ? [makeAvp('Nonce', this.nonce)] : [];
    this.request(PAR, 0, [makeAvp('EAP-Payload', EAP.request), ...nonce]);
    return this;
  }

  respond(): this {
    return this.feed({ type: 'eapResponse', packet: EAP.response });
  }

  /** The key of PAR[C], made with the last nonce that the PaC sent. */
  keyed(keyId = KEY_ID): Protection {
    const panStart = this.sent.findLast(({ name }) => name === 'PAN[S]');
    const pacNonce = this.sent.findLast(({ values }) => values.Nonce !== undefined)?.values.Nonce;
    const algorithms = algorithmsOf(panStart?.values['PRF-Algorithm'][0], panStart?.values['Integrity-Algorithm'][0]);
    if (!panStart || !pacNonce || !algorithms) throw new Error('the PaC has not sent what a key needs');
    return this.makeKey(algorithms, this.#iPar, panStart.octets, { pac: pacNonce, paa: this.nonce }, keyId);
  }

  /** PAR[C] with Result-Code 0, signed with the new key. */
  complete(more: readonly PanaAvp[] = [], keyId = KEY_ID, flags = 0): Uint8Array {
    this.key = this.keyed(keyId);
    return this.request(PAR, FLAG.C | flags, [
      makeAvp('Result-Code', 0),
      makeAvp('EAP-Payload', EAP.success),
      makeAvp('Key-Id', keyId),
      makeAvp('Session-Lifetime', 3600),
      ...more,
    ]);
  }

  /** A whole first authentication, up to OPEN. */
  open(): this {
    this.start().eapRequest(true).respond();
    this.feed({ type: 'eapKeys', msk: this.msk });
    this.complete();
    this.feed({ type: 'eapSucceeded' });
    this.take();
    return this;
  }

  /** Whether the PaC signed its last message with the key in force. */
  get isSigned(): boolean {
    return this.key !== undefined && verifyAuth(this.key, this.last.octets);
  }
}

const FROM: PacEndpoint = { address: '2001:db8:a::77', port: 40_000, local: '2001:db8:a::1' };

/** A PaC whose messages the test writes by hand, against the PAA of this project. */
export class ForeignPac extends Foreign<PaaInput, PaaOutput> {
  readonly paa: Paa;
  from: PacEndpoint = FROM;
  #iPan: Uint8Array = new Uint8Array(0);

  /** `paa`: a PAA shared with other PaCs. */
  constructor(config: Partial<PaaConfig> = {}, paa?: Paa) {
    super();
    this.sequence = 9000;
    this.paa = paa ?? new Paa({ ...PAA_CONFIG, mobility: undefined, ...config }, new Uint8Array(32).fill(4));
  }

  get state(): string {
    return [...this.paa.list(this.now)].map(({ state }) => state).join(' ') || 'none';
  }

  get deadline(): number | undefined {
    return this.paa.deadline;
  }

  protected step(input: PaaInput): PaaOutput[] {
    return this.paa.handle(input, this.now);
  }

  protected arrive(octets: Uint8Array): void {
    this.feed({ type: 'datagram', octets, from: this.from });
  }

  run(until: number): this {
    return this.until(until, { type: 'tick' });
  }

  pci(): this {
    this.put({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] });
    return this;
  }

  /** PCI, then PAN[S] to the PAR[S]. */
  start(avps: readonly PanaAvp[] = [makeAvp('PRF-Algorithm', 5), makeAvp('Integrity-Algorithm', 12)]): this {
    this.pci();
    return this.accept(avps);
  }

  accept(avps: readonly PanaAvp[]): this {
    this.sessionId = this.last.message.sessionId;
    this.#iPan = this.answer(PAN, FLAG.S, avps);
    return this;
  }

  session(input: Extract<PaaInput, { type: 'session' }>['input']): this {
    return this.feed({ type: 'session', sessionId: this.sessionId, input });
  }

  eapRequest(): this {
    return this.session({ type: 'eapRequest', packet: EAP.request });
  }

  /** PAN with an EAP response; the first one of a run needs the Nonce. */
  respond(withNonce: boolean): this {
    const nonce = withNonce ? [makeAvp('Nonce', this.nonce)] : [];
    this.answer(PAN, 0, [makeAvp('EAP-Payload', EAP.response), ...nonce]);
    return this;
  }

  success(authorized = true, msk: Secret | 'none' = this.msk, grant = HOME): this {
    const key = msk === 'none' ? undefined : msk;
    return this.session({ type: 'eapSuccess', packet: EAP.success, msk: key, authorized, grant });
  }

  /** The key of the PAR[C] that the PAA sent last. */
  keyed(): Protection {
    const parStart = this.sent.findLast(({ name }) => name === 'PAR[S]');
    const paaNonce = this.sent.findLast(({ values }) => values.Nonce !== undefined)?.values.Nonce;
    const keyId = this.sent.findLast(({ values }) => values['Key-Id'] !== undefined)?.values['Key-Id'];
    const { values } = sentOf(this.#iPan);
    const algorithms = algorithmsOf(values['PRF-Algorithm'][0], values['Integrity-Algorithm'][0]);
    if (!parStart || !paaNonce || keyId === undefined || !algorithms) throw new Error('there is no key yet');
    return this.makeKey(algorithms, parStart.octets, this.#iPan, { pac: this.nonce, paa: paaNonce }, keyId);
  }

  /** PAN[C] to PAR[C], signed with the new key. */
  complete(): this {
    this.key = this.keyed();
    this.answer(PAN, FLAG.C, [makeAvp('Key-Id', this.last.values['Key-Id'] ?? 0)]);
    return this;
  }

  open(): this {
    this.start().eapRequest().respond(true).success().complete();
    this.take();
    return this;
  }

  get isSigned(): boolean {
    return this.key !== undefined && verifyAuth(this.key, this.last.octets);
  }
}
