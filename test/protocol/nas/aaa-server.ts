import { createHash } from 'node:crypto';
import { encodeUtf8 } from '../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { answerTo, errorAnswer } from '../../../src/protocol/diameter/wire/answers.js';
import type { DiameterMessage } from '../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, ASR, DEA, DER, RAR, STA, STR } from '../../../src/protocol/diameter/wire/commands.js';
import { Dictionary } from '../../../src/protocol/diameter/wire/dictionary.js';
import { Grammarian, isViolation, type Message } from '../../../src/protocol/diameter/wire/grammar.js';
import { RESULT } from '../../../src/protocol/diameter/wire/result-codes.js';
import { EAP_CODE, EAP_TYPE } from '../../../src/protocol/eap/codec.js';

export const VENDOR = 32473;
export const grammarian = new Grammarian(new Dictionary(VENDOR));

export const HOME_SERVER = 'aaa.home.example';
export const HOME_REALM = 'home.example';
export const USER = 'mn@home.example';

/** Rounds of the simulated EAP method. Each is a Request and a Response with the number of the run. */
const ROUNDS = 2;

/** An EAP packet of the simulated method: code, identifier, length, type, whether it is the last of its run, run. */
export function eap(code: 'REQUEST' | 'RESPONSE', identifier: number, isLast: boolean, run: number): Uint8Array {
  return Uint8Array.of(EAP_CODE[code], identifier, 0, 7, EAP_TYPE.EAP_TLS, isLast ? 1 : 0, run);
}

export function identityResponse(identifier: number, identity: string): Uint8Array {
  const name = encodeUtf8(identity);
  return Uint8Array.of(EAP_CODE.RESPONSE, identifier, 0, 5 + name.length, EAP_TYPE.IDENTITY, ...name);
}

/** The MSK of a run of the simulated method, known to both ends. */
export function mskOf(run: number): Secret {
  return Secret.take(createHash('sha512').update(`run ${run}`).digest());
}

export type Der = Message<typeof DER>;
export type Str = Message<typeof STR>;

/** Changes to an answer; `silent`: no answer is sent. */
export type Change = Partial<Message<typeof DEA>> | 'silent';

function read<S extends typeof DER | typeof STR>(spec: S, message: DiameterMessage): Message<S> {
  const content = grammarian.read(spec, message);
  if (isViolation(content)) throw new Error(`${spec.name}: ${content.text}`);
  return content;
}

/** An AAA server without a socket, with the simulated EAP method and answers that a test may change. */
export class AaaServer {
  readonly host: string;
  readonly realm: string;
  readonly ders: Der[] = [];
  readonly strs: Str[] = [];
  /** Granted sessions for which no STR has arrived. */
  readonly sessions = new Set<string>();
  /** Changes to the answer of a success. */
  success: (der: Der) => Change = () => ({});
  /** Changes to any other answer. */
  other: (der: Der) => Change = () => ({});
  /** Result-Code of an STA; `silent`: no answer is sent. */
  sta: (str: Str) => number | 'silent' = () => RESULT.SUCCESS;
  readonly #rounds = new Map<string, { round: number; run: number }>();
  #runs = 0;

  constructor(host = HOME_SERVER, realm = HOME_REALM) {
    this.host = host;
    this.realm = realm;
  }

  /** The answer to a DER or STR; undefined: no answer is sent. */
  answer(request: DiameterMessage): DiameterMessage | undefined {
    return request.commandCode === DER.code ? this.#der(request) : this.#str(request);
  }

  /** An ASR or RAR for a session. */
  request(command: 'ASR' | 'RAR', sessionId: string, to = 'paa.access.example'): DiameterMessage {
    const content = {
      'Session-Id': sessionId,
      'Origin-Host': this.host,
      'Origin-Realm': this.realm,
      'Destination-Realm': 'access.example',
      'Destination-Host': to,
      'Auth-Application-Id': APPLICATION.EAP,
    };
    if (command === 'ASR') return grammarian.message(ASR, APPLICATION.EAP, content);
    return grammarian.message(RAR, APPLICATION.EAP, { ...content, 'Re-Auth-Request-Type': 1 });
  }

  #der(request: DiameterMessage): DiameterMessage | undefined {
    const der = read(DER, request);
    this.ders.push(der);
    const sessionId = der['Session-Id'];
    const payload = der['EAP-Payload'];
    if (payload.length === 0) return this.#requestIdentity(request, sessionId);
    if (payload[4] === EAP_TYPE.IDENTITY) {
      this.#runs = (this.#runs + 1) & 0xff;
      this.#rounds.set(sessionId, { round: 0, run: this.#runs });
    }
    const state = this.#rounds.get(sessionId);
    if (!state) return errorAnswer(grammarian, this.#origin, request, unknownSession());
    const [, identifier = 0, , , , isLast] = payload;
    const isDone = payload[4] !== EAP_TYPE.IDENTITY && isLast === 1;
    state.round += 1;
    const change = isDone ? this.success(der) : this.other(der);
    if (change === 'silent') return undefined;
    const base = {
      'Session-Id': sessionId,
      'Auth-Application-Id': APPLICATION.EAP,
      'Auth-Request-Type': 3,
      'Origin-Host': this.host,
      'Origin-Realm': this.realm,
    };
    const specific = isDone
      ? {
          'Result-Code': RESULT.SUCCESS,
          'EAP-Payload': Uint8Array.of(EAP_CODE.SUCCESS, identifier, 0, 4),
          'EAP-Master-Session-Key': mskOf(state.run),
          'User-Name': USER,
          'Session-Timeout': 600,
        }
      : {
          'Result-Code': RESULT.MULTI_ROUND_AUTH,
          'EAP-Payload': eap('REQUEST', (identifier + 1) & 0xff, state.round === ROUNDS, state.run),
        };
    const content: Message<typeof DEA> = { ...base, ...specific, ...change };
    const isGranted = content['Result-Code'] === RESULT.SUCCESS || content['Result-Code'] === RESULT.LIMITED_SUCCESS;
    if (isGranted && content['Auth-Session-State'] !== 1) this.sessions.add(sessionId);
    return answerTo(request, grammarian.write(DEA, content));
  }

  /** RFC 4072 3.1: after an empty EAP-Payload the server requests the identity. */
  #requestIdentity(request: DiameterMessage, sessionId: string): DiameterMessage {
    const content: Message<typeof DEA> = {
      'Session-Id': sessionId,
      'Auth-Application-Id': APPLICATION.EAP,
      'Auth-Request-Type': 3,
      'Origin-Host': this.host,
      'Origin-Realm': this.realm,
      'Result-Code': RESULT.MULTI_ROUND_AUTH,
      'EAP-Payload': Uint8Array.of(EAP_CODE.REQUEST, 100, 0, 5, EAP_TYPE.IDENTITY),
    };
    return answerTo(request, grammarian.write(DEA, content));
  }

  #str(request: DiameterMessage): DiameterMessage | undefined {
    const str = read(STR, request);
    this.strs.push(str);
    const resultCode = this.sta(str);
    if (resultCode === 'silent') return undefined;
    if (resultCode === RESULT.SUCCESS) this.sessions.delete(str['Session-Id']);
    const avps = grammarian.write(STA, {
      'Session-Id': str['Session-Id'],
      'Result-Code': resultCode,
      'Origin-Host': this.host,
      'Origin-Realm': this.realm,
    });
    return answerTo(request, avps);
  }

  get #origin() {
    return { host: this.host, realm: this.realm };
  }
}

function unknownSession() {
  return { resultCode: RESULT.UNKNOWN_SESSION_ID, failedAvp: undefined, text: 'no such conversation' };
}
