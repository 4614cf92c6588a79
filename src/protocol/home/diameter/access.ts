import { type AgentInfo, agentInfo, type DiameterMobility, serviceAvps } from '../../diameter/mip6/mobility.js';
import { answerTo, errorAnswer, type Origin } from '../../diameter/wire/answers.js';
import { AVP_FLAG, type DiameterMessage } from '../../diameter/wire/codec.js';
import { APPLICATION, ASR, DEA, DER, RAR, STA, STR } from '../../diameter/wire/commands.js';
import {
  AUTH_REQUEST_TYPE,
  AUTH_SESSION_STATE,
  AVPS,
  RE_AUTH_REQUEST_TYPE,
  SESSION_BINDING,
  SESSION_SERVER_FAILOVER,
} from '../../diameter/wire/dictionary.js';
import { type Grammarian, isViolation, type Message, type Violation } from '../../diameter/wire/grammar.js';
import { isProtocolError, isSuccess, RESULT, resultName } from '../../diameter/wire/result-codes.js';
import { EAP_TYPE } from '../../eap/codec.js';
import { decodePrefix } from '../../mip6/assignment.js';
import type { HomeAgentOffer } from '../../mip6/home-agent-offer.js';
import type {
  AcceptedAccess,
  AccessAnswer,
  AccessRequest,
  Demand,
  DemandOutcome,
  Denial,
  HomeAnswer,
  TerminationRequest,
} from '../alphabet.js';
import {
  grantedMobility,
  type MobilityGrant,
  type MobilityWish,
  requestedMobility,
  requestedServices,
} from '../mobility.js';
import type { Session } from '../records.js';

const EAP_TLS_METHOD = BigInt(EAP_TYPE.EAP_TLS);
const { AUTHORIZE_AUTHENTICATE } = AUTH_REQUEST_TYPE;

/**
 * With a shared store, any server of the realm may process DERs and STRs, even after the session's server has failed.
 */
const ANY_SERVER = {
  'Session-Binding': SESSION_BINDING.RE_AUTH | SESSION_BINDING.STR,
  'Session-Server-Failover': SESSION_SERVER_FAILOVER.TRY_AGAIN,
} as const;

/** Maximum number of characters of a Session-Id, because it is stored with each conversation and session. */
export const MAX_SESSION_ID = 1_024;

const LONG_SESSION_ID: Violation = {
  resultCode: RESULT.INVALID_AVP_LENGTH,
  // RFC 6733 7.5: the header in Failed-AVP identifies the AVP.
  failedAvp: { code: AVPS['Session-Id'].code, flags: AVP_FLAG.M, vendorId: undefined, data: new Uint8Array(0) },
  text: `a Session-Id of more than ${MAX_SESSION_ID} characters`,
};

const UNSUPPORTED: Violation = {
  resultCode: RESULT.COMMAND_UNSUPPORTED,
  failedAvp: undefined,
  text: 'this server supports only DER and STR',
};

const DENIALS: Readonly<Record<Denial, readonly [resultCode: number, text: string]>> = {
  'too-busy': [RESULT.TOO_BUSY, 'the server is overloaded'],
  'unknown-session': [RESULT.UNKNOWN_SESSION_ID, 'no conversation of this session'],
  'out-of-space': [RESULT.OUT_OF_SPACE, 'the disk is full'],
  failed: [RESULT.UNABLE_TO_COMPLY, 'the request could not be served'],
};

/** A decoded Diameter request. */
export type DiameterRequest =
  | { readonly type: 'request'; readonly request: Omit<AccessRequest, 'connected'> }
  | { readonly type: 'termination'; readonly request: TerminationRequest };

export interface DiameterAccessConfig {
  readonly origin: Origin;
  readonly originStateId: number;
  /** Other servers share the store, so sessions are not bound to this server. */
  readonly sharedStore: boolean;
}

/**
 * Converts between access requests and Diameter (RFC 4072, RFC 5447, RFC 6733 8): decodes DER and STR, encodes DEA,
 * STA, ASR and RAR. It checks messages but makes no access decision.
 */
export class DiameterAccess {
  readonly #grammarian: Grammarian;
  readonly #config: DiameterAccessConfig;

  constructor(grammarian: Grammarian, config: DiameterAccessConfig) {
    this.#grammarian = grammarian;
    this.#config = config;
  }

  /** Decodes a request. `peer`: the Diameter peer that delivered the message. */
  read(message: DiameterMessage, peer: string): DiameterRequest | Violation {
    if (message.commandCode === DER.code) return this.#readDer(message, peer);
    if (message.commandCode === STR.code) return this.#readStr(message);
    return UNSUPPORTED;
  }

  #readDer(message: DiameterMessage, peer: string): DiameterRequest | Violation {
    const der = this.#grammarian.read(DER, message);
    if (isViolation(der)) return der;
    if (der['Session-Id'].length > MAX_SESSION_ID) return LONG_SESSION_ID;
    const type = der['Auth-Request-Type'];
    // This server does not serve authentication or authorization alone.
    if (type !== AUTHORIZE_AUTHENTICATE) return this.#unable('Auth-Request-Type', type);
    const request = {
      sessionId: der['Session-Id'],
      peer,
      origin: der['Origin-Host'],
      originRealm: der['Origin-Realm'],
      originState: der['Origin-State-Id'],
      callingStation: der['Calling-Station-Id'],
      packet: der['EAP-Payload'],
      mtu: der['Framed-MTU'],
      wish: readWish(der),
      services: requestedServices(der['Mobility-Capability']),
    };
    return { type: 'request', request };
  }

  #readStr(message: DiameterMessage): DiameterRequest | Violation {
    const str = this.#grammarian.read(STR, message);
    if (isViolation(str)) return str;
    const { 'Termination-Cause': cause } = str;
    const { values } = AVPS['Termination-Cause'];
    const name = (values as Readonly<Record<number, string>>)[cause] ?? String(cause);
    const request = { sessionId: str['Session-Id'], origin: str['Origin-Host'], cause: name };
    return { type: 'termination', request };
  }

  /** Rejects a value that is valid but not supported by this server. */
  #unable(name: 'Auth-Request-Type', value: number): Violation {
    const failedAvp = this.#grammarian.avp(name, value);
    return { resultCode: RESULT.INVALID_AVP_VALUE, failedAvp, text: `${name} ${value} is not supported` };
  }

  /**
   * Encodes the answer to a request, or returns the violation to answer with. The keys of an `accept` are copied; their
   * owner wipes them.
   */
  write(request: DiameterMessage, answer: HomeAnswer): DiameterMessage | Violation {
    // Only RADIUS clients report.
    if (answer.type === 'denied' || answer.type === 'reported') {
      const [resultCode, text] = DENIALS[answer.type === 'denied' ? answer.because : 'failed'];
      return { resultCode, failedAvp: undefined, text };
    }
    if (answer.type === 'terminated') return this.#writeSta(request, answer.known);
    const { origin, originStateId } = this.#config;
    return answerTo(
      request,
      this.#grammarian.write(DEA, {
        'Session-Id': this.#sessionOf(request),
        'Auth-Application-Id': APPLICATION.EAP,
        'Auth-Request-Type': AUTHORIZE_AUTHENTICATE,
        'Origin-Host': origin.host,
        'Origin-Realm': origin.realm,
        'Origin-State-Id': originStateId,
        'Result-Code': RESULT.UNABLE_TO_COMPLY,
        ...this.#verdict(answer),
      }),
    );
  }

  /** Encodes an answer with an error. */
  refuse(request: DiameterMessage, violation: Violation): DiameterMessage {
    return errorAnswer(this.#grammarian, this.#config.origin, request, violation);
  }

  #verdict(answer: AccessAnswer): Partial<Message<typeof DEA>> {
    switch (answer.type) {
      case 'unable':
        return {};
      case 'challenge':
        return {
          'Result-Code': RESULT.MULTI_ROUND_AUTH,
          'Multi-Round-Time-Out': answer.timeout,
          [answer.reissued ? 'EAP-Reissued-Payload' : 'EAP-Payload']: answer.packet,
        };
      case 'reject':
        return { 'Result-Code': REJECTIONS[answer.because], 'EAP-Payload': answer.packet };
      case 'accept':
        return this.#accepted(answer.accepted);
    }
  }

  #accepted({
    packet,
    msk,
    nai,
    lifetime,
    grace,
    mobility,
    services = {},
  }: AcceptedAccess): Partial<Message<typeof DEA>> {
    return {
      'Result-Code': RESULT.SUCCESS,
      'EAP-Payload': packet,
      'EAP-Master-Session-Key': msk,
      'User-Name': nai,
      'Auth-Session-State': AUTH_SESSION_STATE.STATE_MAINTAINED,
      'Session-Timeout': lifetime,
      'Authorization-Lifetime': lifetime,
      'Auth-Grace-Period': grace,
      'Re-Auth-Request-Type': RE_AUTH_REQUEST_TYPE.AUTHORIZE_AUTHENTICATE,
      'Accounting-EAP-Auth-Method': [EAP_TLS_METHOD],
      ...(this.#config.sharedStore ? ANY_SERVER : {}),
      ...(mobility ? writeGrant(mobility, this.#config.origin.realm) : {}),
      ...serviceAvps(services),
    };
  }

  #writeSta(request: DiameterMessage, known: boolean): DiameterMessage {
    const { origin } = this.#config;
    return answerTo(
      request,
      this.#grammarian.write(STA, {
        'Session-Id': this.#sessionOf(request),
        'Result-Code': known ? RESULT.SUCCESS : RESULT.UNKNOWN_SESSION_ID,
        'Origin-Host': origin.host,
        'Origin-Realm': origin.realm,
      }),
    );
  }

  #sessionOf({ avps }: DiameterMessage): string {
    return this.#grammarian.find(avps, 'Session-Id') ?? '';
  }

  /**
   * Encodes a demand. ASR (RFC 6733 8.5): the NAS ends the session and sends STR. RAR (8.3): it reauthenticates the
   * client.
   */
  demand(demand: Demand, session: Session): DiameterMessage {
    const { origin, originStateId } = this.#config;
    const content = {
      'Session-Id': session.sessionId,
      'Origin-Host': origin.host,
      'Origin-Realm': origin.realm,
      'Destination-Realm': session.originRealm ?? realmOfHost(session.origin),
      'Destination-Host': session.origin,
      'Auth-Application-Id': APPLICATION.EAP,
      'User-Name': session.nai,
      'Origin-State-Id': originStateId,
    };
    if (demand === 'disconnect') return this.#grammarian.message(ASR, APPLICATION.EAP, content);
    const rar = { ...content, 'Re-Auth-Request-Type': RE_AUTH_REQUEST_TYPE.AUTHORIZE_AUTHENTICATE };
    return this.#grammarian.message(RAR, APPLICATION.EAP, rar);
  }

  /** Decodes the answer to a demand for this session. */
  demandOutcome({ avps }: DiameterMessage, session: Session): DemandOutcome {
    const code = this.#grammarian.find(avps, 'Result-Code') ?? RESULT.UNABLE_TO_COMPLY;
    // An agent may report that it cannot deliver the request. Only the session's NAS can report about the session.
    const from = this.#grammarian.find(avps, 'Origin-Host') ?? '';
    if (!isProtocolError(code) && from.toLowerCase() !== session.origin.toLowerCase()) {
      return { failure: `the answer is from ${from}, not from ${session.origin}` };
    }
    const unknown = code === RESULT.UNKNOWN_SESSION_ID;
    return { result: resultName(code), unknown, refused: !(unknown || isSuccess(code)) };
  }
}

const REJECTIONS: Readonly<Record<Extract<AccessAnswer, { type: 'reject' }>['because'], number>> = {
  authentication: RESULT.AUTHENTICATION_REJECTED,
  authorization: RESULT.AUTHORIZATION_REJECTED,
  unavailable: RESULT.UNABLE_TO_COMPLY,
};

/** Derives a realm from a host name by removing the first label. */
function realmOfHost(host: string): string {
  return host.slice(host.indexOf('.') + 1);
}

/** The Mobile IPv6 request in a DER (RFC 5447 4.2.5); undefined if there is none. */
function readWish(der: DiameterMobility): MobilityWish | undefined {
  const [info] = der['MIP6-Agent-Info'] ?? [];
  const offer = () => info && readOffer(info, der['MIP-Mobile-Node-Address']?.[0]);
  return requestedMobility(der['MIP6-Feature-Vector'] ?? 0n, der['Mobility-Capability'], offer);
}

/** Decodes the proposal of the visited network. The result does not refer to the message's octets. */
function readOffer(
  { 'MIP-Home-Agent-Address': agents, 'MIP6-Home-Link-Prefix': link, 'MIP-Home-Agent-Host': host }: AgentInfo,
  homeAddress: Uint8Array | undefined,
): HomeAgentOffer | undefined {
  const homeAgent = agents?.[0];
  const prefix = link && decodePrefix(link);
  if (!homeAgent || (link && !prefix)) return undefined;
  const named = host && { realm: host['Destination-Realm'], host: host['Destination-Host'] };
  return { homeAgent: homeAgent.slice(), homeAddress: homeAddress?.slice(), prefix, host: named };
}

/** The mobility AVPs of a successful DEA. `realm`: the realm of the home agents. */
function writeGrant(grant: MobilityGrant, realm: string): DiameterMobility {
  const { features, capability, offer, sealed } = grantedMobility(grant, realm);
  return {
    'MIP6-Feature-Vector': features,
    'MIP6-Agent-Info': offer ? [agentInfo(offer)] : [],
    'MIP-Mobile-Node-Address': offer?.homeAddress ? [offer.homeAddress] : [],
    'Mobility-Capability': capability,
    ...(sealed ? { 'MIP6-Sealed-Assignment': sealed } : {}),
  };
}
