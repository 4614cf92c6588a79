import { concat } from '../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { decodeEap, EAP_CODE, encodeEap } from '../../../src/protocol/eap/codec.js';
import { ACKNOWLEDGEMENT, decodeEapTls, type EapTlsData, encodeEapTls } from '../../../src/protocol/eap/eap-tls.js';
import type { EapKeys } from '../../../src/protocol/eap/keys.js';
import type { VerifiedPeer } from '../../../src/protocol/eap/verified-peer.js';

export const EMPTY = new Uint8Array(0);
export const ZERO = Uint8Array.of(0);

export const CLIENT: VerifiedPeer = {
  peerIds: ['mn@home.example', 'mn'],
  dnsNames: [],
  serial: '7',
  issuerId: 'issuer',
  fingerprint256: 'aa',
  notAfter: Date.UTC(2100, 0, 1),
  subject: 'CN=mn',
  path: [],
};

export function keysOf(fill = 1): EapKeys {
  const key = (octet: number) => Secret.take(new Uint8Array(64).fill(octet));
  return { msk: key(fill), emsk: key(fill + 1), sessionId: new Uint8Array(65).fill(13) };
}

/** A TLS record of application data, the shortest valid flight. */
export function record(...content: number[]): Uint8Array {
  return concat(Uint8Array.of(23, 3, 3, content.length >> 8, content.length & 0xff), Uint8Array.from(content));
}

export const request = (identifier: number, type: number, data: Uint8Array) =>
  encodeEap({ code: EAP_CODE.REQUEST, identifier, type, data });

export const response = (identifier: number, type: number, data: Uint8Array) =>
  encodeEap({ code: EAP_CODE.RESPONSE, identifier, type, data });

export const end = (code: 3 | 4, identifier: number) => encodeEap({ code, identifier, type: undefined, data: EMPTY });

/** Type-Data of EAP-TLS. */
export const tls = (fragment: Uint8Array, more: Partial<EapTlsData> = {}) =>
  encodeEapTls({ ...ACKNOWLEDGEMENT, fragment, ...more });

/** The fragment that an EAP-TLS packet carries. */
export const fragmentOf = (packet: Uint8Array) => decodeEapTls(decodeEap(packet).data).fragment;
