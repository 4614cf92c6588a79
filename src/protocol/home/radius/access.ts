import { DecodeError } from '../../bytes/decode-error.js';
import { encodeUtf8 } from '../../bytes/octets.js';
import { EAP_CODE, encodeEap } from '../../eap/codec.js';
import { CAPABILITY } from '../../mip6/assignment.js';
import { readMobility, serviceAttributes, writeMobility } from '../../radius/mip6/mobility.js';
import { AttributeReader, attribute, mppeKeys } from '../../radius/wire/attributes.js';
import { type Attribute, CODE, type RadiusPacket } from '../../radius/wire/codec.js';
import { ERROR_CAUSE, TERMINATION_ACTION } from '../../radius/wire/dictionary.js';
import type { AcceptedAccess, AccessRequest, HomeAnswer } from '../alphabet.js';
import {
  grantedMobility,
  type MobilityGrant,
  type MobilityWish,
  requestedMobility,
  requestedServices,
} from '../mobility.js';
import type { RadiusConfig } from './alphabet.js';
import { originOf, type RadiusClient } from './clients.js';
import { sessionOf } from './session-id.js';

/** RFC 2865 5.12: Framed-MTU is at least 64. The packet of EAP is below the header of EAPOL, 4 octets. */
const MIN_FRAMED_MTU = 64;
const EAPOL_HEADER = 4;

/** Maximum length of all Proxy-State attributes together in octets, so that an answer has room for them. */
const MAX_PROXY_STATES = 1_500;

/** The request assumed for a home agent: its own, for a node that comes with IKEv2. */
const HOME_AGENT_WISH = CAPABILITY.MIP6 | CAPABILITY.HOME_HA | CAPABILITY.HOA_ASSIGN | CAPABILITY.IKEV2_PSK;

/** The content of an answer, before it is signed. */
export interface RadiusAnswer {
  readonly code: number;
  readonly attributes: readonly Attribute[];
}

/** What an answer depends on besides the decision. */
export interface AnswerContext {
  readonly client: RadiusClient;
  readonly request: RadiusPacket;
  readonly sessionId: string;
  /** Unpredictable, 15 bits. */
  readonly salt: number;
}

/**
 * Decodes an Access-Request (RFC 2865, RFC 3579, RFC 5447). The State attribute holds the Session-Id; a request without
 * a State of this server for this client gets `newSession`. Undefined: it asks for another method than EAP, none of
 * which is served. Throws DecodeError.
 */
export function readAccessRequest(
  packet: RadiusPacket,
  client: RadiusClient,
  newSession: string,
  { vendorId }: Pick<RadiusConfig, 'vendorId'>,
): AccessRequest | undefined {
  const reader = new AttributeReader(packet);
  const eap = reader.one('EAP-Message');
  if (eap === undefined) return undefined;
  const proxyStates = reader.all('Proxy-State').reduce((sum, { length }) => sum + 2 + length, 0);
  if (proxyStates > MAX_PROXY_STATES) throw new DecodeError('too-many', 0, `Proxy-States of ${proxyStates} octets`);
  const state = reader.one('State');
  const framedMtu = reader.one('Framed-MTU');
  const origin = originOf(client.name);
  return {
    sessionId: (state && sessionOf(state, client)) ?? newSession,
    peer: origin,
    origin,
    originRealm: undefined,
    originState: undefined,
    connected: undefined,
    callingStation: reader.one('Calling-Station-Id'),
    packet: eap,
    mtu: framedMtu === undefined ? undefined : Math.max(MIN_FRAMED_MTU, framedMtu) - EAPOL_HEADER,
    wish: readWish(packet, client, vendorId),
    extendedMasterSecret: client.extendedMasterSecret,
    services: client.isHomeAgent ? undefined : requestedServices(readMobility(packet, vendorId).capability),
    homeAgent: client.isHomeAgent ? { name: client.name, user: reader.one('User-Name') } : undefined,
  };
}

/** The Mobile IPv6 request of a NAS (RFC 5447 4.2.5); undefined if there is none. */
function readWish(packet: RadiusPacket, { isHomeAgent }: RadiusClient, vendorId: number): MobilityWish | undefined {
  if (isHomeAgent) return { bits: HOME_AGENT_WISH, local: undefined };
  const { features = 0n, capability, homeAgent, homeAddress, prefix, homeAgentHost } = readMobility(packet, vendorId);
  const host =
    homeAgentHost === undefined
      ? undefined
      : { host: homeAgentHost, realm: homeAgentHost.slice(homeAgentHost.indexOf('.') + 1) };
  const offer = () => homeAgent && { homeAgent, homeAddress, prefix, host };
  return requestedMobility(features, capability, offer);
}

/**
 * Encodes the answer to an Access-Request. Undefined: the request is not answered, because this server cannot decide;
 * the client then asks again, or another server.
 */
export function writeAnswer(
  answer: HomeAnswer,
  context: AnswerContext,
  config: RadiusConfig,
): RadiusAnswer | undefined {
  const { request, sessionId } = context;
  switch (answer.type) {
    case 'challenge':
      return {
        code: CODE['Access-Challenge'],
        attributes: [
          ...attribute('EAP-Message', answer.packet),
          ...attribute('State', encodeUtf8(sessionId)),
          ...attribute('Session-Timeout', answer.timeout),
          // RFC 3579 2.6.3: the response was invalid, and the last request is sent again.
          ...(answer.reissued ? attribute('Error-Cause', ERROR_CAUSE['Invalid-EAP-Packet']) : []),
        ],
      };
    case 'accept':
      return { code: CODE['Access-Accept'], attributes: accepted(answer.accepted, context, config) };
    case 'reject':
      return reject(answer.packet);
    case 'unable':
      return reject(failureFor(request));
    case 'denied':
      return answer.because === 'unknown-session' ? reject(failureFor(request)) : undefined;
    case 'terminated':
    case 'reported':
      return undefined;
  }
}

function reject(packet: Uint8Array | undefined): RadiusAnswer {
  return { code: CODE['Access-Reject'], attributes: packet ? attribute('EAP-Message', packet) : [] };
}

/** RFC 3579 2.6.3: an EAP-Failure with the Identifier of the response; undefined: there is no EAP packet. */
function failureFor(request: RadiusPacket): Uint8Array | undefined {
  const identifier = new AttributeReader(request).all('EAP-Message')[0]?.[1];
  return identifier === undefined
    ? undefined
    : encodeEap({ code: EAP_CODE.FAILURE, identifier, type: undefined, data: new Uint8Array(0) });
}

function accepted(access: AcceptedAccess, context: AnswerContext, config: RadiusConfig): Attribute[] {
  const { packet, msk, nai, lifetime, mobility, services = {} } = access;
  const { client, request, sessionId, salt } = context;
  const session = encodeUtf8(sessionId);
  const hiding = { secret: client.secret, requestAuthenticator: request.authenticator };
  return [
    ...attribute('EAP-Message', packet),
    ...attribute('User-Name', nai),
    // RFC 2865 5.24 and 5.29: the client authenticates again with this State when the session times out.
    ...attribute('State', session),
    ...attribute('Class', session),
    ...attribute('Session-Timeout', lifetime),
    ...attribute('Termination-Action', TERMINATION_ACTION['RADIUS-Request']),
    ...mppeKeys(msk, salt, hiding),
    ...(mobility ? assignment(mobility, client, config) : []),
    ...(client.isHomeAgent ? [] : serviceAttributes(services, config.vendorId)),
  ];
}

/** The Mobile IPv6 attributes of an Access-Accept; for a home agent, the home address on it (RFC 6911 3.1). */
function assignment(grant: MobilityGrant, client: RadiusClient, { vendorId, realm }: RadiusConfig): Attribute[] {
  const { features, capability, offer, sealed } = grantedMobility(grant, realm);
  const { homeAgent, homeAddress, prefix, host } = offer ?? {};
  if (client.isHomeAgent) {
    const isOwn = grant.kind === 'home' && grant.lease.homeAgent.name.toLowerCase() === client.name.toLowerCase();
    return isOwn && homeAddress?.length === 16 ? attribute('Framed-IPv6-Address', homeAddress) : [];
  }
  const named = { homeAgent, homeAgentHost: host?.host, homeAddress, prefix };
  return writeMobility({ features, capability, ...named, sealed }, vendorId);
}
