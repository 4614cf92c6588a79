import { describe, expect, it } from 'vitest';
import { Paa } from '../../../../src/protocol/pana/agent/paa.js';
import type { PaaConfig, PaaInput, PaaOutput } from '../../../../src/protocol/pana/agent/paa-interface.js';
import { PanaRelay } from '../../../../src/protocol/pana/relay/relay.js';
import { FLAG, MESSAGE_TYPE } from '../../../../src/protocol/pana/wire/codec.js';
import { encodeRelay, isRelay } from '../../../../src/protocol/pana/wire/relayed.js';
import { PAA_CONFIG } from '../session/ladder.js';
import { ForeignPac, PNR } from '../wire/foreign.js';

const RELAY = { address: '2001:db8:f::5', port: 30_005, local: '2001:db8:f::1|716' };
const OTHER = { ...RELAY, address: '2001:db8:f::6' };
const LIMITS = { perAddress: 100, perNetwork: 1000, inAll: 1000 };
const CONFIG = { limits: LIMITS, messages: 100, unproven: 100 };
const SIDES = [
  { local: 'global', address: '2001:db8:a::1' },
  { local: 'link', address: 'fe80::1%eth1' },
  { local: 'four', address: '192.0.2.1' },
];

/** A PAA behind a relay, as a PaC sees it. */
class RelayedPaa extends Paa {
  readonly relay = new PanaRelay(SIDES, CONFIG, new Uint8Array(16), 0);
  at = RELAY;
  /** The socket of the relay that the last message came from. */
  side: string | undefined;
  /** Whether the last datagrams of the PAA were PRYs to the relay. */
  wrapped: boolean[] = [];
  opened = 0;

  override handle(input: PaaInput, now: number): PaaOutput[] {
    if (input.type !== 'datagram') return this.#back(super.handle(input, now), now);
    const { octets, from } = input;
    const [up] = this.relay.handle({ type: 'fromPac', octets, address: from.address, port: from.port }, now);
    if (up?.type !== 'toPaa') throw new Error(`the relay said ${JSON.stringify(up)}`);
    return this.#back(super.handle({ type: 'datagram', octets: up.octets, from: this.at }, now), now);
  }

  #back(outputs: readonly PaaOutput[], now: number): PaaOutput[] {
    return outputs.map((output) => {
      if (output.type !== 'send') return output;
      this.wrapped.push(isRelay(output.octets) && output.to.address === this.at.address);
      const [down] = this.relay.handle({ type: 'fromPaa', octets: output.octets }, now);
      if (down?.type !== 'toPac') throw new Error(`the relay said ${JSON.stringify(down)}`);
      this.side = down.local;
      const { address, port, local } = down;
      return { type: 'send', octets: down.octets, to: { address, port, local } };
    });
  }
}

function paaWith(config: Partial<PaaConfig>): RelayedPaa {
  return new RelayedPaa({ ...PAA_CONFIG, mobility: undefined, ...config }, new Uint8Array(32).fill(4));
}

/** A PaC with an open session through a relay. */
function pacThrough(address: string, paa = paaWith({ relays: [RELAY.address, OTHER.address] })) {
  const pac = new ForeignPac({}, paa);
  pac.from = { ...pac.from, address };
  pac.start().eapRequest().respond(true).success().complete();
  return { pac, paa };
}

const peerOf = (pac: ForeignPac) => [...pac.paa.list(pac.now)][0]?.peer;

describe('a PaC behind a relay', () => {
  it.each([
    ['2001:db8:a::77', 'global', '2001:db8:a::77'],
    ['fe80::77%eth1', 'link', 'fe80::77%2001:db8:f::5'],
    ['192.0.2.77', 'four', '192.0.2.77'],
  ])('gets a session, from the address that it sent to: %s', (address, side, known) => {
    const { pac, paa } = pacThrough(address);
    expect(pac.state).toBe('OPEN');
    expect(paa.side).toBe(side);
    expect(new Set(paa.wrapped)).toEqual(new Set([true]));
    expect(peerOf(pac)).toMatchObject({ address: known, port: 40_000, relay: RELAY });
  });

  it('gets requests of the PAA', () => {
    const { pac } = pacThrough('2001:db8:a::77');
    pac.take();
    pac.session({ type: 'ping' });
    expect(pac.take()).toEqual(['PNR[P]']);
  });

  it('moves to another relay when it has proven its new place', () => {
    const { pac, paa } = pacThrough('2001:db8:a::77');
    pac.take();
    paa.at = OTHER;
    pac.now += 10_000;
    pac.request(PNR, FLAG.P);
    expect(peerOf(pac)?.relay).toEqual(RELAY);
    pac.session({ type: 'reauthenticate' });
    pac.eapRequest().respond(true).success().complete();
    expect(pac.take()).toContain('moved');
    expect(peerOf(pac)?.relay).toEqual(OTHER);
  });

  it('has the limits of its own address, whichever relay it uses', () => {
    const { limits } = PAA_CONFIG;
    const paa = paaWith({ relays: [RELAY.address], limits: { ...limits, pciPerAddress: 3 } });
    const [one, two] = ['2001:db8:a::77', '2001:db8:a::78'].map((address) => {
      const pac = new ForeignPac({}, paa);
      pac.from = { ...pac.from, address };
      return pac;
    });
    for (let i = 0; i < 5; i += 1) one?.pci();
    expect(one?.take()).toEqual(['PAR[S]', 'PAR[S]', 'PAR[S]', 'dropped pci-of-address', 'dropped pci-of-address']);
    expect(two?.pci().take()).toEqual(['PAR[S]']);
  });

  it('has no link-local address in common with one behind another relay', () => {
    const paa = paaWith({ relays: [RELAY.address, OTHER.address] });
    const { pac: one } = pacThrough('fe80::77%eth1', paa);
    paa.at = OTHER;
    const { pac: two } = pacThrough('fe80::77%eth1', paa);
    expect(two.sessionId).not.toBe(one.sessionId);
    expect([...paa.list(0)].map(({ peer }) => peer.address)).toEqual([
      'fe80::77%2001:db8:f::5',
      'fe80::77%2001:db8:f::6',
    ]);
  });
});

describe('a PRY', () => {
  const pci = { type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] };

  it.each([
    ['no relay is configured', []],
    ['another relay is configured', [OTHER.address]],
  ])('is dropped, by name, if %s', (_when, relays) => {
    const pac = new ForeignPac({}, paaWith({ relays }));
    pac.put(pci);
    expect(pac.take()).toEqual(['dropped unknown-relay']);
  });

  it('in a PRY is dropped by the PAA and by the relay', () => {
    const paa = new Paa({ ...PAA_CONFIG, relays: [RELAY.address] }, new Uint8Array(32));
    const pac = { address: '2001:db8:a::77', port: 40_000 };
    const inner = encodeRelay({ pac, octets: new Uint8Array(16) });
    const octets = encodeRelay({ pac, octets: inner });
    expect(paa.handle({ type: 'datagram', octets, from: RELAY }, 0)).toMatchObject([
      { type: 'dropped', code: 'bad-value', from: RELAY },
    ]);
    const relay = new PanaRelay(SIDES, CONFIG, new Uint8Array(16), 0);
    expect(relay.handle({ type: 'fromPac', octets: inner, ...pac }, 0)).toMatchObject([{ code: 'nested' }]);
  });
});
