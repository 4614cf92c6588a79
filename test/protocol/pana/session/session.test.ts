import { describe, expect, it } from 'vitest';
import { toHex } from '../../../../src/protocol/bytes/octets.js';
import { CAPABILITY } from '../../../../src/protocol/mip6/assignment.js';
import { UNASKED_OFFER_WAIT } from '../../../../src/protocol/pana/session/pac-offers.js';
import { encodePana, FLAG, MESSAGE_TYPE } from '../../../../src/protocol/pana/wire/codec.js';
import { makeAvp, readPana } from '../../../../src/protocol/pana/wire/dictionary.js';
import { HOME, Ladder } from './ladder.js';

const BOOTSTRAP = ['PCI', 'PAR[S]', 'PAN[S]', 'PAR', 'PAN', 'PAR', 'PAN', 'PAR[C]', 'PAN[C]'];

function started(options: ConstructorParameters<typeof Ladder>[0] = {}): Ladder {
  const ladder = new Ladder(options);
  ladder.toPac({ type: 'start' });
  return ladder;
}

function closed(ladder: Ladder) {
  return ladder.pacEvents.flatMap((event) => (event.type === 'closed' ? [event.cause] : []));
}

function paaClosed(ladder: Ladder) {
  return ladder.paaEvents.flatMap((output) =>
    output.type === 'session' && output.event.type === 'closed' ? [output.event] : [],
  );
}

function values(ladder: Ladder, name: string) {
  const line = ladder.lines.find((each) => each.name === name);
  const read = line && readPana(line.message);
  if (read === undefined || typeof read === 'string') throw new Error(`${name}: ${read}`);
  return read;
}

describe('a session that goes well', () => {
  it('takes these messages, each at its time', () => {
    const ladder = started({ delay: 5 }).run(100);
    expect(ladder.lines.map(({ at, name }) => [at, name])).toEqual(BOOTSTRAP.map((name, i) => [i * 5, name]));
    expect(ladder.pac.state).toBe('OPEN');
    expect([...ladder.paa.list(100)]).toMatchObject([{ state: 'OPEN' }]);
  });

  it('hands over the assignment that the AAA server made', () => {
    const ladder = started().run(100);
    const authorized = ladder.pacEvents.find((event) => event.type === 'authorized');
    expect(authorized).toMatchObject({ reauthentication: false, lifetime: 3_600_000, assignment: HOME.assignment });
  });

  it('prefers SHA-256', () => {
    const start = values(started().run(100), 'PAN[S]');
    expect([start['PRF-Algorithm'], start['Integrity-Algorithm']]).toEqual([[5], [12]]);
  });

  it.each([
    { side: 'PAA', options: { paa: { prf: [2], integrity: [7] } } },
    { side: 'PaC', options: { pac: { prf: [2], integrity: [7] } } },
  ])('works with a $side that knows only SHA-1', ({ options }) => {
    const ladder = started(options).run(100);
    expect(ladder.names).toEqual(BOOTSTRAP);
    expect(values(ladder, 'PAR[C]').AUTH).toHaveLength(20);
  });

  it.each([
    { side: 'PaC', options: { pac: { mobility: undefined } } },
    { side: 'PAA', options: { paa: { mobility: undefined } } },
  ])('works without mobility at the $side', ({ options }) => {
    const ladder = started(options).run(100);
    expect(ladder.pacEvents.find((event) => event.type === 'authorized')).toMatchObject({ assignment: undefined });
    // Where there is an offer, the answer says what else the PaC can do.
    expect((values(ladder, 'PAN[S]')['Mobility-Capability'] ?? 0) & ~CAPABILITY.ECHO).toBe(0);
    expect(values(ladder, 'PAR[C]')['MIP6-Home-Agent-Address']).toBeUndefined();
  });

  it('works when the PaC does not piggyback', () => {
    const ladder = started({ pac: { piggyback: false } }).run(100);
    expect(ladder.pac.state).toBe('OPEN');
    expect(ladder.lines.filter(({ from, name }) => from === 'pac' && name === 'PAR')).toHaveLength(2);
  });

  it('has a Nonce in the first PAR and PAN after the S exchange and nowhere else', () => {
    const ladder = started({ rounds: 3 }).run(100);
    const withNonce = ladder.lines.flatMap(({ message, nth }) => {
      const read = readPana(message);
      return typeof read !== 'string' && read.Nonce ? [nth] : [];
    });
    expect(withNonce).toEqual([3, 4]);
  });
});

describe('a lost message', () => {
  it.each(BOOTSTRAP.map((name, nth) => ({ name, nth })))(
    '$name ($nth) costs one retransmission, not the session',
    ({ nth }) => {
      const ladder = started({ lose: (line) => line.nth === nth }).run(5_000);
      expect(ladder.pac.state).toBe('OPEN');
      expect([...ladder.paa.list(ladder.now)]).toMatchObject([{ state: 'OPEN' }]);
      expect(ladder.lines.length).toBeLessThanOrEqual(BOOTSTRAP.length + 4);
    },
  );

  it('is sent again after IRT, then twice as late, with up to 10 % at random', () => {
    const ladder = started({ lose: () => true }).run(20_000);
    const times = ladder.lines.map(({ at }) => at);
    const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
    expect(ladder.names.every((name) => name === 'PCI')).toBe(true);
    expect(gaps[0]).toBeGreaterThanOrEqual(900);
    expect(gaps[0]).toBeLessThanOrEqual(1100);
    for (const [i, gap] of gaps.slice(1).entries()) {
      expect(gap / (gaps[i] ?? 0)).toBeGreaterThanOrEqual(1.9);
      expect(gap / (gaps[i] ?? 0)).toBeLessThanOrEqual(2.1);
    }
  });

  it('ten times over ends the session at the PAA', () => {
    const ladder = started({
      lose: ({ from, nth }) => from === 'pac' && nth > 3,
      paa: { failedSessionTimeout: 600_000 },
    });
    ladder.run(400_000);
    expect(paaClosed(ladder)).toMatchObject([{ cause: 'no-answer', granted: false }]);
    expect(ladder.lines.filter(({ name, from }) => from === 'paa' && name === 'PAR')).toHaveLength(10);
  });

  it('PAN[C] ten times over ends a session that the AAA server has granted', () => {
    const ladder = started({ lose: ({ name }) => name === 'PAN[C]' }).run(400_000);
    expect(paaClosed(ladder)).toMatchObject([{ cause: 'no-answer', granted: true }]);
  });
});

describe('a refusal', () => {
  it.each([
    { verdict: 'reject', cause: 'authentication-rejected', code: 1 },
    { verdict: 'reject-without-packet', cause: 'authentication-rejected', code: 1 },
    { verdict: 'not-authorized', cause: 'authorization-rejected', code: 2 },
  ] as const)('$verdict ends both ends with Result-Code $code', ({ verdict, cause, code }) => {
    const ladder = started({ verdict }).run(5_000);
    if (verdict === 'not-authorized') {
      expect(closed(ladder)).toEqual([cause]);
      expect(paaClosed(ladder)).toMatchObject([{ cause: 'rejected', granted: false }]);
    }
    expect(values(ladder, 'PAR[C]')['Result-Code']).toBe(code);
    expect(ladder.pacEvents.some((event) => event.type === 'authorized')).toBe(false);
  });

  it('that comes without AUTH after the PaC has its key is not believed', () => {
    const ladder = started({ verdict: 'reject' }).run(4_900);
    expect(ladder.pacEvents).toContainEqual({ type: 'dropped', code: 'auth' });
    expect(closed(ladder)).toEqual([]);
    // The server may have died when all but its answer was said: a node does not wait a minute to find out.
    ladder.run(5_200);
    expect(closed(ladder)).toEqual(['no-progress']);
  });

  it('without a word from the AAA server ends both ends in bounded time', () => {
    const ladder = started({ verdict: 'silent' }).run(70_000);
    expect(closed(ladder)).toEqual(['no-progress']);
    expect(paaClosed(ladder)).toMatchObject([{ cause: 'no-progress' }]);
    expect(ladder.paa.size).toBe(0);
  });
});

describe('the end of a session', () => {
  it('by the PaC: PTR with LOGOUT, both with AUTH', () => {
    const ladder = started().run(100);
    ladder.toPac({ type: 'terminate' });
    ladder.run(200);
    expect(ladder.names.slice(-2)).toEqual(['PTR', 'PTA']);
    expect(values(ladder, 'PTR')).toMatchObject({ 'Termination-Cause': 1 });
    expect(closed(ladder)).toEqual(['terminated']);
    expect(paaClosed(ladder)).toMatchObject([{ cause: 'logout', granted: true }]);
    expect(ladder.paa.size).toBe(0);
  });

  it('by the PAA: PTR with its cause', () => {
    const ladder = started().run(100);
    ladder.toSession({ type: 'terminate', cause: 4 });
    ladder.run(200);
    expect(values(ladder, 'PTR')).toMatchObject({ 'Termination-Cause': 4 });
    expect(closed(ladder)).toEqual(['terminated-by-paa']);
    expect(paaClosed(ladder)).toMatchObject([{ cause: 'administrative', granted: true }]);
  });

  it('by both at once', () => {
    const ladder = started().run(100);
    ladder.toPac({ type: 'terminate' });
    ladder.toSession({ type: 'terminate', cause: 4 });
    ladder.run(5_000);
    expect(ladder.pac.state).toBe('CLOSED');
    expect(ladder.paa.size).toBe(0);
  });

  it('by its lifetime, on the second', () => {
    const ladder = started({ grant: { ...HOME, lifetime: 10_000 } }).run(100);
    const { at = 0 } = ladder.lines.find(({ name }) => name === 'PAN[C]') ?? {};
    expect(ladder.pac.deadline).toBe(at + 10_000);
    ladder.run(at + 9_999);
    expect(ladder.pac.state).toBe('OPEN');
    ladder.run(at + 10_001);
    expect(closed(ladder)).toEqual(['lifetime-expired']);
    expect(paaClosed(ladder)).toMatchObject([{ cause: 'lifetime-expired' }]);
  });
});

describe('an open session', () => {
  it.each(['pac', 'paa'] as const)('answers a ping of the other end: %s asks', (side) => {
    const ladder = started().run(100);
    if (side === 'pac') ladder.toPac({ type: 'ping' });
    else ladder.toSession({ type: 'ping' });
    ladder.run(200);
    expect(ladder.names.slice(-2)).toEqual(['PNR[P]', 'PNA[P]']);
    expect(ladder.pac.state).toBe('OPEN');
  });

  it.each(['pac', 'paa'] as const)('re-authenticates with the old key until PAR[C]: %s asks', (side) => {
    const ladder = started().run(100);
    const before = ladder.lines.length;
    if (side === 'pac') ladder.toPac({ type: 'reauthenticate' });
    else ladder.toSession({ type: 'reauthenticate' });
    ladder.run(200);
    const run = ['PAR', 'PAN', 'PAR', 'PAN', 'PAR[C]', 'PAN[C]'];
    expect(ladder.names.slice(before)).toEqual(side === 'pac' ? ['PNR[A]', 'PNA[A]', ...run] : run);
    expect(ladder.pacEvents.filter((event) => event.type === 'authorized')).toMatchObject([
      { reauthentication: false },
      { reauthentication: true },
    ]);
    const authOf = (nth: number) => toHex(readValues(ladder, nth).AUTH ?? new Uint8Array(0));
    expect(new Set(ladder.lines.slice(before).map(({ nth }) => authOf(nth))).size).toBe(ladder.lines.length - before);
  });

  it('survives when both ends re-authenticate at once', () => {
    const ladder = started().run(100);
    ladder.toPac({ type: 'reauthenticate' });
    ladder.toSession({ type: 'reauthenticate' });
    ladder.run(20_000);
    expect(ladder.pac.state).toBe('OPEN');
    expect([...ladder.paa.list(ladder.now)]).toMatchObject([{ state: 'OPEN' }]);
  });

  it('is replaced when the node starts anew from the same place', () => {
    const ladder = started().run(100);
    const pci = ladder.lines[0]?.octets ?? new Uint8Array(0);
    ladder.inject('paa', pci);
    const offer = ladder.lines.at(-1);
    expect(offer?.name).toBe('PAR[S]');
    expect(offer?.message.sessionId).not.toBe(ladder.lines[1]?.message.sessionId);
  });

  it('moves with a protected message from a new address', () => {
    const ladder = started().run(100);
    ladder.from = { ...ladder.from, address: '2001:db8:b::22', port: 50_001 };
    ladder.toPac({ type: 'ping' });
    ladder.run(200);
    expect(ladder.paaEvents.find((output) => output.type === 'moved')).toMatchObject({ peer: ladder.from });
    expect([...ladder.paa.list(200)]).toMatchObject([{ peer: ladder.from, state: 'OPEN' }]);
  });
});

function readValues(ladder: Ladder, nth: number) {
  const line = ladder.lines[nth];
  const read = line && readPana(line.message);
  if (read === undefined || typeof read === 'string') throw new Error(`message ${nth}: ${read}`);
  return read;
}

describe('an offer', () => {
  it('is plain each third time, for a PaC that takes no AVP that it does not know', () => {
    // Another enterprise number makes our AVPs unknown ones, as they are to a strict peer.
    const ladder = started({
      pac: { vendorId: 99_999, mobility: undefined, pci: { irt: 2000, mrt: 2000, mrc: 0, mrd: 0 } },
    }).run(10_000);
    const dropped = ladder.pacEvents.filter((event) => event.type === 'dropped');
    expect(dropped).toEqual(Array(2).fill({ type: 'dropped', code: 'unknown-avp' }));
    expect(ladder.names.filter((name) => name === 'PCI')).toHaveLength(3);
    expect(ladder.pac.state).toBe('OPEN');
    expect(values(ladder, 'PAN[S]')['Mobility-Capability']).toBeUndefined();
  });

  it('that is plain does not cost a PaC of ours its mobility when the others were lost', () => {
    let offers = 0;
    const ladder = started({
      lose: ({ name }) => {
        if (name !== 'PAR[S]') return false;
        offers += 1;
        // Only plain ones come through, seven of them.
        return offers % 3 !== 0 && offers < 22;
      },
      pac: { pci: { irt: 500, mrt: 500, mrc: 0, mrd: 0 } },
    }).run(20_000);
    expect(ladder.pac.state).toBe('OPEN');
    expect(ladder.pacEvents).toContainEqual({ type: 'dropped', code: 'no-mobility' });
    expect(values(ladder, 'PAN[S]')['Mobility-Capability']).toBeDefined();
  });

  it('that is plain is taken from a PAA that has no other, after it was asked for twice again', () => {
    const ladder = started({ delay: 5, paa: { mobility: undefined } }).run(100);
    expect(ladder.names).toEqual(['PCI', 'PAR[S]', 'PCI', 'PAR[S]', ...BOOTSTRAP]);
  });

  it('that is plain is taken from a PAA that answers one PCI a second', () => {
    let last = Number.NEGATIVE_INFINITY;
    const ladder = started({
      paa: { mobility: undefined },
      lose: ({ name, at }) => {
        if (name !== 'PCI') return false;
        if (at < last + 1000) return true;
        last = at;
        return false;
      },
    }).run(8_000);
    expect(ladder.pac.state).toBe('OPEN');
  });

  it('that is plain and asked for by nobody is taken when no other comes, also once only', () => {
    const ladder = new Ladder({ paa: { mobility: undefined }, lose: ({ name, nth }) => name === 'PAR[S]' && nth > 0 });
    ladder.toPaa({ type: 'invite', peer: ladder.from });
    ladder.run(UNASKED_OFFER_WAIT - 1);
    expect(ladder.names).not.toContain('PAN[S]');
    ladder.run(UNASKED_OFFER_WAIT + 100);
    expect(ladder.pac.state).toBe('OPEN');
  });

  it('that is plain is not taken by a PaC that must have mobility', () => {
    const ladder = started({ paa: { mobility: undefined }, pac: { mobility: { mode: 'required', wish: 0x02d } } });
    ladder.run(60_000);
    expect(ladder.pac.state).toBe('INITIAL');
    expect(ladder.names).not.toContain('PAN[S]');
  });
});

describe('a session that the PAA begins', () => {
  const invited = (options: ConstructorParameters<typeof Ladder>[0] = {}) => {
    const ladder = new Ladder(options);
    ladder.toPaa({ type: 'invite', peer: ladder.from });
    return ladder;
  };

  it('has no PCI', () => {
    const ladder = invited({ delay: 5 }).run(100);
    expect(ladder.names).toEqual(BOOTSTRAP.slice(1));
    expect(ladder.pac.state).toBe('OPEN');
    expect([...ladder.paa.list(100)]).toMatchObject([{ state: 'OPEN' }]);
  });

  it('sends its PAR[S] again until it is answered', () => {
    const ladder = invited({ lose: ({ nth }) => nth < 2 }).run(10_000);
    // The third is the plain one, which a PaC of ours leaves.
    expect(ladder.names.slice(0, 5)).toEqual(['PAR[S]', 'PAR[S]', 'PAR[S]', 'PAR[S]', 'PAN[S]']);
    const [first = 0, second = 0, third = 0] = ladder.lines.map(({ at }) => at);
    expect(second - first).toBeGreaterThanOrEqual(900);
    expect(third - second).toBeGreaterThanOrEqual(1700);
    expect(ladder.pac.state).toBe('OPEN');
  });

  it('is forgotten when nobody answers, and drops PCIs no longer', () => {
    const ladder = invited({ lose: ({ from }) => from === 'paa' });
    const pci = encodePana({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] });
    ladder.inject('paa', pci);
    expect(ladder.paaEvents).toMatchObject([{ type: 'dropped', code: 'unexpected' }]);
    ladder.run(400_000);
    expect(ladder.names).toEqual(Array(10).fill('PAR[S]'));
    expect(ladder.paaEvents.at(-1)).toMatchObject({ type: 'uninvited' });
    ladder.inject('paa', pci);
    expect(ladder.names).toHaveLength(11);
    expect(ladder.paa.deadline).toBeUndefined();
  });

  it('is asked for once', () => {
    const ladder = invited({ lose: () => true });
    ladder.toPaa({ type: 'invite', peer: ladder.from });
    expect(ladder.lines).toHaveLength(1);
  });
});

describe('a PaC that moves', () => {
  it.each(['OPEN', 'WAIT_PAA'])('is found at once in %s', (state) => {
    let away = false;
    const ladder = started({ lose: ({ from }) => away && from === 'paa' }).run(100);
    if (state === 'WAIT_PAA') {
      ladder.toSession({ type: 'reauthenticate' });
      ladder.run(101);
      away = true;
      ladder.run(103);
      expect(ladder.pac.state).toBe('WAIT_PAA');
    }
    // Whatever goes to where it was is lost.
    ladder.from = { ...ladder.from, port: 50_001 };
    away = false;
    ladder.toPac({ type: 'moved' });
    ladder.run(150);
    expect([...ladder.paa.list(150)]).toMatchObject([{ state: 'OPEN', peer: { port: 50_001 } }]);
    expect(ladder.pac.state).toBe('OPEN');
    expect(ladder.paaEvents.filter(({ type }) => type === 'moved')).toHaveLength(1);
  });

  it('is not moved back by an answer that was overtaken, nor by any repetition', () => {
    const ladder = started().run(100);
    const old = { ...ladder.from };
    ladder.toSession({ type: 'ping' });
    ladder.run(101);
    const answer = ladder.lines.findLast(({ name }) => name === 'PNA[P]') ?? { octets: new Uint8Array(0) };
    ladder.from = { ...ladder.from, port: 50_001 };
    ladder.toPac({ type: 'moved' });
    ladder.run(120);
    for (const { octets, from } of [...ladder.lines, answer].map((line) => ({ from: 'pac', ...line }))) {
      if (from === 'pac') ladder.inject('paa', octets.slice(), old);
    }
    expect([...ladder.paa.list(120)]).toMatchObject([{ peer: { port: 50_001 } }]);
  });

  it('has nothing to prove it with before it has a key', () => {
    const ladder = started({ lose: ({ name }) => name === 'PAR[C]' }).run(100);
    expect(ladder.pac.protected).toBe(false);
    const before = ladder.lines.length;
    ladder.toPac({ type: 'moved' });
    expect(ladder.lines).toHaveLength(before);
  });
});

describe('a stranger', () => {
  it('costs the PAA no state with PCI', () => {
    const ladder = new Ladder();
    const pci = encodePana({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] });
    for (let i = 0; i < 500; i += 1)
      ladder.inject('paa', pci, { ...ladder.from, address: `2001:db8::${i.toString(16)}` });
    expect(ladder.paa.size).toBe(0);
    expect(ladder.names.filter((name) => name === 'PAR[S]')).toHaveLength(500);
  });

  it('is answered ten times a second at most', () => {
    const ladder = new Ladder();
    const pci = encodePana({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] });
    for (let i = 0; i < 50; i += 1) ladder.inject('paa', pci);
    expect(ladder.lines).toHaveLength(10);
    expect(
      ladder.paaEvents.filter((output) => output.type === 'dropped' && output.code === 'pci-of-address'),
    ).toHaveLength(40);
  });

  it('cannot begin a session for another address', () => {
    const ladder = started().run(2);
    const panStart = ladder.lines.find(({ name }) => name === 'PAN[S]');
    const other = new Ladder();
    other.inject('paa', panStart?.octets ?? new Uint8Array(0), { ...ladder.from, address: '2001:db8:bad::1' });
    expect(other.paa.size).toBe(0);
    expect(other.paaEvents).toMatchObject([{ type: 'dropped', code: 'bad-start' }]);
  });

  it.each(BOOTSTRAP.map((_, nth) => nth))('changes nothing with message %i replayed at the end', (nth) => {
    const ladder = started().run(100);
    const line = ladder.lines[nth];
    if (!line) throw new Error('no such message');
    const stateBefore = [ladder.pac.state, [...ladder.paa.list(100)]];
    ladder.inject(line.from === 'pac' ? 'paa' : 'pac', line.octets.slice());
    ladder.run(100);
    expect([ladder.pac.state, [...ladder.paa.list(100)]]).toEqual(stateBefore);
  });

  it('changes nothing without AUTH, or with a wrong one', () => {
    const ladder = started().run(100);
    const sessionId = ladder.pac.sessionId ?? 0;
    const sequence = ((ladder.lines.at(-1)?.message.sequence ?? 0) + 1) >>> 0;
    const cause = makeAvp('Termination-Cause', 4);
    for (const avps of [
      [cause],
      [cause, makeAvp('AUTH', new Uint8Array(16))],
      [cause, makeAvp('AUTH', new Uint8Array(20))],
    ]) {
      ladder.inject('pac', encodePana({ type: MESSAGE_TYPE.TERMINATION, flags: FLAG.R, sessionId, sequence, avps }));
      ladder.inject('paa', encodePana({ type: MESSAGE_TYPE.TERMINATION, flags: FLAG.R, sessionId, sequence: 7, avps }));
    }
    expect(ladder.pac.state).toBe('OPEN');
    expect(ladder.paa.size).toBe(1);
    expect(ladder.pacEvents.filter((event) => event.type === 'dropped')).toEqual(
      Array(3).fill({ type: 'dropped', code: 'auth' }),
    );
  });

  it('cannot strip the algorithms from the offer', () => {
    const ladder = started({ lose: ({ from }) => from === 'paa' }).run(10);
    const offer = ladder.lines.find(({ name }) => name === 'PAR[S]');
    if (!offer) throw new Error('no offer');
    ladder.inject('pac', encodePana({ ...offer.message, avps: [] }));
    expect(ladder.pacEvents).toContainEqual({ type: 'dropped', code: 'no-algorithm' });
    expect(ladder.names).not.toContain('PAN[S]');
  });
});

describe('a message against its grammar', () => {
  const message = { type: MESSAGE_TYPE.AUTH, flags: FLAG.R, sessionId: 1, sequence: 1 };
  const auth = makeAvp('AUTH', new Uint8Array(16));
  it.each([
    ['avp-position', { ...message, avps: [auth, makeAvp('Key-Id', 1)] }],
    ['avp-repeated', { ...message, avps: [makeAvp('Key-Id', 1), makeAvp('Key-Id', 1)] }],
    ['avp-value', { ...message, avps: [makeAvp('Nonce', new Uint8Array(7))] }],
    ['avp-value', { ...message, avps: [makeAvp('Nonce', new Uint8Array(257))] }],
    ['avp-value', { ...message, avps: [{ ...makeAvp('Key-Id', 1), value: new Uint8Array(3) }] }],
    ['avp-not-allowed', { ...message, avps: [makeAvp('Termination-Cause', 1)] }],
    ['unknown-avp', { ...message, avps: [{ code: 99, flags: 0, vendorId: undefined, value: new Uint8Array(0) }] }],
    ['unknown-avp', { ...message, avps: [makeAvp('Mobility-Capability', 1, 4711)] }],
    ['bad-flags', { ...message, flags: FLAG.R | FLAG.S | FLAG.C, avps: [] }],
    ['bad-flags', { ...message, type: MESSAGE_TYPE.NOTIFICATION, avps: [] }],
    ['bad-flags', { ...message, type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.R | FLAG.A | FLAG.P, avps: [] }],
    ['avp-missing', { ...message, type: MESSAGE_TYPE.TERMINATION, avps: [auth] }],
    ['unknown-type', { ...message, type: 77, avps: [] }],
  ] as const)('%s', (violation, bad) => {
    expect(readPana(bad)).toBe(violation);
  });
});
