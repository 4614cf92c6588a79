import { encodeUtf8 } from '../../src/protocol/bytes/octets.js';
import { Writer } from '../../src/protocol/bytes/writer.js';
import {
  decodePana,
  FLAG,
  HEADER_LENGTH,
  type PanaAvp,
  type PanaMessage,
  writeAvp,
} from '../../src/protocol/pana/wire/codec.js';
import { AVPS, makeAvp } from '../../src/protocol/pana/wire/dictionary.js';
import { type Protection, signInPlace } from '../../src/protocol/pana/wire/keys.js';
import { mutateEap } from './eap-mutations.js';
import { BOUNDARY_LENGTHS, BOUNDARY_NUMBERS, type Chance, LONGEST } from './seed.js';

const VENDOR = 32473;

/** One AVP of each kind in the dictionary, with a valid value. */
const SAMPLES: readonly PanaAvp[] = Object.values(AVPS).map((spec) => ({
  code: spec.code,
  flags: 0,
  vendorId: 'vendor' in spec && spec.vendor ? VENDOR : undefined,
  value:
    spec.type === 'Unsigned32'
      ? Uint8Array.of(0, 0, 0, 1)
      : spec.type === 'OctetString'
        ? new Uint8Array(20).fill(0x20)
        : encodeUtf8('mn@home.example'),
}));

type Mutate = (avps: PanaAvp[], chance: Chance) => PanaAvp[];

/** Replaces one AVP. */
function changeOne(avps: PanaAvp[], chance: Chance, change: (avp: PanaAvp) => PanaAvp): PanaAvp[] {
  if (avps.length === 0) return [chance.one(SAMPLES)];
  const at = chance.below(avps.length);
  return avps.map((avp, i) => (i === at ? change(avp) : avp));
}

/** The value cut or repeated to this length. */
export function stretched(value: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) out[i] = value.length > 0 ? (value[i % value.length] ?? 0) : 0;
  return out;
}

function number(chance: Chance): Uint8Array {
  const value = chance.one(BOUNDARY_NUMBERS);
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/** Single faults of the AVPs of a message. */
const OF_AVPS: readonly Mutate[] = [
  // One AVP is absent or occurs twice, or all occur twice.
  (avps, chance) => avps.toSpliced(chance.below(avps.length || 1), 1),
  (avps, chance) => (avps.length === 0 ? [] : [...avps, chance.one(avps)]),
  (avps) => [...avps, ...avps],
  // One AVP has no octets, a length at a limit, or the greatest length.
  (avps, chance) => changeOne(avps, chance, (avp) => ({ ...avp, value: new Uint8Array(0) })),
  (avps, chance) =>
    changeOne(avps, chance, (avp) => ({ ...avp, value: stretched(avp.value, chance.one(BOUNDARY_LENGTHS)) })),
  (avps, chance) =>
    changeOne(avps, chance, (avp) =>
      chance.in(10) ? { ...avp, value: stretched(avp.value, chance.one(LONGEST)) } : { ...avp, value: number(chance) },
    ),
  // One AVP has a number at a limit.
  (avps, chance) => changeOne(avps, chance, (avp) => ({ ...avp, value: number(chance) })),
  // One AVP has other flags, another vendor or another code.
  (avps, chance) => changeOne(avps, chance, (avp) => ({ ...avp, flags: 1 << chance.below(15) })),
  (avps, chance) =>
    changeOne(avps, chance, (avp) => ({ ...avp, vendorId: chance.one([undefined, 0, VENDOR, 0xffff_ffff]) })),
  (avps, chance) => changeOne(avps, chance, (avp) => ({ ...avp, code: chance.below(chance.in(2) ? 16 : 0x1_0000) })),
  // The AVPs have another order.
  (avps) => avps.toReversed(),
  (avps, chance) =>
    avps
      .map((avp) => ({ avp, at: chance.below(1000) }))
      .sort((a, b) => a.at - b.at)
      .map(({ avp }) => avp),
  // There is one AVP too many, known or unknown, or as many AVPs as are allowed, or more.
  (avps, chance) => avps.toSpliced(chance.below(avps.length + 1), 0, chance.one(SAMPLES)),
  (avps, chance) => [
    ...avps,
    ...Array.from({ length: chance.one([126, 127, 128, 129]) - avps.length }, () => chance.one(SAMPLES)),
  ],
  // A value has changed octets.
  (avps, chance) =>
    changeOne(avps, chance, (avp) => {
      const value = avp.value.slice();
      for (let i = 0; i <= chance.below(4); i += 1) value[chance.below(value.length || 1)] = chance.below(256);
      return { ...avp, value };
    }),
  // The EAP packet has a fault.
  (avps, chance) =>
    avps.map((avp) => (avp.code === AVPS['EAP-Payload'].code ? { ...avp, value: mutateEap(avp.value, chance) } : avp)),
  (avps, chance) => {
    const payload = avps.find(({ code }) => code === AVPS['EAP-Payload'].code);
    return [
      ...avps.filter((avp) => avp !== payload),
      makeAvp('EAP-Payload', mutateEap(payload?.value ?? new Uint8Array(5), chance)),
    ];
  },
];

function mutateHeader(message: PanaMessage, chance: Chance): PanaMessage {
  const { sessionId, sequence } = message;
  switch (chance.below(4)) {
    case 0:
      return { ...message, flags: message.flags ^ (1 << chance.below(16)) };
    case 1:
      return { ...message, type: chance.one([0, 1, 2, 3, 4, 5, 6, 255, 65_535]) };
    case 2:
      return { ...message, sessionId: chance.one([0, sessionId ^ 1, (sessionId + 1) >>> 0, 0xffff_ffff]) };
    default:
      return { ...message, sequence: chance.one([0, (sequence - 1) >>> 0, (sequence + 1) >>> 0, 0xffff_ffff]) };
  }
}

/** Encodes a message whose lengths may exceed their fields; they are truncated. */
function encode({ flags, type, sessionId, sequence, avps }: PanaMessage): Uint8Array {
  const writer = new Writer();
  writer.u16(0).u16(0).u16(flags).u16(type).u32(sessionId).u32(sequence);
  for (const avp of avps) writeAvp(writer, avp);
  return writer
    .patchU16(2, writer.length & 0xffff)
    .finish()
    .subarray(0, 65_000);
}

function mutateOctets(octets: Uint8Array, chance: Chance): Uint8Array {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  switch (chance.below(4)) {
    case 0:
      view.setUint16(
        2,
        chance.one([0, 1, 15, 16, 17, octets.length - 1, octets.length + 1, octets.length + 4, 0xffff]) & 0xffff,
      );
      return octets;
    case 1:
      // The length of the first AVP.
      if (octets.length >= HEADER_LENGTH + 8)
        view.setUint16(HEADER_LENGTH + 4, chance.one([...BOUNDARY_LENGTHS, 0xffff]));
      return octets;
    case 2:
      return octets.subarray(0, chance.below(octets.length));
    default:
      return Uint8Array.from([...octets.subarray(0, 2000), ...chance.octets(1 + chance.below(8))]);
  }
}

/**
 * A message with one or two faults. With `protection` it is signed, so that the receiver finds the fault behind a valid
 * AUTH.
 */
export function mutatePana(original: Uint8Array, chance: Chance, protection: Protection | undefined): Uint8Array {
  let message = decodePana(original);
  const withoutAuth = message.avps.filter(({ code, vendorId }) => code !== AVPS.AUTH.code || vendorId !== undefined);
  if (protection) message = { ...message, avps: withoutAuth };
  const faults = chance.in(4) ? 2 : 1;
  for (let i = 0; i < faults; i += 1) {
    if (chance.in(5)) message = mutateHeader(message, chance);
    else message = { ...message, avps: chance.one(OF_AVPS)([...message.avps], chance) };
  }
  if (protection && !chance.in(10)) {
    const auth = makeAvp('AUTH', new Uint8Array(protection.integrity.tagLength));
    const signed = encode({ ...message, avps: [...message.avps, auth] });
    return chance.in(8) ? mutateOctets(signed, chance) : signInPlace(protection, signed.slice());
  }
  const octets = encode(message);
  return chance.in(8) ? mutateOctets(octets.slice(), chance) : octets;
}

/** An arbitrary request with this sequence number. */
export function anyRequest(sessionId: number, sequence: number, chance: Chance): PanaMessage {
  const [type, flags] = chance.one([
    [2, FLAG.R],
    [2, FLAG.R | FLAG.C],
    [2, FLAG.R | FLAG.S],
    [3, FLAG.R],
    [4, FLAG.R | FLAG.P],
    [4, FLAG.R | FLAG.A],
  ] as const);
  const avps = Array.from({ length: chance.below(5) }, () => chance.one(SAMPLES));
  return { type, flags, sessionId, sequence, avps };
}
