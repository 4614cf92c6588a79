import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress, toV6Octets } from '../../../../src/protocol/bytes/address.js';
import { halfSipHash, sipKey } from '../../../../src/protocol/bytes/half-sip-hash.js';
import { cutToNetwork, networkOf, readAddressWords } from '../../../../src/protocol/pana/agent/networks.js';
import { PciLimiter } from '../../../../src/protocol/pana/agent/pci-limiter.js';
import { runs } from '../../../seed.js';

const KEY = Uint8Array.from({ length: 16 }, (_, i) => i);
const LIMITS = { perAddress: 5, perNetwork: 500, inAll: 4_000 };
const SECOND = 1_000;

/** PCIs at 50,000 a second from 2^20 addresses, in 16 networks with prefixes of 16 bits. */
function* flood(from: number, until: number): Generator<readonly [string, number]> {
  let state = 1;
  for (let now = from; now < until; now += 1) {
    for (let n = 0; n < 50; n += 1) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      const low = state >>> 8;
      yield [`10.${100 + ((low >> 16) & 15)}.${(low >> 8) & 255}.${low & 255}`, now] as const;
    }
  }
}

/** Milliseconds until a node that sends its first PCI at `from`, and repeats it as in RFC 5191 9.1, is answered. */
function answeredAfter(limiter: PciLimiter, address: string, from: number): number | undefined {
  const due = [0, 1_000, 3_000, 7_000];
  for (const [attacker, now] of flood(from, from + 8_000)) {
    if (due[0] !== undefined && now >= from + due[0]) {
      const waited = due.shift();
      if (limiter.refuse(address, now) === undefined) return waited;
    }
    limiter.refuse(attacker, now);
  }
  return undefined;
}

describe('PciLimiter', () => {
  it('counts PCIs per second, and repetitions per epoch', () => {
    const limiter = new PciLimiter(KEY, { perAddress: 2, perNetwork: 100, inAll: 100 });
    expect([0, 1, 2].map(() => limiter.refuse('::1', 0))).toEqual([undefined, undefined, 'pci-of-address']);
    expect(limiter.refuse('::1', 1000)).toBeUndefined();
    expect([1, 2, 3].map(() => limiter.repeats('::1', 716, 0))).toEqual([0, 1, 2]);
    expect(limiter.repeats('::1', 717, 0)).toBe(0);
    expect(limiter.repeats('::1', 716, 1)).toBe(0);
    for (let i = 0; i < 256; i += 1) limiter.repeats('::1', 716, 1);
    expect(limiter.repeats('::1', 716, 1)).toBe(1);
  });

  it('removes one repetition of the place whose start was completed', () => {
    const limiter = new PciLimiter(KEY, LIMITS);
    expect([1, 2, 3].map(() => limiter.repeats('::1', 716, 0))).toEqual([0, 1, 2]);
    limiter.proven('::1', 717);
    expect(limiter.repeats('::1', 716, 0)).toBe(3);
    limiter.proven('::1', 716);
    expect(limiter.repeats('::1', 716, 0)).toBe(3);
    for (let nth = 0; nth < 9; nth += 1) limiter.proven('::1', 716);
    expect(limiter.repeats('::1', 716, 0)).toBe(0);
  });

  it('leaves the first offer to nodes of which thousands start in a minute', () => {
    const limiter = new PciLimiter(KEY, LIMITS);
    let others = 0;
    for (let n = 0; n < 60_000; n += 1) {
      const address = `2001:db8:${(n >> 8).toString(16)}::${(n & 255).toString(16)}`;
      if (limiter.repeats(address, 716, 0) > 0) others += 1;
      limiter.proven(address, 716);
    }
    expect(others).toBe(0);
  });

  it('limits one network without affecting the others', () => {
    const limiter = new PciLimiter(KEY, { perAddress: 5, perNetwork: 20, inAll: 1_000 });
    const said = Array.from({ length: 100 }, (_, n) => limiter.refuse(`2001:db8:66::${n.toString(16)}`, 0));
    expect(said.filter((code) => code === undefined)).toHaveLength(20);
    expect(said.at(-1)).toBe('pci-of-network');
    expect(limiter.refuse('2001:db8:67::1', 0)).toBeUndefined();
    expect(limiter.refuse('192.0.2.1', 0)).toBeUndefined();
  });

  it('answers quiet networks at once during a flood of 50,000 PCIs a second from 2^20 addresses', () => {
    const limiter = new PciLimiter(KEY, LIMITS);
    for (const [attacker, now] of flood(0, 3 * SECOND)) limiter.refuse(attacker, now);
    const waited = ['10.66.0.5', '2001:db8:a::11', '192.0.2.7'].map((address, n) =>
      answeredAfter(limiter, address, (10 + 10 * n) * SECOND),
    );
    expect(waited).toEqual([0, 0, 0]);
  });

  it.each([1_000, 65_536])(
    'answers new addresses in the network of a flood once its %s addresses are known',
    (sources) => {
      const limiter = new PciLimiter(KEY, LIMITS);
      // 20,000 PCIs a second from addresses of the node's /64. After 10 s each address has sent at least three.
      const answered: boolean[] = [];
      for (let n = 0; n < 240_000; n += 1) {
        const now = n / 20;
        limiter.refuse(`2001:db8:a::${(n % sources).toString(16)}`, now);
        // The node's PCI arrives after PCIs of the flood in the same second.
        if (now > 11_500 && n % 2_000 === 0)
          answered.push(limiter.refuse(`2001:db8:a::1:${(n / 2_000).toString(16)}`, now) === undefined);
      }
      expect(answered).toEqual([true, true, true, true]);
    },
  );

  it('does not refuse a node that completes its starts during a flood', () => {
    const limiter = new PciLimiter(KEY, LIMITS);
    for (const [attacker, now] of flood(0, SECOND)) limiter.refuse(attacker, now);
    let refused = 0;
    for (let round = 1; round <= 20; round += 1) {
      for (const [attacker, now] of flood(round * SECOND, round * SECOND + 200)) limiter.refuse(attacker, now);
      if (limiter.refuse('10.66.0.5', round * SECOND + 200)) refused += 1;
      limiter.proven('10.66.0.5', 716);
    }
    expect(refused).toBe(0);
  });

  it('does not count repeated PCIs of a node that completes its starts against its network', () => {
    const limiter = new PciLimiter(KEY, { perAddress: 100, perNetwork: 100, inAll: 8 });
    for (let start = 0; start < 20; start += 1) {
      // Two PCIs that are lost, or whose PAR[S] is lost, and one that leads to PAN[S].
      for (let nth = 0; nth < 3; nth += 1) limiter.refuse('10.66.0.5', start * 4_000);
      limiter.proven('10.66.0.5', 716);
    }
    // The flood uses everything that is not reserved for quiet networks.
    for (let n = 0; n < 8; n += 1) for (let again = 0; again < 8; again += 1) limiter.refuse(`10.9.9.${n}`, 100_000);
    expect(limiter.refuse('10.66.0.6', 100_000)).toBeUndefined();
  });

  it.each([
    ['in the same minute', 0],
    ['in the next minute', 60_000],
  ])('counts the PCIs of other addresses in the network of a node that completes its start %s', (_when, later) => {
    const limiter = new PciLimiter(KEY, { perAddress: 100, perNetwork: 100, inAll: 8 });
    for (let n = 0; n < 3; n += 1) limiter.refuse('10.66.0.5', n * 1_000);
    limiter.refuse('10.66.0.6', 4_000);
    if (later > 0) limiter.refuse('10.66.0.6', later);
    limiter.proven('10.66.0.6', 716);
    for (let n = 0; n < 8; n += 1)
      for (let again = 0; again < 8; again += 1) limiter.refuse(`10.9.9.${n}`, later + 9_000);
    // The flood leaves only what is reserved for quiet networks, and this network is not quiet.
    expect(limiter.refuse('10.66.0.10', later + 9_000)).toBe('pci-in-all');
    expect(limiter.refuse('10.67.0.1', later + 9_000)).toBeUndefined();
  });

  it('still knows in the next minute which addresses have sent many PCIs', () => {
    const limiter = new PciLimiter(KEY, { perAddress: 100, perNetwork: 100, inAll: 8 });
    const ask = (address: string, now: number) =>
      Array.from({ length: 8 }, () => limiter.refuse(address, now)).filter((code) => code === undefined).length;
    for (const address of ['192.0.2.1', '198.51.100.1']) ask(address, 0);
    // Half of the limit is for busy addresses, and one of them uses it up.
    expect(ask('198.51.100.1', 60_000)).toBe(4);
    expect(ask('192.0.2.1', 60_000)).toBe(0);
    // A new address in its network is quiet.
    expect(ask('192.0.2.2', 60_000)).toBe(2);
  });

  it('forgets the PCIs of an address within three minutes', () => {
    const limiter = new PciLimiter(KEY, { perAddress: 100, perNetwork: 100, inAll: 8 });
    const ask = (now: number) => Array.from({ length: 8 }, () => limiter.refuse('192.0.2.1', now) === undefined);
    // The first three count as quiet; half of the remaining answers are for busy addresses.
    expect(ask(0)).toEqual([true, true, true, true, false, false, false, false]);
    expect(ask(1_000).filter(Boolean)).toHaveLength(4);
    expect(ask(60_000).filter(Boolean)).toHaveLength(4);
    expect(limiter.refuse('192.0.2.1', 240_000)).toBeUndefined();
    expect(ask(240_000)[0]).toBe(true);
  });
});

describe('the words of an address', () => {
  const words = (text: string) => {
    const out = new Uint32Array(5);
    readAddressWords(text, out);
    return out;
  };

  it('are those of its octets, for any address in the notation of the platform', () => {
    const v6 = fc.ipV6().filter((text) => isIPv6(text));
    const v4 = fc.ipV4().filter((text) => isIPv4(text));
    fc.assert(
      fc.property(fc.oneof(v4, v6), (text) => {
        const octets = parseAddress(text);
        if (!octets) throw new Error(`${text} cannot be parsed`);
        const view = new DataView(toV6Octets(octets).buffer);
        expect([...words(text).subarray(0, 4)]).toEqual([0, 4, 8, 12].map((at) => view.getUint32(at)));
      }),
      { numRuns: runs(2_000) },
    );
  });

  it('distinguish scopes', () => {
    expect(words('fe80::1%eth0')).not.toEqual(words('fe80::1%eth1'));
    expect(networkOf('fe80::1%a')).not.toBe(networkOf('fe80::1%b'));
  });

  it('group addresses by /64 and /24', () => {
    expect(networkOf('2001:db8:1:2:3::4')).toBe(networkOf('2001:db8:1:2::9'));
    expect(networkOf('2001:db8:1:2::')).not.toBe(networkOf('2001:db8:1:3::'));
    expect(networkOf('192.0.2.1')).toBe(networkOf('192.0.2.255'));
    expect(networkOf('192.0.2.1')).not.toBe(networkOf('192.0.3.1'));
    const cut = words('2001:db8::ffff:1');
    cutToNetwork(cut);
    expect([...cut]).toEqual([0x2001_0db8, 0, 0, 0, 0]);
  });

  it('give different hashes for each bit of the input, and for each key', () => {
    const key = sipKey(KEY);
    const seen = new Set<number>();
    for (let bit = 0; bit < 160; bit += 1) {
      const input = new Uint32Array(5);
      input[bit >> 5] = 2 ** (bit & 31);
      seen.add(halfSipHash(key, input, 5));
    }
    expect(seen.size).toBe(160);
    expect(halfSipHash(sipKey(new Uint8Array(8)), new Uint32Array(5), 5)).not.toBe(
      halfSipHash(key, new Uint32Array(5), 5),
    );
  });
});
