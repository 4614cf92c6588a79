import { encodeUtf8 } from '../../src/protocol/bytes/octets.js';
import { Reader } from '../../src/protocol/bytes/reader.js';
import {
  AVP_FLAG,
  type Avp,
  type DiameterMessage,
  encodeDiameter,
  encodeGroup,
  HEADER_LENGTH,
  readAvps,
} from '../../src/protocol/diameter/wire/codec.js';
import { AVPS, Dictionary } from '../../src/protocol/diameter/wire/dictionary.js';
import { mutateEap } from './eap-mutations.js';
import { stretched } from './pana-mutations.js';
import { BOUNDARY_LENGTHS, BOUNDARY_NUMBERS, type Chance, LONGEST } from './seed.js';

const dictionary = new Dictionary();

/** One AVP of each kind in the dictionary. */
const SAMPLES: readonly Avp[] = Object.entries(AVPS).map(([name, spec]) => ({
  code: spec.code,
  flags: 'm' in spec && spec.m ? AVP_FLAG.M : 0,
  vendorId: dictionary.vendorOf(name as keyof typeof AVPS),
  data: sample(spec.type),
}));

function sample(type: string): Uint8Array {
  switch (type) {
    case 'Grouped':
      return new Uint8Array(0);
    case 'Unsigned64':
    case 'Integer64':
      return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1);
    case 'Address':
      return Uint8Array.of(0, 2, ...new Uint8Array(16).fill(0x20));
    case 'OctetString':
      return new Uint8Array(20).fill(0x20);
    case 'UTF8String':
    case 'DiameterIdentity':
    case 'DiameterURI':
      return encodeUtf8('host.home.example');
    default:
      return Uint8Array.of(0, 0, 0, 1);
  }
}

const GROUPS: ReadonlySet<number> = new Set(
  Object.values(AVPS).flatMap(({ code, type }) => (type === 'Grouped' ? [code] : [])),
);

type Mutate = (avps: Avp[], chance: Chance) => Avp[];

function changeOne(avps: Avp[], chance: Chance, change: (avp: Avp) => Avp): Avp[] {
  if (avps.length === 0) return [chance.one(SAMPLES)];
  const at = chance.below(avps.length);
  return avps.map((avp, i) => (i === at ? change(avp) : avp));
}

/** Groups nested up to the depth that the message length allows. */
function nested(chance: Chance): Avp {
  let avp = chance.one(SAMPLES);
  for (let depth = chance.one([1, 2, 8, 64, 512, 2_000]); depth > 0; depth -= 1) {
    avp = { code: chance.one([...GROUPS]), flags: AVP_FLAG.M, vendorId: undefined, data: encodeGroup([avp]) };
  }
  return avp;
}

function number(length: number, chance: Chance): Uint8Array {
  const value = chance.one(BOUNDARY_NUMBERS);
  const low = Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
  return length === 8 ? Uint8Array.from([...(chance.in(2) ? low : new Uint8Array(4)), ...low]) : low;
}

/** The members of a group; none if the group is malformed. */
function membersOf({ data }: Avp): Avp[] {
  try {
    return readAvps(new Reader(data));
  } catch {
    return [];
  }
}

const OF_AVPS: readonly Mutate[] = [
  // One AVP is absent or occurs twice.
  (avps, chance) => avps.toSpliced(chance.below(avps.length || 1), 1),
  (avps, chance) => (avps.length === 0 ? [] : [...avps, chance.one(avps)]),
  // One AVP has no octets, a length at a limit, the greatest length, or a number at a limit.
  (avps, chance) => changeOne(avps, chance, (avp) => ({ ...avp, data: new Uint8Array(0) })),
  (avps, chance) =>
    changeOne(avps, chance, (avp) => ({ ...avp, data: stretched(avp.data, chance.one(BOUNDARY_LENGTHS)) })),
  (avps, chance) =>
    changeOne(avps, chance, (avp) =>
      chance.in(10)
        ? { ...avp, data: stretched(avp.data, chance.one([...LONGEST, 120_000])) }
        : { ...avp, data: number(avp.data.length, chance) },
    ),
  (avps, chance) => changeOne(avps, chance, (avp) => ({ ...avp, data: number(avp.data.length, chance) })),
  // One AVP has other flags, another vendor or another code.
  (avps, chance) => changeOne(avps, chance, (avp) => ({ ...avp, flags: avp.flags ^ (1 << chance.below(7)) })),
  (avps, chance) =>
    changeOne(avps, chance, (avp) => ({ ...avp, vendorId: chance.one([undefined, 0, 32_473, 0xffff_ffff]) })),
  (avps, chance) =>
    changeOne(avps, chance, (avp) => ({
      ...avp,
      code: chance.one([0, 1, 255, 256, 999, 0xffff_ffff, chance.one(SAMPLES).code]),
    })),
  // The AVPs have another order.
  (avps) => avps.toReversed(),
  (avps, chance) =>
    avps
      .map((avp) => ({ avp, at: chance.below(1000) }))
      .sort((a, b) => a.at - b.at)
      .map(({ avp }) => avp),
  // There is one AVP too many, known or unknown, or nested groups, or as many AVPs as are allowed, or more.
  (avps, chance) => avps.toSpliced(chance.below(avps.length + 1), 0, chance.one(SAMPLES)),
  (avps, chance) => [...avps, nested(chance)],
  (avps, chance) => [
    ...avps,
    ...Array.from({ length: chance.one([500, 511, 512, 513]) - avps.length }, () => chance.one(SAMPLES)),
  ],
  // A group has one of these faults within it.
  (avps, chance) => {
    const groups = avps.filter(({ code, data }) => GROUPS.has(code) && data.length > 0);
    if (groups.length === 0) return [...avps, nested(chance)];
    const group = chance.one(groups);
    const members = chance.one(OF_AVPS)(membersOf(group), chance);
    return avps.map((avp) => (avp === group ? { ...avp, data: encodeGroup(members) } : avp));
  },
  // A value has changed octets, or the EAP packet has a fault.
  (avps, chance) =>
    changeOne(avps, chance, (avp) => {
      const data = avp.data.slice();
      for (let i = 0; i <= chance.below(4); i += 1) data[chance.below(data.length || 1)] = chance.below(256);
      return { ...avp, data };
    }),
  (avps, chance) =>
    avps.map((avp) => (avp.code === AVPS['EAP-Payload'].code ? { ...avp, data: mutateEap(avp.data, chance) } : avp)),
  (avps, chance) => [
    ...avps.filter(({ code }) => code !== AVPS['EAP-Payload'].code),
    {
      ...SAMPLES[0],
      code: AVPS['EAP-Payload'].code,
      flags: AVP_FLAG.M,
      vendorId: undefined,
      data: mutateEap(chance.octets(20), chance),
    },
  ],
];

/** A message with one or two faults that leave the framing of the stream intact. */
export function mutateDiameter(original: DiameterMessage, chance: Chance): DiameterMessage {
  let message = original;
  const faults = chance.in(4) ? 2 : 1;
  for (let i = 0; i < faults; i += 1) {
    if (chance.in(8)) message = mutateHeader(message, chance);
    else message = { ...message, avps: chance.one(OF_AVPS)([...message.avps], chance) };
  }
  return message;
}

function mutateHeader(message: DiameterMessage, chance: Chance): DiameterMessage {
  switch (chance.below(3)) {
    case 0:
      return { ...message, flags: message.flags ^ (1 << chance.below(8)) };
    case 1:
      // Without CER (257) and DPR (282), which end a connection: `breakConnection` and `sendBadCapabilities` send
      // those.
      return { ...message, commandCode: chance.one([0, 1, 258, 265, 268, 271, 272, 274, 275, 280, 0xff_ffff]) };
    default:
      return { ...message, applicationId: chance.one([0, 1, 4, 5, 6, 0xffff_ffff]) };
  }
}

/** The encoded message; undefined if it is longer than any node accepts. */
export function encodeForStream(message: DiameterMessage, chance: Chance): Uint8Array | undefined {
  const octets = encodeDiameter(message);
  if (octets.length > 131_072) return undefined;
  // A wrong length of the first AVP leaves the framing of the stream intact.
  if (chance.in(12) && octets.length >= HEADER_LENGTH + 8) {
    const lengths = [0, 7, 8, 9, 12, octets.length, octets.length - HEADER_LENGTH, 0xff_ffff];
    const length = chance.one(lengths);
    octets[HEADER_LENGTH + 5] = length >>> 16;
    octets[HEADER_LENGTH + 6] = length >>> 8;
    octets[HEADER_LENGTH + 7] = length;
  }
  return octets;
}

/** Octets that destroy the framing of a stream. */
export function breakStream(octets: Uint8Array, chance: Chance): Uint8Array {
  const broken = octets.slice();
  const length = chance.one([0, 19, 21, octets.length - 4, octets.length + 1, 131_076, 0xff_fffc]);
  if (chance.in(3)) broken[0] = chance.one([0, 2, 255]);
  else {
    broken[1] = length >>> 16;
    broken[2] = length >>> 8;
    broken[3] = length;
  }
  return broken;
}
