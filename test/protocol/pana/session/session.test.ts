// Long, because it follows a session through all of its phases (RFC 5191 4).

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

describe('a successful authentication and authorization phase', () => {
  it('exchanges PCI, PAR[S]/PAN[S], two PAR/PAN and PAR[C]/PAN[C], each after one link delay', () => {
    const ladder = started({ delay: 5 }).run(100);
    expect(ladder.lines.map(({ at, name }) => [at, name])).toEqual(BOOTSTRAP.map((name, i) => [i * 5, name]));
    expect(ladder.pac.state).toBe('OPEN');
    expect([...ladder.paa.list(100)]).toMatchObject([{ state: 'OPEN' }]);
  });

  it('passes the assignment of the AAA server to the PaC', () => {
    const ladder = started().run(100);
    const authorized = ladder.pacEvents.find((event) => event.type === 'authorized');
    expect(authorized).toMatchObject({ reauthentication: false, lifetime: 3_600_000, assignment: HOME.assignment });
  });

  it('selects SHA-256 when both ends support it', () => {
    const start = values(started().run(100), 'PAN[S]');
    expect([start['PRF-Algorithm'], start['Integrity-Algorithm']]).toEqual([[5], [12]]);
  });

  it.each([
    { side: 'PAA', options: { paa: { prf: [2], integrity: [7] } } },
    { side: 'PaC', options: { pac: { prf: [2], integrity: [7] } } },
  ])('succeeds with a $side that supports only SHA-1', ({ options }) => {
    const ladder = started(options).run(100);
    expect(ladder.names).toEqual(BOOTSTRAP);
    expect(values(ladder, 'PAR[C]').AUTH).toHaveLength(20);
  });

  it.each([
    { side: 'PaC', options: { pac: { mobility: undefined } } },
    { side: 'PAA', options: { paa: { mobility: undefined } } },
  ])('succeeds without an assignment when mobility is off at the $side', ({ options }) => {
    const ladder = started(options).run(100);
    expect(ladder.pacEvents.find((event) => event.type === 'authorized')).toMatchObject({ assignment: undefined });
    // Without mobility the capability may only contain ECHO.
    expect((values(ladder, 'PAN[S]')['Mobility-Capability'] ?? 0) & ~CAPABILITY.ECHO).toBe(0);
    expect(values(ladder, 'PAR[C]')['MIP6-Home-Agent-Address']).toBeUndefined();
  });

  it('succeeds when the PaC does not piggyback EAP responses', () => {
    const ladder = started({ pac: { piggyback: false } }).run(100);
    expect(ladder.pac.state).toBe('OPEN');
    expect(ladder.lines.filter(({ from, name }) => from === 'pac' && name === 'PAR')).toHaveLength(2);
  });

  it('has a Nonce in the first PAR and PAN after PAR[S]/PAN[S] and in no other message', () => {
    const ladder = started({ rounds: 3 }).run(100);
    const withNonce = ladder.lines.flatMap(({ message, nth }) => {
      const read = readPana(message);
      return typeof read !== 'string' && read.Nonce ? [nth] : [];
    });
    expect(withNonce).toEqual([3, 4]);
  });
});

describe('retransmission', () => {
  it.each(BOOTSTRAP.map((name, nth) => ({ name, nth })))(
    'recovers from the loss of $name (message $nth) within 5 s, with at most four more messages',
    ({ nth }) => {
      const ladder = started({ lose: (line) => line.nth === nth }).run(5_000);
      expect(ladder.pac.state).toBe('OPEN');
      expect([...ladder.paa.list(ladder.now)]).toMatchObject([{ state: 'OPEN' }]);
      expect(ladder.lines.length).toBeLessThanOrEqual(BOOTSTRAP.length + 4);
    },
  );

  it('sends PCI again after IRT and then doubles the interval, with a random part of at most 10 %', () => {
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

  it('ends the session at the PAA after ten unanswered PARs', () => {
    const ladder = started({
      lose: ({ from, nth }) => from === 'pac' && nth > 3,
      paa: { failedSessionTimeout: 600_000 },
    });
    ladder.run(400_000);
    expect(paaClosed(ladder)).toMatchObject([{ cause: 'no-answer', granted: false }]);
    expect(ladder.lines.filter(({ name, from }) => from === 'paa' && name === 'PAR')).toHaveLength(10);
  });

  it('ends a granted session at the PAA when no PAN[C] arrives', () => {
    const ladder = started({ lose: ({ name }) => name === 'PAN[C]' }).run(400_000);
    expect(paaClosed(ladder)).toMatchObject([{ cause: 'no-answer', granted: true }]);
  });
});

describe('a failed authentication or authorization', () => {
  it.each([
    { verdict: 'reject', code: 1 },
    { verdict: 'reject-without-packet', code: 1 },
    { verdict: 'not-authorized', code: 2 },
  ] as const)(
    'sends Result-Code $code in PAR[C] and authorizes nothing when the verdict is $verdict',
    ({ verdict, code }) => {
      const ladder = started({ verdict }).run(5_000);
      expect(values(ladder, 'PAR[C]')['Result-Code']).toBe(code);
      expect(ladder.pacEvents.some((event) => event.type === 'authorized')).toBe(false);
    },
  );

  it('closes both ends when authorization is refused', () => {
    const ladder = started({ verdict: 'not-authorized' }).run(5_000);
    expect(closed(ladder)).toEqual(['authorization-rejected']);
    expect(paaClosed(ladder)).toMatchObject([{ cause: 'rejected', granted: false }]);
  });

  it('drops a failure without AUTH once the PaC has a key, and closes the session for lack of progress', () => {
    const ladder = started({ verdict: 'reject' }).run(4_900);
    expect(ladder.pacEvents).toContainEqual({ type: 'dropped', code: 'auth' });
    expect(closed(ladder)).toEqual([]);
    // The AAA server may have failed just before its answer: the PaC does not wait for the full FAILED_SESS_TIMEOUT.
    ladder.run(5_200);
    expect(closed(ladder)).toEqual(['no-progress']);
  });

  it('closes both ends for lack of progress when the AAA server does not answer', () => {
    const ladder = started({ verdict: 'silent' }).run(70_000);
    expect(closed(ladder)).toEqual(['no-progress']);
    expect(paaClosed(ladder)).toMatchObject([{ cause: 'no-progress' }]);
    expect(ladder.paa.size).toBe(0);
  });
});

describe('the end of a session', () => {
  it('sends PTR with LOGOUT when the PaC terminates, and closes both ends', () => {
    const ladder = started().run(100);
    ladder.toPac({ type: 'terminate' });
    ladder.run(200);
    expect(ladder.names.slice(-2)).toEqual(['PTR', 'PTA']);
    expect(values(ladder, 'PTR')).toMatchObject({ 'Termination-Cause': 1 });
    expect(closed(ladder)).toEqual(['terminated']);
    expect(paaClosed(ladder)).toMatchObject([{ cause: 'logout', granted: true }]);
    expect(ladder.paa.size).toBe(0);
  });

  it('sends PTR with the given Termination-Cause when the PAA terminates, and closes both ends', () => {
    const ladder = started().run(100);
    ladder.toSession({ type: 'terminate', cause: 4 });
    ladder.run(200);
    expect(values(ladder, 'PTR')).toMatchObject({ 'Termination-Cause': 4 });
    expect(closed(ladder)).toEqual(['terminated-by-paa']);
    expect(paaClosed(ladder)).toMatchObject([{ cause: 'administrative', granted: true }]);
  });

  it('closes both ends when both terminate at the same time', () => {
    const ladder = started().run(100);
    ladder.toPac({ type: 'terminate' });
    ladder.toSession({ type: 'terminate', cause: 4 });
    ladder.run(5_000);
    expect(ladder.pac.state).toBe('CLOSED');
    expect(ladder.paa.size).toBe(0);
  });

  it('closes both ends exactly when the session lifetime has passed', () => {
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
  it.each(['pac', 'paa'] as const)('answers PNR[P] with PNA[P] when the sender is the %s', (side) => {
    const ladder = started().run(100);
    if (side === 'pac') ladder.toPac({ type: 'ping' });
    else ladder.toSession({ type: 'ping' });
    ladder.run(200);
    expect(ladder.names.slice(-2)).toEqual(['PNR[P]', 'PNA[P]']);
    expect(ladder.pac.state).toBe('OPEN');
  });

  it.each(['pac', 'paa'] as const)(
    're-authenticates, with a different AUTH on every message, when it is started by the %s',
    (side) => {
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
    },
  );

  it('stays open when both ends re-authenticate at the same time', () => {
    const ladder = started().run(100);
    ladder.toPac({ type: 'reauthenticate' });
    ladder.toSession({ type: 'reauthenticate' });
    ladder.run(20_000);
    expect(ladder.pac.state).toBe('OPEN');
    expect([...ladder.paa.list(ladder.now)]).toMatchObject([{ state: 'OPEN' }]);
  });

  it('does not stop the PAA from offering a new session for a PCI from the same address', () => {
    const ladder = started().run(100);
    const pci = ladder.lines[0]?.octets ?? new Uint8Array(0);
    ladder.inject('paa', pci);
    const offer = ladder.lines.at(-1);
    expect(offer?.name).toBe('PAR[S]');
    expect(offer?.message.sessionId).not.toBe(ladder.lines[1]?.message.sessionId);
  });

  it('moves to the source address of a protected message', () => {
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

describe('the PAR[S] offer', () => {
  it('carries only algorithms on every third transmission, for a PaC that rejects unknown AVPs', () => {
    // With another enterprise number the mobility AVPs are unknown, as they are to a strict third-party PaC.
    const ladder = started({
      pac: { vendorId: 99_999, mobility: undefined, pci: { irt: 2000, mrt: 2000, mrc: 0, mrd: 0 } },
    }).run(10_000);
    const dropped = ladder.pacEvents.filter((event) => event.type === 'dropped');
    expect(dropped).toEqual(Array(2).fill({ type: 'dropped', code: 'unknown-avp' }));
    expect(ladder.names.filter((name) => name === 'PCI')).toHaveLength(3);
    expect(ladder.pac.state).toBe('OPEN');
    expect(values(ladder, 'PAN[S]')['Mobility-Capability']).toBeUndefined();
  });

  it('without mobility AVPs is dropped by a PaC that wants mobility, until the complete offer arrives', () => {
    let offers = 0;
    const ladder = started({
      lose: ({ name }) => {
        if (name !== 'PAR[S]') return false;
        offers += 1;
        // Of the first 21 offers only the seven without mobility AVPs arrive.
        return offers % 3 !== 0 && offers < 22;
      },
      pac: { pci: { irt: 500, mrt: 500, mrc: 0, mrd: 0 } },
    }).run(20_000);
    expect(ladder.pac.state).toBe('OPEN');
    expect(ladder.pacEvents).toContainEqual({ type: 'dropped', code: 'no-mobility' });
    expect(values(ladder, 'PAN[S]')['Mobility-Capability']).toBeDefined();
  });

  it('without mobility AVPs is accepted after the PaC has asked twice more', () => {
    const ladder = started({ delay: 5, paa: { mobility: undefined } }).run(100);
    expect(ladder.names).toEqual(['PCI', 'PAR[S]', 'PCI', 'PAR[S]', ...BOOTSTRAP]);
  });

  it('without mobility AVPs is accepted from a PAA that answers one PCI a second', () => {
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

  it('without mobility AVPs is accepted after UNASKED_OFFER_WAIT when the PaC has not sent PCI', () => {
    const ladder = new Ladder({ paa: { mobility: undefined }, lose: ({ name, nth }) => name === 'PAR[S]' && nth > 0 });
    ladder.toPaa({ type: 'invite', peer: ladder.from });
    ladder.run(UNASKED_OFFER_WAIT - 1);
    expect(ladder.names).not.toContain('PAN[S]');
    ladder.run(UNASKED_OFFER_WAIT + 100);
    expect(ladder.pac.state).toBe('OPEN');
  });

  it('without mobility AVPs is not accepted by a PaC that requires mobility', () => {
    const ladder = started({ paa: { mobility: undefined }, pac: { mobility: { mode: 'required', wish: 0x02d } } });
    ladder.run(60_000);
    expect(ladder.pac.state).toBe('INITIAL');
    expect(ladder.names).not.toContain('PAN[S]');
  });
});

describe('a session started by the PAA', () => {
  const invited = (options: ConstructorParameters<typeof Ladder>[0] = {}) => {
    const ladder = new Ladder(options);
    ladder.toPaa({ type: 'invite', peer: ladder.from });
    return ladder;
  };

  it('starts with PAR[S] without a PCI', () => {
    const ladder = invited({ delay: 5 }).run(100);
    expect(ladder.names).toEqual(BOOTSTRAP.slice(1));
    expect(ladder.pac.state).toBe('OPEN');
    expect([...ladder.paa.list(100)]).toMatchObject([{ state: 'OPEN' }]);
  });

  it('retransmits PAR[S] until the PaC answers', () => {
    const ladder = invited({ lose: ({ nth }) => nth < 2 }).run(10_000);
    // The third has no mobility AVPs, so this PaC does not accept it.
    expect(ladder.names.slice(0, 5)).toEqual(['PAR[S]', 'PAR[S]', 'PAR[S]', 'PAR[S]', 'PAN[S]']);
    const [first = 0, second = 0, third = 0] = ladder.lines.map(({ at }) => at);
    expect(second - first).toBeGreaterThanOrEqual(900);
    expect(third - second).toBeGreaterThanOrEqual(1700);
    expect(ladder.pac.state).toBe('OPEN');
  });

  it('is forgotten after ten unanswered PAR[S]; the PAA drops PCIs until then and answers them afterwards', () => {
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

  it('sends one PAR[S] when it is requested twice', () => {
    const ladder = invited({ lose: () => true });
    ladder.toPaa({ type: 'invite', peer: ladder.from });
    expect(ladder.lines).toHaveLength(1);
  });
});

describe('a PaC that changes its address', () => {
  it.each(['OPEN', 'WAIT_PAA'])('is reached at the new address at once in %s', (state) => {
    let away = false;
    const ladder = started({ lose: ({ from }) => away && from === 'paa' }).run(100);
    if (state === 'WAIT_PAA') {
      ladder.toSession({ type: 'reauthenticate' });
      ladder.run(101);
      away = true;
      ladder.run(103);
      expect(ladder.pac.state).toBe('WAIT_PAA');
    }
    // Messages to the old address are lost.
    ladder.from = { ...ladder.from, port: 50_001 };
    away = false;
    ladder.toPac({ type: 'moved' });
    ladder.run(150);
    expect([...ladder.paa.list(150)]).toMatchObject([{ state: 'OPEN', peer: { port: 50_001 } }]);
    expect(ladder.pac.state).toBe('OPEN');
    expect(ladder.paaEvents.filter(({ type }) => type === 'moved')).toHaveLength(1);
  });

  it('is not moved back by a delayed answer or by repeated messages from the old address', () => {
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

  it('sends nothing at the move before it has a key', () => {
    const ladder = started({ lose: ({ name }) => name === 'PAR[C]' }).run(100);
    expect(ladder.pac.protected).toBe(false);
    const before = ladder.lines.length;
    ladder.toPac({ type: 'moved' });
    expect(ladder.lines).toHaveLength(before);
  });
});

describe('unauthenticated messages', () => {
  it('create no state at the PAA when they are PCIs', () => {
    const ladder = new Ladder();
    const pci = encodePana({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] });
    for (let i = 0; i < 500; i += 1)
      ladder.inject('paa', pci, { ...ladder.from, address: `2001:db8::${i.toString(16)}` });
    expect(ladder.paa.size).toBe(0);
    expect(ladder.names.filter((name) => name === 'PAR[S]')).toHaveLength(500);
  });

  it('get at most ten PAR[S] a second per address', () => {
    const ladder = new Ladder();
    const pci = encodePana({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] });
    for (let i = 0; i < 50; i += 1) ladder.inject('paa', pci);
    expect(ladder.lines).toHaveLength(10);
    expect(
      ladder.paaEvents.filter((output) => output.type === 'dropped' && output.code === 'pci-of-address'),
    ).toHaveLength(40);
  });

  it('cannot start a session for another address with a recorded PAN[S]', () => {
    const ladder = started().run(2);
    const panStart = ladder.lines.find(({ name }) => name === 'PAN[S]');
    const other = new Ladder();
    other.inject('paa', panStart?.octets ?? new Uint8Array(0), { ...ladder.from, address: '2001:db8:bad::1' });
    expect(other.paa.size).toBe(0);
    expect(other.paaEvents).toMatchObject([{ type: 'dropped', code: 'bad-start' }]);
  });

  it.each(BOOTSTRAP.map((_, nth) => nth))('change no state when message %i of the bootstrap is replayed', (nth) => {
    const ladder = started().run(100);
    const line = ladder.lines[nth];
    if (!line) throw new Error('no such message');
    const stateBefore = [ladder.pac.state, [...ladder.paa.list(100)]];
    ladder.inject(line.from === 'pac' ? 'paa' : 'pac', line.octets.slice());
    ladder.run(100);
    expect([ladder.pac.state, [...ladder.paa.list(100)]]).toEqual(stateBefore);
  });

  it('change no state when AUTH is missing or wrong', () => {
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

  it('cannot remove the algorithms from PAR[S]', () => {
    const ladder = started({ lose: ({ from }) => from === 'paa' }).run(10);
    const offer = ladder.lines.find(({ name }) => name === 'PAR[S]');
    if (!offer) throw new Error('no offer');
    ladder.inject('pac', encodePana({ ...offer.message, avps: [] }));
    expect(ladder.pacEvents).toContainEqual({
      type: 'dropped',
      code: 'no-algorithm',
      offered: { prf: [], integrity: [], encryption: [] },
    });
    expect(ladder.names).not.toContain('PAN[S]');
  });
});

describe('readPana', () => {
  const message = { type: MESSAGE_TYPE.AUTH, flags: FLAG.R, sessionId: 1, sequence: 1 };
  const auth = makeAvp('AUTH', new Uint8Array(16));
  it.each([
    ['avp-position', 'AUTH before another AVP', { ...message, avps: [auth, makeAvp('Key-Id', 1)] }],
    ['avp-repeated', 'two Key-Ids', { ...message, avps: [makeAvp('Key-Id', 1), makeAvp('Key-Id', 1)] }],
    ['avp-value', 'a Nonce of 7 octets', { ...message, avps: [makeAvp('Nonce', new Uint8Array(7))] }],
    ['avp-value', 'a Nonce of 257 octets', { ...message, avps: [makeAvp('Nonce', new Uint8Array(257))] }],
    [
      'avp-value',
      'a Key-Id of 3 octets',
      { ...message, avps: [{ ...makeAvp('Key-Id', 1), value: new Uint8Array(3) }] },
    ],
    ['avp-not-allowed', 'Termination-Cause in PAR', { ...message, avps: [makeAvp('Termination-Cause', 1)] }],
    [
      'unknown-avp',
      'an unknown AVP',
      { ...message, avps: [{ code: 99, flags: 0, vendorId: undefined, value: new Uint8Array(0) }] },
    ],
    ['unknown-avp', 'an AVP of another vendor', { ...message, avps: [makeAvp('Mobility-Capability', 1, 4711)] }],
    ['bad-flags', 'PAR with S and C', { ...message, flags: FLAG.R | FLAG.S | FLAG.C, avps: [] }],
    ['bad-flags', 'PNR without A and P', { ...message, type: MESSAGE_TYPE.NOTIFICATION, avps: [] }],
    [
      'bad-flags',
      'PNR with A and P',
      { ...message, type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.R | FLAG.A | FLAG.P, avps: [] },
    ],
    ['avp-missing', 'PTR without Termination-Cause', { ...message, type: MESSAGE_TYPE.TERMINATION, avps: [auth] }],
    ['unknown-type', 'message type 77', { ...message, type: 77, avps: [] }],
  ] as const)('reports %s for %s', (violation, _what, bad) => {
    expect(readPana(bad)).toBe(violation);
  });
});
