import { describe, expect, it } from 'vitest';
import { AddressSet } from '../../../../src/protocol/bytes/address-set.js';
import { toHex } from '../../../../src/protocol/bytes/octets.js';
import { PROOF_TIMEOUT } from '../../../../src/protocol/pana/agent/pac-location.js';
import { decodePana, encodePana, FLAG } from '../../../../src/protocol/pana/wire/codec.js';
import { Ladder } from './ladder.js';

const PAC = { preAuthentication: true } as const;
const PAA = { preAuthentication: { networks: 'any', sessions: 10 } } as const;
const THERE = { address: '2001:db8:b::11', port: 50_001, local: '2001:db8:a::1' };
const BOOTSTRAP = ['PCI', 'PAR[S]', 'PAN[S]', 'PAR', 'PAN', 'PAR', 'PAN', 'PAR[C]', 'PAN[C]'];

function started(options: ConstructorParameters<typeof Ladder>[0] = {}): Ladder {
  const ladder = new Ladder({ ...options, pac: { ...PAC, ...options.pac }, paa: { ...PAA, ...options.paa } });
  ladder.toPac({ type: 'start' });
  return ladder;
}

/** A PaC that is pre-authenticated, and has another address now. */
function preAuthenticated(options: ConstructorParameters<typeof Ladder>[0] = {}): Ladder {
  const ladder = started(options).run(100);
  ladder.from = THERE;
  return ladder;
}

const isE = ({ message }: Ladder['lines'][number]) => (message.flags & FLAG.E) !== 0;
const view = (ladder: Ladder) => [...ladder.paa.list(ladder.now)];

function events(ladder: Ladder, type: string) {
  return ladder.paaEvents.filter((output) => output.type === 'session' && output.event.type === type);
}

function drops(ladder: Ladder) {
  return [...ladder.pacEvents, ...ladder.paaEvents].flatMap((event) => (event.type === 'dropped' ? [event.code] : []));
}

/** The octets of a message with the E flag inverted. */
function inverted(octets: Uint8Array): Uint8Array {
  const message = decodePana(octets);
  return encodePana({ ...message, flags: message.flags ^ FLAG.E });
}

describe('pre-authentication (RFC 5873)', () => {
  it('has the E flag in each message of the bootstrap, and gives no access', () => {
    const ladder = started().run(100);
    expect(ladder.names).toEqual(BOOTSTRAP);
    expect(ladder.lines.every(isE)).toBe(true);
    expect(ladder.pac.state).toBe('OPEN');
    expect(view(ladder)).toMatchObject([{ state: 'OPEN', preAuthenticated: true }]);
    expect([ladder.paa.preAuthenticated, ladder.paa.halfOpen]).toEqual([1, 0]);
  });

  it('has the E flag in pings, re-authentications and the termination', () => {
    const ladder = started().run(100);
    ladder.toPac({ type: 'ping' });
    ladder.run(200).toSession({ type: 'ping' });
    ladder.run(300).toPac({ type: 'reauthenticate' });
    ladder.run(400).toPac({ type: 'terminate' });
    ladder.run(500);
    expect(ladder.names.slice(BOOTSTRAP.length)).toEqual([
      'PNR[P]',
      'PNA[P]',
      'PNR[P]',
      'PNA[P]',
      'PNR[A]',
      'PNA[A]',
      'PAR',
      'PAN',
      'PAR',
      'PAN',
      'PAR[C]',
      'PAN[C]',
      'PTR',
      'PTA',
    ]);
    expect(ladder.lines.every(isE)).toBe(true);
    expect(ladder.paa.preAuthenticated).toBe(0);
  });

  it('becomes a session by PNR[P] and PNA[P] without E, after the new address is proven', () => {
    const ladder = preAuthenticated();
    ladder.toPac({ type: 'arrive' });
    ladder.run(200);
    const after = ladder.lines.slice(BOOTSTRAP.length);
    expect(after.map(({ from, name, at }) => [from, name, at])).toEqual([
      ['pac', 'PNR[P]', 100],
      ['paa', 'PNR[P]', 101],
      ['pac', 'PNA[P]', 102],
      ['paa', 'PNA[P]', 103],
    ]);
    expect(after.some(isE)).toBe(false);
    expect(ladder.pacEvents.filter(({ type }) => type === 'arrived')).toHaveLength(1);
    expect(events(ladder, 'arrived')).toMatchObject([{ peer: THERE }]);
    expect(view(ladder)).toMatchObject([{ peer: THERE, preAuthenticated: false }]);
    expect(ladder.paa.preAuthenticated).toBe(0);
  });

  it('needs one round trip if the address is the same', () => {
    const ladder = started().run(100);
    ladder.toPac({ type: 'arrive' });
    ladder.run(200);
    expect(ladder.names.slice(BOOTSTRAP.length)).toEqual(['PNR[P]', 'PNA[P]']);
    expect(view(ladder)).toMatchObject([{ preAuthenticated: false }]);
  });

  it('answers the PNR when the enforcement point has let the PaC in', () => {
    const ladder = preAuthenticated();
    ladder.holdsWelcome = true;
    ladder.toPac({ type: 'arrive' });
    ladder.run(150);
    expect(events(ladder, 'arrived')).toHaveLength(1);
    expect(ladder.pacEvents.some(({ type }) => type === 'arrived')).toBe(false);
    ladder.toSession({ type: 'welcome' });
    ladder.run(200);
    expect(ladder.pacEvents.some(({ type }) => type === 'arrived')).toBe(true);
  });

  it.each(Array.from({ length: 4 }, (_, i) => ({ lost: i })))(
    'survives the loss of message $lost of the arrival',
    ({ lost }) => {
      const ladder = preAuthenticated({ lose: ({ nth }) => nth === BOOTSTRAP.length + lost });
      ladder.toPac({ type: 'arrive' });
      ladder.run(20_000);
      expect(ladder.pacEvents.filter(({ type }) => type === 'arrived')).toHaveLength(1);
      expect(events(ladder, 'arrived')).toHaveLength(1);
      expect(view(ladder)).toMatchObject([{ state: 'OPEN', peer: THERE, preAuthenticated: false }]);
    },
  );

  it('arrives although PAN[C] was lost', () => {
    const ladder = preAuthenticated({ lose: ({ name, at }) => name === 'PAN[C]' && at < 100 });
    ladder.toPac({ type: 'arrive' });
    ladder.run(20_000);
    expect(ladder.pacEvents.filter(({ type }) => type === 'arrived')).toHaveLength(1);
    const order = ladder.paaEvents.flatMap((output) => (output.type === 'session' ? [output.event.type] : []));
    expect(order.filter((type) => type === 'authorized' || type === 'arrived')).toEqual(['authorized', 'arrived']);
    expect(view(ladder)).toMatchObject([{ peer: THERE, preAuthenticated: false }]);
  });

  it('arrives although a ping and a re-authentication were under way', () => {
    for (const type of ['ping', 'reauthenticate'] as const) {
      const ladder = preAuthenticated({ lose: ({ at }) => at === 100 });
      ladder.toPac({ type });
      ladder.now = 101;
      ladder.toPac({ type: 'arrive' });
      ladder.run(20_000);
      expect(ladder.pacEvents.filter((event) => event.type === 'arrived')).toHaveLength(1);
      expect(ladder.pac.state).toBe('OPEN');
      expect(view(ladder)).toMatchObject([{ state: 'OPEN', peer: THERE, preAuthenticated: false }]);
    }
  });

  it('can move before it arrives, and stays pre-authenticated', () => {
    const ladder = preAuthenticated();
    ladder.toPac({ type: 'moved' });
    ladder.run(200);
    expect(ladder.lines.every(isE)).toBe(true);
    expect(view(ladder)).toMatchObject([{ peer: THERE, preAuthenticated: true }]);
  });

  it('has no session with a PAA that allows none: the answer has no E, and is dropped', () => {
    const ladder = started({ paa: { preAuthentication: undefined } }).run(20_000);
    expect(new Set(ladder.names)).toEqual(new Set(['PCI', 'PAR[S]']));
    expect(ladder.lines.filter(({ name }) => name === 'PAR[S]').some(isE)).toBe(false);
    expect(new Set(drops(ladder))).toEqual(new Set(['pre-authentication']));
    expect(ladder.paa.size).toBe(0);
  });

  it('is allowed only from the configured networks', () => {
    const from = (network: string) =>
      started({ paa: { preAuthentication: { networks: new AddressSet([network]), sessions: 10 } } }).run(100).pac.state;
    expect([from('2001:db8:a::/64'), from('2001:db8:b::/64')]).toEqual(['OPEN', 'INITIAL']);
  });

  it('keeps at most the configured number of sessions whose PaC has not come', () => {
    const ladder = started({ paa: { preAuthentication: { networks: 'any', sessions: 1 } } }).run(100);
    const other = started()
      .run(3)
      .lines.find(({ name }) => name === 'PCI');
    ladder.from = THERE;
    ladder.inject('paa', other?.octets ?? new Uint8Array());
    const start = ladder.lines.findLast(({ name }) => name === 'PAR[S]');
    const pan = ladder.lines.find(({ name }) => name === 'PAN[S]');
    if (!start || !pan) throw new Error('no start');
    const { sessionId, sequence } = start.message;
    ladder.inject('paa', encodePana({ ...pan.message, sessionId, sequence }));
    expect(drops(ladder)).toContain('pre-authenticated-in-all');
    expect(ladder.paa.size).toBe(1);
  });

  it('requires a key', () => {
    const ladder = started({ pac: { sa: 'optional' }, paa: { sa: 'optional', prf: [], integrity: [] } }).run(20_000);
    expect(ladder.pac.state).toBe('INITIAL');
    expect(drops(ladder)).toContain('no-algorithm');
  });
});

describe('attacks on pre-authentication', () => {
  it.each(BOOTSTRAP.map((name, nth) => ({ name, nth })))(
    'gains nothing by a changed E flag of $name (message $nth) once: the message counts as lost',
    ({ name, nth }) => {
      const ladder = started({ alter: (line) => (line.nth === nth ? inverted(line.octets) : line.octets.slice()) });
      ladder.run(20_000);
      expect(drops(ladder)).toContain(name === 'PAN[C]' ? 'auth' : 'pre-authentication');
      expect(ladder.pac.state).toBe('OPEN');
      expect(view(ladder).map(({ state, preAuthenticated }) => [state, preAuthenticated])).toEqual([['OPEN', true]]);
    },
  );

  it('has no session if the E flag is stripped in both directions', () => {
    const strip = ({ octets }: Ladder['lines'][number]) => {
      const message = decodePana(octets);
      return encodePana({ ...message, flags: message.flags & ~FLAG.E });
    };
    const ladder = started({ alter: strip }).run(20_000);
    expect(ladder.pac.state).toBe('INITIAL');
    expect(ladder.paa.size).toBe(0);
  });

  it('has no pre-authenticated session, and no other, if E is forged in the messages of a PaC that is there', () => {
    const forge = ({ octets }: Ladder['lines'][number]) => {
      const message = decodePana(octets);
      return encodePana({ ...message, flags: message.flags | FLAG.E });
    };
    const ladder = started({ pac: { preAuthentication: false }, alter: forge }).run(20_000);
    expect(ladder.pac.state).toBe('INITIAL');
    expect(ladder.paa.size).toBe(0);
  });

  it('is not ended by a forged PAR[S] without E', () => {
    const ladder = started();
    const plain = new Ladder({ pac: {}, paa: PAA });
    plain.toPac({ type: 'start' });
    const offer = plain.run(2).lines.find(({ name }) => name === 'PAR[S]');
    ladder.inject('pac', offer?.octets.slice() ?? new Uint8Array());
    ladder.run(100);
    expect(ladder.pac.state).toBe('OPEN');
  });

  it('does not arrive by a ping with E that was recorded, from whatever address it is replayed', () => {
    const ladder = started().run(100);
    ladder.toPac({ type: 'ping' });
    ladder.run(200);
    const ping = ladder.lines.find(({ name, from }) => name === 'PNR[P]' && from === 'pac')?.octets ?? new Uint8Array();
    for (const octets of [ping, inverted(ping)]) ladder.inject('paa', octets.slice(), THERE);
    ladder.run(20_000);
    expect(view(ladder)).toMatchObject([{ preAuthenticated: true }]);
    expect(events(ladder, 'arrived')).toEqual([]);
  });

  it('does not arrive at the address from which somebody else sends the PNR: the address is not proven', () => {
    const ladder = started().run(100);
    const forged = { ...THERE, address: '2001:db8:66::1' };
    ladder.from = forged;
    const isThere = () => ladder.from === forged;
    ladder.toPac({ type: 'arrive' });
    const pnr = ladder.lines.at(-1);
    expect([pnr?.name, isThere()]).toEqual(['PNR[P]', true]);
    // Nobody answers there.
    ladder.from = { ...THERE };
    ladder.inject('paa', pnr?.octets.slice() ?? new Uint8Array(), forged);
    expect(events(ladder, 'arrived')).toEqual([]);
    expect(view(ladder)).toMatchObject([{ preAuthenticated: true }]);
    expect(PROOF_TIMEOUT).toBeGreaterThan(0);
  });

  it('does not arrive a second time by a replayed PNR', () => {
    const ladder = preAuthenticated();
    ladder.toPac({ type: 'arrive' });
    ladder.run(200);
    const pnr = ladder.lines.find(
      ({ name, from, message }) => name === 'PNR[P]' && from === 'pac' && !(message.flags & FLAG.E),
    );
    ladder.inject('paa', pnr?.octets.slice() ?? new Uint8Array(), { ...THERE, address: '2001:db8:66::1' });
    ladder.run(20_000);
    expect(events(ladder, 'arrived')).toHaveLength(1);
    expect(view(ladder)).toMatchObject([{ peer: THERE }]);
  });
});

describe('golden messages of a pre-authentication', () => {
  it('has bit 6 of the flags in PCI, and in PAR[S] beside R and S', () => {
    const [pci, par] = started().run(2).lines;
    expect(toHex(pci?.octets ?? new Uint8Array())).toBe('00000010020000010000000000000000');
    expect(toHex(par?.octets.subarray(4, 8) ?? new Uint8Array())).toBe('c2000002');
  });
});
