import { type End, hidden, type Inner } from './layer.js';
import { u16 } from './octets.js';

/**
 * RFC 2410 and RFC 4543: with NULL encryption a packet is only authenticated. Lengths of the IV and of the ICV, the most
 * usual first: HMAC-SHA-256-128, the algorithms with 96 bits, GMAC, HMAC-SHA-384-192, HMAC-SHA-512-256.
 */
const FORMS = [
  { iv: 0, icv: 16 },
  { iv: 0, icv: 12 },
  { iv: 8, icv: 16 },
  { iv: 0, icv: 24 },
  { iv: 0, icv: 32 },
] as const;

/** SPI and sequence number. */
const HEADER = 8;

/** Pad Length and Next Header. */
const TRAILER = 2;

const ENCRYPTED = hidden('ESP packets, which are encrypted');

/**
 * RFC 4303 2. A packet does not say whether it is encrypted. It is read if its padding and the lengths of the inner header
 * are right for one of the forms without encryption (RFC 5879), which ciphertext is by chance only.
 */
export function esp(octets: Uint8Array): Inner | End {
  for (const { iv, icv } of FORMS) {
    const inner = plain(octets.subarray(HEADER + iv, Math.max(HEADER + iv, octets.length - icv)));
    if (inner) return inner;
  }
  return ENCRYPTED;
}

function plain(octets: Uint8Array): Inner | undefined {
  const end = octets.length - TRAILER;
  const padding = octets[end] ?? 0;
  if (octets.length % 4 !== 0 || padding > end) return undefined;
  for (let i = 1; i <= padding; i++) if (octets[end - padding + i - 1] !== i) return undefined;
  const payload = octets.subarray(0, end - padding);
  const number = octets[end + 1] ?? 0;
  return fits(number, payload) ? { table: 'ip', number, payload } : undefined;
}

/** Whether a payload can be of an IP protocol, by the length in its header. */
function fits(number: number, payload: Uint8Array): boolean {
  switch (number) {
    case 4:
      return payload.length >= 20 && (payload[0] ?? 0) >> 4 === 4 && u16(payload, 2) === payload.length;
    case 41:
      return payload.length >= 40 && (payload[0] ?? 0) >> 4 === 6 && u16(payload, 4) + 40 === payload.length;
    case 17:
      return payload.length >= 8 && u16(payload, 4) === payload.length;
    case 6:
      return payload.length >= 20 && isTcp(payload);
    default:
      return false;
  }
}

/** RFC 9293 3.1: the data offset is within the segment, and the reserved bits are 0. */
function isTcp(payload: Uint8Array): boolean {
  const offset = ((payload[12] ?? 0) >> 4) * 4;
  return offset >= 20 && offset <= payload.length && ((payload[12] ?? 0) & 15) === 0;
}
