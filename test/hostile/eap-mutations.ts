import { BOUNDARY_LENGTHS, BOUNDARY_NUMBERS, type Chance, LONGEST } from './seed.js';

/** An EAP packet (RFC 3748, RFC 5216) with one fault. */
export function mutateEap(packet: Uint8Array, chance: Chance): Uint8Array {
  const octets = packet.slice();
  const view = new DataView(octets.buffer);
  switch (chance.below(10)) {
    case 0:
      octets[0] = chance.one([0, 1, 2, 3, 4, 5, 255]);
      return octets;
    case 1:
      octets[1] = ((octets[1] ?? 0) + chance.one([1, 2, 255])) & 0xff;
      return octets;
    case 2:
      if (octets.length >= 4)
        view.setUint16(2, chance.one([...BOUNDARY_LENGTHS, octets.length - 1, octets.length + 1, 0xffff]) & 0xffff);
      return octets;
    case 3:
      octets[4] = chance.one([0, 1, 2, 3, 4, 12, 13, 14, 254, 255]);
      return octets;
    case 4:
      // Flags of EAP-TLS.
      octets[5] = chance.below(256);
      return octets;
    case 5:
      // TLS Message Length, where there is one.
      if (octets.length >= 10) {
        octets[5] = (octets[5] ?? 0) | 0x80;
        view.setUint32(6, chance.one(BOUNDARY_NUMBERS));
      }
      return octets;
    case 6:
      return resized(octets, chance.below(octets.length + 1));
    case 7:
      return resized(octets, chance.one(BOUNDARY_LENGTHS));
    case 8:
      return resized(octets, chance.one(LONGEST));
    default:
      for (let i = 0; i <= chance.below(4); i += 1) octets[chance.below(octets.length || 1)] = chance.below(256);
      return octets;
  }
}

/** The packet at this length, with a matching EAP Length. */
function resized(octets: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  out.set(octets.subarray(0, length));
  if (length >= 4) new DataView(out.buffer).setUint16(2, length);
  return out;
}
