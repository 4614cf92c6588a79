import { answerTo, errorAnswer, type Origin } from '../diameter/wire/answers.js';
import type { DiameterMessage } from '../diameter/wire/codec.js';
import { APPLICATION, ASA, ASR, DER, RAA, RAR, STR } from '../diameter/wire/commands.js';
import { AUTH_REQUEST_TYPE, Dictionary, TERMINATION_CAUSE } from '../diameter/wire/dictionary.js';
import { Grammarian, isViolation } from '../diameter/wire/grammar.js';
import { isTemporary, RESULT } from '../diameter/wire/result-codes.js';
import type { PaaClosed } from '../pana/session/paa-interface.js';
import type { PacEndpoint } from '../pana/session/start.js';
import { RELAY_OVERHEAD } from '../pana/wire/relayed.js';
import type { DerRequest } from './access.js';
import { type Judged, judgeAnswer } from './answer.js';
import { realmOf } from './eap.js';
import type { SessionServer } from './session-server.js';

/** Auth-Request-Type, RFC 6733 8.7. */
const { AUTHORIZE_AUTHENTICATE } = AUTH_REQUEST_TYPE;

/** The cause of an STR. `unusable`: the answer that granted access cannot be used. */
export type EndCause = PaaClosed | 'unusable';

/** Termination-Cause (RFC 6733 8.15) of STR for each cause of a PANA session's end. */
const CAUSES: Readonly<Record<EndCause, number>> = {
  unusable: TERMINATION_CAUSE.BAD_ANSWER,
  logout: TERMINATION_CAUSE.LOGOUT,
  rejected: TERMINATION_CAUSE.SERVICE_NOT_PROVIDED,
  administrative: TERMINATION_CAUSE.ADMINISTRATIVE,
  'eap-timeout': TERMINATION_CAUSE.LINK_BROKEN,
  'no-progress': TERMINATION_CAUSE.LINK_BROKEN,
  'no-answer': TERMINATION_CAUSE.LINK_BROKEN,
  replaced: TERMINATION_CAUSE.USER_MOVED,
  'pushed-out': TERMINATION_CAUSE.USER_MOVED,
  'lifetime-expired': TERMINATION_CAUSE.SESSION_TIMEOUT,
  'session-timeout': TERMINATION_CAUSE.SESSION_TIMEOUT,
  fault: TERMINATION_CAUSE.ADMINISTRATIVE,
};

/** Identity of the NAS as a Diameter node. Constant while the NAS runs. */
export interface NasOrigin extends Origin {
  /** Origin-State-Id: greater than in the previous run (RFC 6733 8.16). */
  readonly stateId: number;
  /** The enterprise number of this project's own AVPs. */
  readonly ownVendor: number;
  readonly nasIdentifier: string;
  /** Framed-MTU: maximum size of an EAP packet to a client, in octets. */
  readonly framedMtu: number;
}

/** Data for the STR of a session. */
export interface EndedSession {
  readonly id: string;
  /** The EAP identity. Its realm routes the STR like the DERs. */
  readonly identity: string | undefined;
  readonly userName: string;
  readonly server: SessionServer;
  readonly classes: readonly Uint8Array[];
}

/** What a server requests with ASR or RAR. */
export type ServerWish = 'abort' | 'reauthenticate';

const SERVER_COMMANDS = [
  { spec: ASR, answer: ASA, wish: 'abort' },
  { spec: RAR, answer: RAA, wish: 'reauthenticate' },
] as const;

/** A request from a server: its content, or the answer that rejects it. */
export type ServerRequest =
  | {
      readonly type: 'wish';
      readonly wish: ServerWish;
      readonly sessionId: string;
      /** Origin-Host and Origin-Realm. */
      readonly host: string;
      readonly realm: string;
      /** Creates the answer; `known`: the NAS has this session, and the server is allowed to control it. */
      readonly answer: (known: boolean) => DiameterMessage;
    }
  | { readonly type: 'refused'; readonly answer: DiameterMessage };

/** Encodes and decodes the Diameter messages of the NAS: DER, STR, their answers, ASR and RAR. */
export class AaaMessages {
  readonly #origin: NasOrigin;
  readonly #grammarian: Grammarian;

  constructor(origin: NasOrigin) {
    this.#origin = origin;
    this.#grammarian = new Grammarian(new Dictionary(origin.ownVendor));
  }

  /** A DER, RFC 4072 3.1. `client`: the location of the client. */
  der(sessionId: string, request: DerRequest, client: PacEndpoint): DiameterMessage {
    const { host, realm, stateId, nasIdentifier, framedMtu } = this.#origin;
    return this.#grammarian.message(DER, APPLICATION.EAP, {
      'Session-Id': sessionId,
      'Auth-Application-Id': APPLICATION.EAP,
      'Origin-Host': host,
      'Origin-Realm': realm,
      'Destination-Realm':
        request.identity === undefined && request.realm !== undefined ? request.realm : this.realmOf(request.identity),
      'Destination-Host': request.server,
      'Auth-Request-Type': AUTHORIZE_AUTHENTICATE,
      'User-Name': request.identity,
      'NAS-Identifier': nasIdentifier,
      'Calling-Station-Id': client.address,
      // A PRY with a full fragment must fit into the MTU, too.
      'Framed-MTU': client.relay ? framedMtu - RELAY_OVERHEAD : framedMtu,
      'Origin-State-Id': stateId,
      State: request.state,
      'EAP-Payload': request.payload,
      ...request.mobility,
    });
  }

  /** Decodes and checks the answer to a DER. `server`: the Destination-Host of the DER. */
  judge(answer: DiameterMessage, sessionId: string, server: string | undefined): Judged {
    return judgeAnswer(this.#grammarian, answer, { sessionId, type: AUTHORIZE_AUTHENTICATE, server });
  }

  /** An STR, RFC 6733 8.4.1. */
  str(session: EndedSession, cause: EndCause): DiameterMessage {
    const { host, realm, stateId } = this.#origin;
    return this.#grammarian.message(STR, APPLICATION.EAP, {
      'Session-Id': session.id,
      'Origin-Host': host,
      'Origin-Realm': realm,
      'Destination-Realm': this.realmOf(session.identity),
      'Destination-Host': session.server.host,
      'Auth-Application-Id': APPLICATION.EAP,
      'Termination-Cause': CAUSES[cause],
      'User-Name': session.userName,
      'Origin-State-Id': stateId,
      Class: session.classes,
    });
  }

  /**
   * Whether an STA shows that the server has not processed the STR: an agent could not deliver it, or the server is too
   * busy.
   */
  isUndelivered(answer: DiameterMessage): boolean {
    const result = this.#grammarian.find(answer.avps, 'Result-Code');
    return result !== undefined && isTemporary(result);
  }

  /** The realm that routes requests for this client. */
  realmOf(identity = ''): string {
    return realmOf(identity) ?? this.#origin.realm;
  }

  /** Decodes a request from a server. */
  read(message: DiameterMessage): ServerRequest {
    const command = SERVER_COMMANDS.find(({ spec }) => spec.code === message.commandCode);
    if (!command) {
      return {
        type: 'refused',
        answer: this.refuse(message, 'COMMAND_UNSUPPORTED', 'a PAA supports only RAR and ASR'),
      };
    }
    const content = this.#grammarian.read(command.spec, message);
    if (isViolation(content)) {
      return { type: 'refused', answer: errorAnswer(this.#grammarian, this.#origin, message, content) };
    }
    const { 'Session-Id': sessionId, 'Origin-Host': host, 'Origin-Realm': realm } = content;
    const answer = (known: boolean) => this.#answer(command.answer, message, sessionId, known);
    return { type: 'wish', wish: command.wish, sessionId, host, realm, answer };
  }

  refuse(message: DiameterMessage, result: keyof typeof RESULT, text: string): DiameterMessage {
    const violation = { resultCode: RESULT[result], failedAvp: undefined, text };
    return errorAnswer(this.#grammarian, this.#origin, message, violation);
  }

  #answer(spec: typeof ASA | typeof RAA, request: DiameterMessage, sessionId: string, known: boolean): DiameterMessage {
    const avps = this.#grammarian.write(spec, {
      'Session-Id': sessionId,
      'Result-Code': known ? RESULT.SUCCESS : RESULT.UNKNOWN_SESSION_ID,
      'Origin-Host': this.#origin.host,
      'Origin-Realm': this.#origin.realm,
    });
    return answerTo(request, avps);
  }
}
