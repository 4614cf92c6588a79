import type { Secret } from '../bytes/secret.js';
import type { DEA } from '../diameter/wire/commands.js';
import type { Message } from '../diameter/wire/grammar.js';
import { isSuccess, RESULT } from '../diameter/wire/result-codes.js';
import { EAP_CODE } from '../eap/codec.js';
import {
  answerMobility,
  type DiameterMobility,
  type HomeAgentOffer,
  proposesLocal,
  requestMobility,
  sessionLifetimes,
} from '../mip6/diameter-mobility.js';
import type { Grant, PaaSessionInput } from '../pana/session/paa-session.js';
import { eapLength, eapResult, identityIn, identityRequest, MAX_IDENTITY, wholeEap } from './eap.js';
import { Binding, type SessionServer, serverOf } from './session-server.js';
import { isVerdict } from './verdict.js';

/** Octets of State, and of all Class AVPs, that are kept and sent back (RADIUS has 253 octets for each). */
export const MAX_ECHOED = 16_384;

/** The shortest MSK in octets, RFC 3748 7.10; a shorter one does not count. */
export const MIN_MSK = 64;

/** EAP rounds of one run: a server that never comes to an end is stopped. */
export const MAX_ROUNDS = 64;

/** What this machine reads of a DEA (RFC 4072 3.2, RFC 5447 6). The key belongs to the machine that is given the answer. */
export type DeaValues = Pick<Message<typeof DEA>, 'Result-Code' | 'Origin-Host'> & Partial<Message<typeof DEA>>;

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
  /** No server answered, or one answered with a protocol error. */
  | { readonly type: 'unreachable' }
  /** A server granted access in an answer that cannot be used: its session is over (RFC 6733 8.1). */
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
      /** Where STR goes; undefined: the server keeps no state. */
      readonly server: SessionServer | undefined;
      readonly kind: 'home' | 'local' | undefined;
      readonly grant: Grant;
      /** Borrowed: the PANA session that gets the next output takes it over. */
      readonly msk: Secret | undefined;
    }
  | { readonly type: 'refused'; readonly resultCode: number | undefined }
  /** The Mobile IPv6 part of the answer cannot be used; access is granted without it. */
  | { readonly type: 'noMobility'; readonly reason: string }
  /** A re-authentication got no verdict on the node and is tried again. `resultCode` undefined: no server answered. */
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

/**
 * The pass-through authenticator of one PANA session (RFC 3748 2.3) with its Diameter EAP client (RFC 4072). It asks for the
 * identity itself, since the realm routes the DERs. Then it carries EAP between the client and the AAA server, whose
 * Result-Code decides.
 */
export class Access {
  readonly #config: AccessConfig;
  #state: State = { name: 'IDLE' };
  #identifier: number;
  #identity: string | undefined;
  #wish: number | undefined;
  #local: HomeAgentOffer | undefined;
  readonly #binding = new Binding();
  #aaaState: Uint8Array | undefined;
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
    return this.#binding.server;
  }

  /** Realm whose servers share the session (Session-Binding); undefined: it is of `server` alone. */
  get sharedRealm(): string | undefined {
    return this.#binding.sharedRealm;
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
    this.#identifier = asked?.[1] ?? (this.#identifier + 1) & 0xff;
    this.#state = { name: 'IDENTITY', identifier: this.#identifier };
    return asked ? [] : [{ type: 'pana', input: { type: 'eapRequest', packet: identityRequest(this.#identifier) } }];
  }

  /** RFC 4072 2.4: Code, Identifier and Length are checked before the AAA server sees a packet. */
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
    return this.#ask(packet, {});
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
    const { destination: server } = this.#binding;
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
    this.#binding.answered(answer['Origin-Host'], answer['Origin-Realm']);
    // RFC 4072 3.1: State of an answer goes into the next request.
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
    const { lifetime, authorizationLifetime } = sessionLifetimes(answer, this.#config.sessionLifetime);
    const mobility = answerMobility(answer, {
      wish: this.#wish,
      local: this.#local,
      ikeIdentity: userName,
      lifetime: Math.floor(lifetime / 1000),
    });
    const grant: Grant = { lifetime, authorizationLifetime, assignment: mobility?.assignment };
    const msk = mskOf(answer);
    this.#binding.granted(answer);
    const server = serverOf(answer);
    // RFC 4072 2.8.2: the NAS does not invent EAP packets, but a success without one would leave the client waiting.
    const packet = payload ?? eapResult('SUCCESS', this.#identifier);
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
