import type { Secret } from '../bytes/secret.js';
import { answeredServices, answerMobility, type DiameterMobility, requestMobility } from '../diameter/mip6/mobility.js';
import type { DEA } from '../diameter/wire/commands.js';
import type { Message } from '../diameter/wire/grammar.js';
import { isSuccess, RESULT } from '../diameter/wire/result-codes.js';
import { EAP_CODE, EAP_TYPE } from '../eap/codec.js';
import { type HomeAgentOffer, proposesLocal } from '../mip6/home-agent-offer.js';
import type { Grant, PaaSessionInput } from '../pana/session/paa-interface.js';
import { eapLength, eapResult, identityIn, identityRequest, MAX_IDENTITY, wholeEap } from './eap.js';
import { isRejection } from './rejection.js';
import { sessionLifetimes } from './session-lifetimes.js';
import { ServerBinding, type SessionServer, serverOf } from './session-server.js';

/**
 * Maximum number of octets of State, and of all Class AVPs together, that are stored and returned (RADIUS has 253
 * octets for each).
 */
const MAX_ECHOED = 16_384;

/** Minimum length of an MSK in octets, RFC 3748 7.10. A shorter key is ignored. */
const MIN_MSK = 64;

/** RFC 4072 3.1, EAP-Start: the first DER has an empty EAP-Payload, so that the AAA server starts with its own request. */
const EMPTY_START = new Uint8Array();

/** Maximum number of EAP rounds in an authentication. */
export const MAX_ROUNDS = 64;

/** The domain of the home agent; `sealed`: the access network does not learn it. */
export type AssignmentKind = 'home' | 'local' | 'sealed';

/**
 * The AVPs of a DEA that this machine evaluates (RFC 4072 3.2, RFC 5447 6). The machine takes ownership of the key in
 * it.
 */
export type DeaValues = Pick<Message<typeof DEA>, 'Result-Code' | 'Origin-Host'> & Partial<Message<typeof DEA>>;

/** Content of a DER, without session and origin. */
export interface DerRequest {
  /** Undefined: the client has not named it yet, because the AAA server is to request it. */
  readonly identity: string | undefined;
  /** Destination-Realm without an identity. */
  readonly realm: string | undefined;
  /** Undefined before the first answer: any server of the realm may serve the conversation. */
  readonly server: string | undefined;
  readonly payload: Uint8Array;
  readonly state: Uint8Array | undefined;
  readonly mobility: DiameterMobility;
}

/**
 * The NAS leaves the request for the identity to the AAA server: the first DER has no identity and an empty EAP-Payload
 * (RFC 4072 3.1), and goes to this realm.
 */
export interface EmptyStart {
  readonly realm: string;
}

export interface AccessConfig {
  /** Milliseconds; the lifetime that PANA announces if the AAA server sets no limit. */
  readonly sessionLifetime: number;
  readonly emptyStart?: EmptyStart | undefined;
}

export type AccessInput =
  /** `asked`: the EAP-Request/Identity that PAR[S] carried. */
  | {
      readonly type: 'start';
      readonly wish: number | undefined;
      readonly asked?: Uint8Array | undefined;
      /** Limit of the lifetime, in milliseconds; undefined: none. */
      readonly longest?: number | undefined;
    }
  | { readonly type: 'packet'; readonly packet: Uint8Array }
  /** Answers `propose`: the proposal of the visited network, if it has one. */
  | { readonly type: 'proposal'; readonly local: HomeAgentOffer | undefined }
  | { readonly type: 'answer'; readonly answer: DeaValues }
  /** No server answered, or the answer is a protocol error. */
  | { readonly type: 'unreachable' }
  /** A server granted access in an answer that cannot be used, so its session is terminated (RFC 6733 8.1). */
  | { readonly type: 'unusable' };

export type AccessOutput =
  | { readonly type: 'request'; readonly request: DerRequest }
  /** Request a local home agent for the node. */
  | { readonly type: 'propose'; readonly wish: number }
  | { readonly type: 'pana'; readonly input: Exclude<PaaSessionInput, { type: 'message' }> }
  /** The AAA server authorized the user. `kind`: the domain of the home agent that was granted. */
  | {
      readonly type: 'granted';
      readonly userName: string;
      /** Destination of the STR; undefined: the server keeps no state. */
      readonly server: SessionServer | undefined;
      readonly kind: AssignmentKind | undefined;
      readonly grant: Grant;
      /** Read-only: the next output passes ownership to the PANA session. */
      readonly msk: Secret | undefined;
    }
  | { readonly type: 'refused'; readonly resultCode: number | undefined }
  /** The Mobile IPv6 AVPs of the answer cannot be used; access is granted without them. */
  | { readonly type: 'noMobility'; readonly reason: string }
  /** A re-authentication ended without a decision and is retried. `resultCode` undefined: no server answered. */
  | { readonly type: 'postponed'; readonly resultCode: number | undefined }
  | {
      readonly type: 'dropped';
      readonly code: 'eap-code' | 'eap-length' | 'eap-identifier' | 'eap-identity' | 'unexpected';
    };

type State =
  | { readonly name: 'IDLE' }
  | { readonly name: 'IDENTITY'; readonly identifier: number }
  | { readonly name: 'PROPOSAL'; readonly response: Uint8Array }
  /** Waiting for the AAA server's answer to the last response. */
  | { readonly name: 'AAA'; readonly response: Uint8Array; readonly request: DerRequest }
  /** Waiting for the client's response to the last request. */
  | { readonly name: 'CLIENT'; readonly request: Uint8Array };

/**
 * The pass-through authenticator of one PANA session (RFC 3748 2.3) with its Diameter EAP client (RFC 4072). It
 * requests the identity itself, which saves a Diameter round trip, because the identity's realm routes the DERs. Then it
 * relays EAP between the client and the AAA server. The server's Result-Code decides.
 */
export class Access {
  readonly #config: AccessConfig;
  #state: State = { name: 'IDLE' };
  #identifier: number;
  #identity: string | undefined;
  #wish: number | undefined;
  #local: HomeAgentOffer | undefined;
  readonly #binding = new ServerBinding();
  #aaaState: Uint8Array | undefined;
  #rounds = 0;
  #longest: number | undefined;
  /** The AAA server has authorized the user, in this authentication or an earlier one. */
  #hasBeenGranted = false;
  /** Class AVPs of the last success, for STR and later authentications (RFC 6733 8.20). */
  #classes: readonly Uint8Array[] = [];

  constructor(config: AccessConfig, firstIdentifier: number) {
    this.#config = config;
    this.#identifier = firstIdentifier & 0xff;
  }

  get identity(): string | undefined {
    return this.#identity;
  }

  get server(): string | undefined {
    return this.#binding.server;
  }

  /** The realm whose servers share the session (Session-Binding); undefined: only `server` has it. */
  get sharedRealm(): string | undefined {
    return this.#binding.sharedRealm;
  }

  get classes(): readonly Uint8Array[] {
    return this.#classes;
  }

  handle(input: AccessInput): AccessOutput[] {
    switch (input.type) {
      case 'start':
        this.#longest = input.longest;
        return this.#start(input.wish, input.asked);
      case 'packet':
        return this.#packet(input.packet);
      case 'proposal':
        return this.#proposal(input.local);
      case 'answer':
        return this.#keyed(input.answer);
      case 'unreachable':
        if (this.#state.name !== 'AAA') return [];
        if (this.#binding.letGo()) {
          return [{ type: 'request', request: { ...this.#state.request, server: undefined } }];
        }
        return this.#fail(undefined, undefined);
      case 'unusable':
        return this.#state.name === 'AAA' ? this.#refuse(undefined, undefined) : [];
    }
  }

  #start(wish: number | undefined, asked: Uint8Array | undefined): AccessOutput[] {
    this.#wish = wish;
    this.#binding.begin();
    this.#rounds = 0;
    this.#aaaState = undefined;
    if (this.#config.emptyStart && !asked) return this.#firstResponse(EMPTY_START);
    this.#identifier = asked?.[1] ?? (this.#identifier + 1) & 0xff;
    this.#state = { name: 'IDENTITY', identifier: this.#identifier };
    return asked ? [] : [{ type: 'pana', input: { type: 'eapRequest', packet: identityRequest(this.#identifier) } }];
  }

  /** RFC 4072 2.4: Code, Identifier and Length are checked before a packet goes to the AAA server. */
  #packet(padded: Uint8Array): AccessOutput[] {
    const length = eapLength(padded);
    if (length < 5 || length > padded.length) return [{ type: 'dropped', code: 'eap-length' }];
    const packet = padded.subarray(0, length);
    if (packet[0] !== EAP_CODE.RESPONSE) return [{ type: 'dropped', code: 'eap-code' }];
    const state = this.#state;
    if (state.name === 'IDENTITY') {
      if (packet[1] !== state.identifier) return [{ type: 'dropped', code: 'eap-identifier' }];
      return this.#identityResponse(packet);
    }
    if (state.name !== 'CLIENT') return [{ type: 'dropped', code: 'unexpected' }];
    if (packet[1] !== state.request[1]) return [{ type: 'dropped', code: 'eap-identifier' }];
    if (state.request[4] !== EAP_TYPE.IDENTITY) return this.#ask(packet, {});
    // After an empty start the server requests the identity. Its realm routes the DERs from now on. The mobility
    // request is repeated, because the server may not have kept the AVPs of the first DER.
    this.#identity = identityIn(packet) ?? this.#identity;
    return this.#ask(packet, requestMobility(this.#wish, proposesLocal(this.#wish) ? this.#local : undefined));
  }

  #identityResponse(packet: Uint8Array): AccessOutput[] {
    const identity = identityIn(packet);
    if (identity === undefined) {
      this.#state = { name: 'IDLE' };
      return [
        { type: 'dropped', code: 'eap-identity' },
        { type: 'pana', input: { type: 'eapFailure', packet: eapResult('FAILURE', packet[1] ?? 0) } },
      ];
    }
    this.#identity = identity;
    return this.#firstResponse(packet);
  }

  #firstResponse(response: Uint8Array): AccessOutput[] {
    if (!proposesLocal(this.#wish)) return this.#ask(response, requestMobility(this.#wish, undefined));
    this.#state = { name: 'PROPOSAL', response };
    return [{ type: 'propose', wish: this.#wish }];
  }

  #proposal(local: HomeAgentOffer | undefined): AccessOutput[] {
    if (this.#state.name !== 'PROPOSAL') return [];
    this.#local = local;
    return this.#ask(this.#state.response, requestMobility(this.#wish, local));
  }

  #ask(response: Uint8Array, mobility: DiameterMobility): AccessOutput[] {
    this.#rounds += 1;
    if (this.#rounds > MAX_ROUNDS) return this.#fail(undefined, undefined);
    const { destination: server } = this.#binding;
    const realm = this.#config.emptyStart?.realm;
    const request = { identity: this.#identity, realm, server, payload: response, state: this.#aaaState, mobility };
    this.#state = { name: 'AAA', response, request };
    return [{ type: 'request', request }];
  }

  /** Wipes the key of an answer unless a session takes ownership. */
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
    this.#binding.answered(answer['Origin-Host'], answer['Origin-Realm']);
    // RFC 4072 3.1: the State AVP of an answer is copied into the next request.
    this.#aaaState = answer.State;
    const payload = wholeEap(answer['EAP-Payload']);
    const code = answer['Result-Code'];
    if (code === RESULT.MULTI_ROUND_AUTH) {
      const request = payload ?? wholeEap(answer['EAP-Reissued-Payload']);
      const isStateKept = (answer.State?.length ?? 0) <= MAX_ECHOED;
      if (request?.[0] !== EAP_CODE.REQUEST || request.length < 5 || !isStateKept) return this.#fail(code, undefined);
      this.#identifier = request[1] ?? 0;
      this.#state = { name: 'CLIENT', request };
      return [{ type: 'pana', input: { type: 'eapRequest', packet: request } }];
    }
    if (isSuccess(code)) return this.#success(answer, payload);
    return this.#fail(code, payload, mskOf(answer));
  }

  #success(answer: DeaValues, payload: Uint8Array | undefined): AccessOutput[] {
    this.#state = { name: 'IDLE' };
    this.#hasBeenGranted = true;
    if (answer.Class) this.#classes = totalOf(answer.Class) <= MAX_ECHOED ? answer.Class : [];
    const named = answer['User-Name'];
    const userName = (named !== undefined && named.length <= MAX_IDENTITY ? named : this.#identity) ?? '';
    const granted = sessionLifetimes(answer, this.#config.sessionLifetime);
    const lifetime = Math.min(granted.lifetime, this.#longest ?? granted.lifetime);
    const { authorizationLifetime } = granted;
    const mobility = answerMobility(answer, {
      wish: this.#wish,
      local: this.#local,
      ikeIdentity: userName,
      lifetime: Math.floor(lifetime / 1000),
    });
    const { services, problems } = answeredServices(answer, this.#wish);
    const { assignment, sealed, problem } = mobility ?? {};
    const grant: Grant = { lifetime, authorizationLifetime, assignment, sealed, services };
    const msk = mskOf(answer);
    this.#binding.granted(answer);
    const server = serverOf(answer);
    // RFC 4072 2.8.2: a NAS does not create EAP packets. Exception: without an EAP-Success the client would keep
    // waiting.
    const packet = payload ?? eapResult('SUCCESS', this.#identifier);
    const unfit = [...(problem === undefined ? [] : [problem]), ...problems].map(
      (reason): AccessOutput => ({ type: 'noMobility', reason }),
    );
    return [
      ...unfit,
      { type: 'granted', userName, server, kind: mobility?.kind, grant, msk },
      { type: 'pana', input: { type: 'eapSuccess', packet, msk, authorized: true, grant } },
    ];
  }

  /**
   * RFC 4072 2.8.2: EAP-Success with a failure Result-Code means that only the authorization was refused, which is PANA
   * Result-Code 2.
   */
  #fail(resultCode: number | undefined, payload: Uint8Array | undefined, msk?: Secret): AccessOutput[] {
    this.#state = { name: 'IDLE' };
    // Not RFC: keeps the session. With Session-Server-Failover REFUSE_SERVICE (RFC 6733 8.18), the failure of a server
    // would otherwise end all its sessions.
    if (this.#hasBeenGranted && !(resultCode !== undefined && isRejection(resultCode))) {
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
    if (payload?.[0] === EAP_CODE.SUCCESS) {
      const grant: Grant = { lifetime: undefined, authorizationLifetime: undefined, assignment: undefined };
      return [refused, { type: 'pana', input: { type: 'eapSuccess', packet: payload, msk, authorized: false, grant } }];
    }
    const packet = payload?.[0] === EAP_CODE.FAILURE ? payload : undefined;
    return [refused, { type: 'pana', input: { type: 'eapFailure', packet } }];
  }
}

function mskOf(answer: DeaValues): Secret | undefined {
  const msk = answer['EAP-Master-Session-Key'];
  return msk && msk.length >= MIN_MSK ? msk : undefined;
}

function totalOf(list: readonly Uint8Array[]): number {
  return list.reduce((sum, { length }) => sum + length, 0);
}
