import { decodeUtf8 } from '../bytes/octets.js';
import type { Secret } from '../bytes/secret.js';
import {
  type AnswerContext,
  answerMobility,
  type DeaLifetimes,
  type DiameterMobility,
  type HomeAgentOffer,
  proposesLocal,
  requestMobility,
  sessionLifetimes,
} from '../mip6/diameter-mobility.js';
import type { Grant, PaaSessionInput } from '../pana/session/paa-session.js';

/** EAP codes and types that a pass-through authenticator reads, RFC 3748 4 and 5.1. */
const REQUEST = 1;
const RESPONSE = 2;
const SUCCESS = 3;
const FAILURE = 4;
const IDENTITY = 1;

/** Octets of an identity; a longer one is not passed on (RFC 7542 allows 253). */
export const MAX_IDENTITY = 253;

/**
 * Octets of the largest EAP packet that is carried on: beside it a PANA message, which is one UDP datagram, has room for
 * every AVP that it may hold.
 */
export const MAX_EAP_PACKET = 64_000;

/** Octets of State, and of all Class AVPs, that are kept and sent back (RADIUS has 253 octets for each). */
export const MAX_ECHOED = 16_384;

/** Octets of an MSK at least, RFC 3748 7.10: a shorter one is none. */
export const MIN_MSK = 64;

/** EAP rounds of one run; an AAA server that asks on and on is stopped. */
export const MAX_ROUNDS = 64;

/** Result-Code values that this machine tells apart, RFC 6733 7.1. */
const MULTI_ROUND_AUTH = 1001;
const DIAMETER_SUCCESS = 2001;
const DIAMETER_LIMITED_SUCCESS = 2002;

const AUTHENTICATION_REJECTED = 4001;

/** Permanent failures that say nothing about the node, RFC 6733 7.1.5: another state of the server, or a fault of ours. */
const PERMANENT_WITHOUT_VERDICT: readonly number[] = [
  ...[5001, 5002, 5004, 5005, 5007, 5008, 5009, 5010, 5011, 5012],
  ...[5013, 5014, 5015, 5016, 5017],
];

/**
 * Whether a Result-Code that is no success judges the node. Protocol errors (too busy, unable to deliver) and transient
 * failures do not, but for AUTHENTICATION_REJECTED.
 */
export function isVerdict(resultCode: number): boolean {
  if (resultCode === AUTHENTICATION_REJECTED) return true;
  return resultCode >= 5000 && !PERMANENT_WITHOUT_VERDICT.includes(resultCode);
}

/** What is read of a DEA (RFC 4072 3.2, RFC 5447 6), by the names of the dictionary. */
export interface DeaValues extends DiameterMobility, DeaLifetimes {
  readonly 'Result-Code': number;
  readonly 'Origin-Host': string;
  readonly 'Origin-Realm'?: string | undefined;
  readonly 'EAP-Payload'?: Uint8Array | undefined;
  readonly 'EAP-Reissued-Payload'?: Uint8Array | undefined;
  /** Taken over, if it is given on. */
  readonly 'EAP-Master-Session-Key'?: Secret | undefined;
  readonly 'User-Name'?: string | undefined;
  readonly State?: Uint8Array | undefined;
  readonly Class?: readonly Uint8Array[] | undefined;
  readonly 'Session-Binding'?: number | undefined;
  readonly 'Session-Server-Failover'?: number | undefined;
  readonly 'Auth-Session-State'?: number | undefined;
}

/** Bits of Session-Binding, RFC 6733 8.17: that message goes to any server of the realm. */
export const SESSION_BINDING = { RE_AUTH: 1, STR: 2 } as const;

/** Session-Server-Failover, RFC 6733 8.18, where the bound server is gone: 1 and 3 say that another one is asked. */
const TRY_AGAIN: readonly number[] = [1, 3];

/** Auth-Session-State NO_STATE_MAINTAINED, RFC 6733 8.11: no STR. */
const NO_STATE_MAINTAINED = 1;

/** How the server of a session wants to hear of its end. */
export interface SessionServer {
  /** Destination-Host of STR; undefined: any server of the realm. */
  readonly host: string | undefined;
  /** Another one may be told when that one is gone. */
  readonly tryAgain: boolean;
}

/** What a DER says beyond its session and origin. */
export interface DerRequest {
  readonly identity: string;
  /** Undefined before the first answer: any server of the realm may take the conversation. */
  readonly server: string | undefined;
  readonly payload: Uint8Array;
  readonly state: Uint8Array | undefined;
  readonly mobility: DiameterMobility;
}

export interface AccessConfig {
  /** Milliseconds; what PANA announces where the AAA server sets no bound. */
  readonly sessionLifetime: number;
}

export type AccessInput =
  /** `asked`: the EAP-Request/Identity that the client has got already. */
  | { readonly type: 'start'; readonly wish: number | undefined; readonly asked?: Uint8Array | undefined }
  | { readonly type: 'packet'; readonly packet: Uint8Array }
  /** The visited network's own proposal, or that it has none, in answer to `propose`. */
  | { readonly type: 'proposal'; readonly local: HomeAgentOffer | undefined }
  | { readonly type: 'answer'; readonly answer: DeaValues }
  /** No server answered, or with a protocol error. */
  | { readonly type: 'unreachable' }
  /** A server granted access in an answer that cannot be used: whatever session there was is over (RFC 6733 8.1). */
  | { readonly type: 'unusable' };

export type AccessOutput =
  | { readonly type: 'request'; readonly request: DerRequest }
  /** A local home agent is wanted for this identity. */
  | { readonly type: 'propose'; readonly identity: string; readonly wish: number }
  | { readonly type: 'pana'; readonly input: Exclude<PaaSessionInput, { type: 'message' }> }
  /** The AAA server authorised the user; `kind` says whose home agent was granted. */
  | {
      readonly type: 'granted';
      readonly userName: string;
      /** Undefined: it keeps no state, and hears of no end. */
      readonly server: SessionServer | undefined;
      readonly kind: 'home' | 'local' | undefined;
      readonly grant: Grant;
      /** Only to be read, at once: the session that is fed next takes it over. */
      readonly msk: Secret | undefined;
    }
  | { readonly type: 'refused'; readonly resultCode: number | undefined }
  /** What the AAA server granted of Mobile IPv6 is not fit for use; access is not touched. */
  | { readonly type: 'noMobility'; readonly reason: string }
  /** A re-authentication got no verdict on the node; undefined: nobody answered. It comes again. */
  | { readonly type: 'postponed'; readonly resultCode: number | undefined }
  | {
      readonly type: 'dropped';
      readonly code: 'eap-code' | 'eap-length' | 'eap-identifier' | 'eap-identity' | 'unexpected';
    };

type State =
  | { readonly name: 'IDLE' }
  | { readonly name: 'IDENTITY'; readonly identifier: number }
  | { readonly name: 'PROPOSAL'; readonly response: Uint8Array }
  /** The AAA server has the last response. */
  | { readonly name: 'AAA'; readonly response: Uint8Array; readonly request: DerRequest }
  /** The client has the last request. */
  | { readonly name: 'CLIENT'; readonly request: Uint8Array };

/** EAP-Request/Identity without a prompt, RFC 3748 5.1. */
export function identityRequest(identifier: number): Uint8Array {
  return Uint8Array.of(REQUEST, identifier, 0, 5, IDENTITY);
}

/**
 * The pass-through authenticator of one PANA session (RFC 3748 2.3) with its Diameter EAP client (RFC 4072): asks for
 * the identity itself, which gives the realm, and then carries EAP between the client and the AAA server, whose
 * Result-Code decides.
 */
export class Access {
  readonly #config: AccessConfig;
  #state: State = { name: 'IDLE' };
  #identifier: number;
  #identity: string | undefined;
  #wish: number | undefined;
  #local: HomeAgentOffer | undefined;
  #server: string | undefined;
  #serverRealm: string | undefined;
  /** Session-Binding lets STR go to any server of the realm: they share the session. */
  #mayBeAny = false;
  /** Destination-Host of the first DER of a later run, and whether another server may have it instead. */
  #boundTo: string | undefined;
  #mayTryAgain = false;
  #aaaState: Uint8Array | undefined;
  #firstOfRun = true;
  #rounds = 0;
  /** The AAA server has authorised the user, in this run or an earlier one. */
  #hasBeenGranted = false;
  /** Of the last success, for STR and later runs (RFC 6733 8.20). */
  #classes: readonly Uint8Array[] = [];

  constructor(config: AccessConfig, firstIdentifier: number) {
    this.#config = config;
    this.#identifier = firstIdentifier & 0xff;
  }

  get identity(): string | undefined {
    return this.#identity;
  }

  get server(): string | undefined {
    return this.#server;
  }

  /** Realm whose servers share the session (Session-Binding); undefined: it is of `server` alone. */
  get sharedRealm(): string | undefined {
    return this.#mayBeAny ? this.#serverRealm : undefined;
  }

  get classes(): readonly Uint8Array[] {
    return this.#classes;
  }

  handle(input: AccessInput): AccessOutput[] {
    switch (input.type) {
      case 'start':
        return this.#start(input.wish, input.asked);
      case 'packet':
        return this.#packet(input.packet);
      case 'proposal':
        return this.#proposal(input.local);
      case 'answer':
        return this.#keyed(input.answer);
      case 'unreachable':
        if (this.#state.name !== 'AAA') return [];
        if (this.#firstOfRun && this.#boundTo !== undefined && this.#mayTryAgain) {
          this.#boundTo = undefined;
          return [{ type: 'request', request: { ...this.#state.request, server: undefined } }];
        }
        return this.#fail(undefined, undefined);
      case 'unusable':
        return this.#state.name === 'AAA' ? this.#refuse(undefined, undefined) : [];
    }
  }

  #start(wish: number | undefined, asked: Uint8Array | undefined): AccessOutput[] {
    this.#wish = wish;
    this.#firstOfRun = true;
    this.#rounds = 0;
    this.#aaaState = undefined;
    this.#identifier = asked?.[1] ?? (this.#identifier + 1) & 0xff;
    this.#state = { name: 'IDENTITY', identifier: this.#identifier };
    return asked ? [] : [{ type: 'pana', input: { type: 'eapRequest', packet: identityRequest(this.#identifier) } }];
  }

  /** RFC 4072 2.4: Code, Identifier and Length are checked before the AAA server sees a packet. */
  #packet(padded: Uint8Array): AccessOutput[] {
    const length = ((padded[2] ?? 0) << 8) | (padded[3] ?? 0);
    if (length < 5 || length > padded.length) return [{ type: 'dropped', code: 'eap-length' }];
    const packet = padded.subarray(0, length);
    if (packet[0] !== RESPONSE) return [{ type: 'dropped', code: 'eap-code' }];
    const state = this.#state;
    if (state.name === 'IDENTITY') {
      if (packet[1] !== state.identifier) return [{ type: 'dropped', code: 'eap-identifier' }];
      return this.#identityResponse(packet);
    }
    if (state.name !== 'CLIENT') return [{ type: 'dropped', code: 'unexpected' }];
    if (packet[1] !== state.request[1]) return [{ type: 'dropped', code: 'eap-identifier' }];
    return this.#ask(packet, {});
  }

  #identityResponse(packet: Uint8Array): AccessOutput[] {
    const identity = packet[4] === IDENTITY && packet.length <= 5 + MAX_IDENTITY ? readIdentity(packet) : undefined;
    if (identity === undefined) {
      this.#state = { name: 'IDLE' };
      return [
        { type: 'dropped', code: 'eap-identity' },
        { type: 'pana', input: { type: 'eapFailure', packet: Uint8Array.of(FAILURE, packet[1] ?? 0, 0, 4) } },
      ];
    }
    this.#identity = identity;
    if (!proposesLocal(this.#wish)) return this.#ask(packet, requestMobility(this.#wish, undefined));
    this.#state = { name: 'PROPOSAL', response: packet };
    return [{ type: 'propose', identity, wish: this.#wish }];
  }

  #proposal(local: HomeAgentOffer | undefined): AccessOutput[] {
    if (this.#state.name !== 'PROPOSAL') return [];
    this.#local = local;
    return this.#ask(this.#state.response, requestMobility(this.#wish, local));
  }

  #ask(response: Uint8Array, mobility: DiameterMobility): AccessOutput[] {
    this.#rounds += 1;
    if (this.#rounds > MAX_ROUNDS) return this.#fail(undefined, undefined);
    const server = this.#firstOfRun ? this.#boundTo : this.#server;
    const request = { identity: this.#identity ?? '', server, payload: response, state: this.#aaaState, mobility };
    this.#state = { name: 'AAA', response, request };
    return [{ type: 'request', request }];
  }

  /** Wipes the key of an answer that no session takes over. */
  #keyed(answer: DeaValues): AccessOutput[] {
    const out: AccessOutput[] =
      this.#state.name === 'AAA' ? this.#answer(answer) : [{ type: 'dropped', code: 'unexpected' }];
    const msk = answer['EAP-Master-Session-Key'];
    const isTaken = out.some(
      (output) => output.type === 'pana' && output.input.type === 'eapSuccess' && output.input.msk === msk,
    );
    if (!isTaken) msk?.wipe();
    return out;
  }

  /** RFC 4072 2.8.2: the Result-Code decides, not the EAP packet. */
  #answer(answer: DeaValues): AccessOutput[] {
    this.#server = answer['Origin-Host'];
    this.#serverRealm = answer['Origin-Realm'];
    this.#firstOfRun = false;
    // RFC 4072 3.1: State of an answer goes into the next request.
    this.#aaaState = answer.State;
    const payload = wholeEap(answer['EAP-Payload']);
    const code = answer['Result-Code'];
    if (code === MULTI_ROUND_AUTH) {
      const request = payload ?? wholeEap(answer['EAP-Reissued-Payload']);
      const isStateKept = (answer.State?.length ?? 0) <= MAX_ECHOED;
      if (request?.[0] !== REQUEST || request.length < 5 || !isStateKept) return this.#fail(code, undefined);
      this.#identifier = request[1] ?? 0;
      this.#state = { name: 'CLIENT', request };
      return [{ type: 'pana', input: { type: 'eapRequest', packet: request } }];
    }
    if (code === DIAMETER_SUCCESS || code === DIAMETER_LIMITED_SUCCESS) return this.#success(answer, payload);
    return this.#fail(code, payload, mskOf(answer));
  }

  #success(answer: DeaValues, payload: Uint8Array | undefined): AccessOutput[] {
    this.#state = { name: 'IDLE' };
    this.#hasBeenGranted = true;
    if (answer.Class) this.#classes = totalOf(answer.Class) <= MAX_ECHOED ? answer.Class : [];
    const named = answer['User-Name'];
    const userName = (named !== undefined && named.length <= MAX_IDENTITY ? named : this.#identity) ?? '';
    const { lifetime, authorizationLifetime } = sessionLifetimes(answer, this.#config.sessionLifetime);
    const context: AnswerContext = {
      wish: this.#wish,
      local: this.#local,
      ikeIdentity: userName,
      lifetime: Math.floor(lifetime / 1000),
    };
    const mobility = answerMobility(answer, context);
    const grant: Grant = { lifetime, authorizationLifetime, assignment: mobility?.assignment };
    const msk = mskOf(answer);
    const binding = answer['Session-Binding'] ?? 0;
    this.#mayTryAgain = TRY_AGAIN.includes(answer['Session-Server-Failover'] ?? 0);
    this.#boundTo = binding & SESSION_BINDING.RE_AUTH ? undefined : answer['Origin-Host'];
    this.#mayBeAny = (binding & SESSION_BINDING.STR) !== 0;
    const server = serverOf(answer);
    // RFC 4072 2.8.2: the NAS does not invent EAP packets, but a success without one would leave the client waiting.
    const packet = payload ?? Uint8Array.of(SUCCESS, this.#identifier, 0, 4);
    const unfit: AccessOutput[] =
      mobility?.problem === undefined ? [] : [{ type: 'noMobility', reason: mobility.problem }];
    return [
      ...unfit,
      { type: 'granted', userName, server, kind: mobility?.kind, grant, msk },
      { type: 'pana', input: { type: 'eapSuccess', packet, msk, authorized: true, grant } },
    ];
  }

  /** EAP-Success with a refusing Result-Code is a refusal of authorisation only (RFC 4072 2.8.2): PANA Result-Code 2. */
  #fail(resultCode: number | undefined, payload: Uint8Array | undefined, msk?: Secret): AccessOutput[] {
    this.#state = { name: 'IDLE' };
    // Not RFC: with Session-Server-Failover REFUSE_SERVICE (RFC 6733 8.18) an end of the server would end its sessions.
    if (this.#hasBeenGranted && !(resultCode !== undefined && isVerdict(resultCode))) {
      return [
        { type: 'postponed', resultCode },
        { type: 'pana', input: { type: 'eapPostponed' } },
      ];
    }
    return this.#refuse(resultCode, payload, msk);
  }

  #refuse(resultCode: number | undefined, payload: Uint8Array | undefined, msk?: Secret): AccessOutput[] {
    this.#state = { name: 'IDLE' };
    const refused: AccessOutput = { type: 'refused', resultCode };
    if (payload?.[0] === SUCCESS) {
      const grant: Grant = { lifetime: undefined, authorizationLifetime: undefined, assignment: undefined };
      return [refused, { type: 'pana', input: { type: 'eapSuccess', packet: payload, msk, authorized: false, grant } }];
    }
    const packet = payload?.[0] === FAILURE ? payload : undefined;
    return [refused, { type: 'pana', input: { type: 'eapFailure', packet } }];
  }
}

/** The EAP packet at the start of these octets (RFC 3748 4.1); undefined if there is none, or it is too long to carry on. */
function wholeEap(octets: Uint8Array | undefined): Uint8Array | undefined {
  if (!octets || octets.length < 4) return undefined;
  const [, , high = 0, low = 0] = octets;
  const length = (high << 8) | low;
  if (length < 4 || length > octets.length || length > MAX_EAP_PACKET) return undefined;
  return octets.subarray(0, length);
}

/** How the server of a success wants to hear of the session's end; undefined: it keeps no state. */
export function serverOf(
  answer: Pick<DeaValues, 'Origin-Host' | 'Session-Binding' | 'Session-Server-Failover' | 'Auth-Session-State'>,
): SessionServer | undefined {
  if (answer['Auth-Session-State'] === NO_STATE_MAINTAINED) return undefined;
  const isAny = ((answer['Session-Binding'] ?? 0) & SESSION_BINDING.STR) !== 0;
  const tryAgain = TRY_AGAIN.includes(answer['Session-Server-Failover'] ?? 0);
  return { host: isAny ? undefined : answer['Origin-Host'], tryAgain };
}

function mskOf(answer: DeaValues): Secret | undefined {
  const msk = answer['EAP-Master-Session-Key'];
  return msk && msk.length >= MIN_MSK ? msk : undefined;
}

function totalOf(list: readonly Uint8Array[]): number {
  return list.reduce((sum, { length }) => sum + length, 0);
}

function readIdentity(packet: Uint8Array): string | undefined {
  try {
    // RFC 3748 5.1: what follows a NUL is not part of the identity.
    const text = decodeUtf8(packet.subarray(5));
    return text.split('\0', 1)[0] ?? '';
  } catch {
    return undefined;
  }
}

/** The realm of a NAI, after the last `@` (RFC 7542 2.5); undefined if there is none. */
export function realmOf(nai: string): string | undefined {
  const at = nai.lastIndexOf('@');
  const realm = at < 0 ? '' : nai.slice(at + 1).toLowerCase();
  // RFC 6733 4.3.1: what is no DiameterIdentity would make the whole request invalid.
  return /^[\x21-\x7e]+$/.test(realm) && realm.length <= MAX_IDENTITY ? realm : undefined;
}
