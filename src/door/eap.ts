/**
 * `pana-mip6/eap`: EAP (RFC 3748) with EAP-TLS (RFC 5216, RFC 9190), for other programs. Converts packets between
 * octets and values, fragments EAP-TLS, and runs both roles of the method as state machines: pass an input to `handle`
 * and perform its outputs. They need no time. The caller provides the TLS engine: some outputs are questions to it
 * (PeerTlsQuestion, ServerTlsQuestion), each answered by an input with the question's token.
 */
export { DecodeError } from '../protocol/bytes/decode-error.js';
export { Secret } from '../protocol/bytes/secret.js';
export {
  type AuthenticatorInput,
  type AuthenticatorOptions,
  type AuthenticatorOutput,
  EapAuthenticator,
  type EapServerAnswer,
} from '../protocol/eap/authenticator.js';
export { decodeEap, EAP_CODE, EAP_TYPE, type EapPacket, encodeEap } from '../protocol/eap/codec.js';
export { ACKNOWLEDGEMENT, decodeEapTls, type EapTlsData, encodeEapTls } from '../protocol/eap/eap-tls.js';
export { FragmentExchange, type FragmentStep, MAX_FLIGHT } from '../protocol/eap/fragments.js';
export type { EapKeys } from '../protocol/eap/keys.js';
export {
  type EapPeerEvent,
  EapPeerMethod,
  type PeerInput,
  type PeerMethodOptions,
  type PeerOutput,
} from '../protocol/eap/peer.js';
export type { Refusal } from '../protocol/eap/refusal.js';
export type { Accepted, Authorization, ServerTlsInput, ServerTlsQuestion } from '../protocol/eap/tls-authenticator.js';
export type { PeerFailure, PeerTlsInput, PeerTlsQuestion } from '../protocol/eap/tls-peer.js';
export type { PeerIdentity, VerifiedPeer } from '../protocol/eap/verified-peer.js';
export type { Certificate } from '../protocol/x509/certificate.js';
