/**
 * `pana-mip6/eap`: EAP (RFC 3748) with EAP-TLS (RFC 5216, RFC 9190), for other programs. Converts packets between
 * octets and values, fragments EAP-TLS, and runs both roles of the method as state machines. The caller provides the
 * TLS engine, which the machines use through their outputs.
 */
export { DecodeError } from '../protocol/bytes/decode-error.js';
export { Secret } from '../protocol/bytes/secret.js';
export {
  type AuthenticatorInput,
  type AuthenticatorOptions,
  type AuthenticatorOutput,
  EapAuthenticator,
} from '../protocol/eap/authenticator.js';
export { decodeEap, EAP_CODE, EAP_TYPE, type EapPacket, encodeEap } from '../protocol/eap/codec.js';
export { ACKNOWLEDGEMENT, decodeEapTls, type EapTlsData, encodeEapTls } from '../protocol/eap/eap-tls.js';
export { FragmentExchange, type FragmentStep, MAX_FLIGHT } from '../protocol/eap/fragments.js';
export type { EapKeys } from '../protocol/eap/keys.js';
export { EapPeerMethod, type PeerInput, type PeerMethodOptions, type PeerOutput } from '../protocol/eap/peer.js';
