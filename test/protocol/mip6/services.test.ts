import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../src/protocol/bytes/address.js';
import { fromHex, toHex } from '../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { answeredServices, requestMobility } from '../../../src/protocol/diameter/mip6/mobility.js';
import { deriveHipToken, deriveMip4Key } from '../../../src/protocol/keys/kdf.js';
import { CAPABILITY } from '../../../src/protocol/mip6/assignment.js';
import {
  bitsOf,
  decodeService,
  encodeService,
  SERVICES,
  type ServiceAssignment,
  servicesOf,
} from '../../../src/protocol/mip6/services.js';

const address = (text: string) => parseAddress(text) ?? new Uint8Array();

const MIP4: ServiceAssignment = {
  service: 'mip4',
  homeAgent: address('192.0.2.1'),
  homeAddress: address('192.0.2.77'),
  prefixLength: 24,
  spi: 0x1234,
  lifetime: 3600,
};
const HIP: ServiceAssignment = {
  service: 'hip',
  hit: address('2001:20::5'),
  rendezvous: address('192.0.2.9'),
  tokenId: 7,
  lifetime: 60,
};
const VECTORS = [
  [MIP4, 'c0000201 c000024d 00001234 00000e10 18 01 02 00'],
  [HIP, '20010020000000000000000000000005 00000007 0000003c c0000209'],
] as const;

describe('An assignment of a service', () => {
  it.each(VECTORS)('has the octets of its description', (assignment, hex) => {
    const octets = fromHex(hex.replaceAll(' ', ''));
    expect(toHex(encodeService(assignment))).toBe(toHex(octets));
    expect(decodeService(assignment.service, octets)).toEqual(assignment);
    const v6 = { ...HIP, rendezvous: address('2001:db8::1') };
    expect(decodeService('hip', encodeService(v6))).toEqual(v6);
  });

  it.each(VECTORS)('is refused if it is shorter or longer', (assignment, hex) => {
    const octets = fromHex(hex.replaceAll(' ', ''));
    for (let length = 0; length < octets.length; length += 1) {
      expect(decodeService(assignment.service, octets.subarray(0, length))).toContain(`${length} octets`);
    }
    expect(decodeService(assignment.service, Uint8Array.of(...octets, 0))).toContain('octets');
  });

  it('is a value or a reason for any octets', () => {
    fc.assert(
      fc.property(fc.constantFrom(...SERVICES), fc.uint8Array({ maxLength: 48, size: 'max' }), (service, octets) => {
        const read = decodeService(service, octets);
        if (typeof read === 'object') expect(decodeService(service, encodeService(read))).toEqual(read);
      }),
    );
  });

  it.each([
    [{ ...MIP4, homeAgent: address('127.0.0.1') }, 'home agent: it is a loopback address'],
    [{ ...MIP4, homeAddress: address('224.0.0.1') }, 'home address: it is a multicast or broadcast address'],
    [{ ...MIP4, homeAddress: MIP4.homeAgent }, "home address: it is the home agent's"],
    [{ ...MIP4, spi: 255 }, 'SPI 255 is reserved'],
    [{ ...MIP4, prefixLength: 33 }, 'the length of its prefix is 33'],
    [{ ...HIP, hit: address('2001:db8::5') }, 'it is not in 2001:20::/28'],
    [{ ...HIP, rendezvous: address('0.0.0.0') }, 'rendezvous server: it is unspecified'],
  ] as const)('is refused with values that no host can have', (assignment, reason) => {
    expect(decodeService(assignment.service, encodeService(assignment))).toContain(reason);
  });

  it('is refused with an algorithm or replay protection that is not defined', () => {
    const octets = encodeService(MIP4);
    expect(decodeService('mip4', octets.with(17, 2))).toBe('mip4: unknown algorithm 2');
    expect(decodeService('mip4', octets.with(18, 3))).toBe('mip4: unknown replay protection 3');
  });
});

describe('The bits of services', () => {
  it('are those of their assignments', () => {
    expect(servicesOf(CAPABILITY.MIP6 | CAPABILITY.HIP)).toEqual(['hip']);
    expect(bitsOf({ mip4: new Uint8Array(), hip: undefined })).toBe(CAPABILITY.MIP4);
  });

  it('go into a DER without the AVPs of Mobile IPv6, if only services are requested', () => {
    expect(requestMobility(CAPABILITY.MIP4, undefined)).toEqual({ 'Mobility-Capability': CAPABILITY.MIP4 });
    expect(requestMobility(CAPABILITY.PSK_FROM_EMSK, undefined)).toEqual({});
  });

  it('decide which assignments of an answer are forwarded', () => {
    const [mip4, hip] = [encodeService(MIP4), encodeService(HIP)];
    const answer = { 'MIP4-Assignment': mip4, 'HIP-Assignment': hip };
    expect(answeredServices(answer, CAPABILITY.HIP)).toEqual({ services: { hip }, problems: [] });
    expect(answeredServices(answer, undefined)).toEqual({ services: {}, problems: [] });
    const short = { ...answer, 'MIP4-Assignment': mip4.subarray(1) };
    expect(answeredServices(short, CAPABILITY.MIP4 | CAPABILITY.HIP)).toEqual({
      services: { hip },
      problems: ['mip4: its assignment has 19 octets'],
    });
  });
});

/** Computed by a Python script of its own. */
describe('The key of a service', () => {
  const root = () => Secret.take(Uint8Array.from({ length: 64 }, (_, i) => i));

  it('is derived with its SPI from home agent and home address', () => {
    const { key, number } = deriveMip4Key(root(), address('192.0.2.1'), address('192.0.2.77'));
    expect(toHex(key.octets())).toBe('ffd678546b933333cccc9fa43d23178e');
    expect(number).toBe(577_109_750);
  });

  it('is derived with its identifier from HIT and address of the rendezvous server', () => {
    const { key, number } = deriveHipToken(root(), address('2001:20::5'), address('192.0.2.9'));
    expect(toHex(key.octets())).toBe('ca8c911f6ee0a55dd5cbf88fe806b1f923596049e0ea27736b89980fa6726d89');
    expect(number).toBe(4_099_919_350);
  });
});
