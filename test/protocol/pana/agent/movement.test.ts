import { describe, expect, it } from 'vitest';
import { CAPABILITY } from '../../../../src/protocol/mip6/assignment.js';
import { STALLED_AFTER } from '../../../../src/protocol/pana/agent/half-open.js';
import { MOVE_INTERVAL, PROOF_TIMEOUT } from '../../../../src/protocol/pana/agent/pac-location.js';
import { FLAG } from '../../../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../../../src/protocol/pana/wire/dictionary.js';
import { EAP, ForeignPac, PAN, PNA, PNR, PTR } from '../wire/foreign.js';

const ALGORITHMS = [makeAvp('PRF-Algorithm', 5), makeAvp('Integrity-Algorithm', 12)];
const OFFER = { mobility: CAPABILITY.MIP6 | CAPABILITY.HOME_HA | CAPABILITY.ECHO };
const A = '2001:db8:a::a';
const B = '2001:db8:a::b';
const C = '2001:db8:a::c';

/** A PaC that is in, from this address; `echoes` as ours does. */
function pacAt(address: string, echoes: boolean, beside?: ForeignPac): ForeignPac {
  const pac = new ForeignPac(OFFER, beside?.paa);
  pac.now = beside?.now ?? 0;
  pac.from = { ...pac.from, address };
  const said = echoes ? [makeAvp('Mobility-Capability', CAPABILITY.ECHO)] : [];
  pac
    .start([...ALGORITHMS, ...said])
    .eapRequest()
    .respond(true)
    .success()
    .complete();
  pac.take();
  return pac;
}

function goTo(pac: ForeignPac, address: string): void {
  pac.from = { ...pac.from, address };
}

/** Where the PAA believes the PaC to be. */
function placeOf(pac: ForeignPac): string | undefined {
  return [...pac.paa.list(pac.now)].find(({ sessionId }) => sessionId === pac.sessionId)?.peer.address;
}

/** PNR[P] from wherever it is. */
function ping(pac: ForeignPac): string[] {
  pac.request(PNR, FLAG.P);
  return pac.take();
}

/** Sends the Echo of the last request back. */
function sendBack(pac: ForeignPac): string[] {
  const echo = pac.last.values.Echo;
  pac.answer(PNA, FLAG.P, echo ? [makeAvp('Echo', echo)] : []);
  return pac.take();
}

describe('an address that a protected message came from', () => {
  it('is believed when the Echo that was sent to it has come back, not before', () => {
    const pac = pacAt(A, true);
    goTo(pac, B);
    // PNA[P] to the request, and a request of the PAA's own.
    expect(ping(pac)).toEqual(['PNA[P]', 'PNR[P]']);
    expect(placeOf(pac)).toBe(A);
    expect(pac.last.values.Echo).toHaveLength(16);
    // What its key alone can make proves nothing: the numbers are no secret.
    const asked = pac.last;
    for (const echo of [[], [makeAvp('Echo', new Uint8Array(16))]]) {
      pac.answer(PNA, FLAG.P, echo, asked);
      expect(pac.take()).toEqual(['dropped echo']);
    }
    expect(placeOf(pac)).toBe(A);
    expect(sendBack(pac)).toEqual(['moved']);
    expect(placeOf(pac)).toBe(B);
  });

  it('is asked with something new each time', () => {
    const pac = pacAt(A, true);
    const echoes = new Set<string>();
    for (const address of [B, A, C]) {
      pac.run(pac.now + MOVE_INTERVAL);
      goTo(pac, address);
      ping(pac);
      echoes.add(String(pac.last.values.Echo));
      sendBack(pac);
    }
    expect(echoes.size).toBe(3);
  });

  it('that does not answer costs the session nothing: its requests go back to where it was', () => {
    const pac = pacAt(A, true);
    goTo(pac, B);
    ping(pac);
    goTo(pac, A);
    pac.run(PROOF_TIMEOUT);
    // The same request, but what it asks for proves only that somebody is where it was.
    expect(sendBack(pac)).not.toContain('moved');
    expect(placeOf(pac)).toBe(A);
    expect(pac.state).toBe('OPEN');
    ping(pac);
    pac.run(3_000_000);
    expect(placeOf(pac)).toBe(A);
  });

  it('is not taken for left by an answer from where the PaC was before, which was on its way', () => {
    const pac = pacAt(A, true);
    goTo(pac, B);
    ping(pac);
    const asked = pac.last;
    pac.now += MOVE_INTERVAL;
    goTo(pac, C);
    // To its next place: the answer to the PaC, and once more what it was asked at B.
    expect(ping(pac)).toEqual(['PNA[P]', 'PNR[P]']);
    goTo(pac, B);
    pac.now += 1;
    const echo = asked.values.Echo ?? new Uint8Array(0);
    pac.answer(PNA, FLAG.P, [makeAvp('Echo', echo)], asked);
    pac.run(pac.now + MOVE_INTERVAL);
    pac.take();
    goTo(pac, C);
    expect(sendBack(pac)).toEqual(['moved']);
    expect(placeOf(pac)).toBe(C);
  });

  it('proves itself by a run of EAP where the PaC sends no Echo', () => {
    const pac = pacAt(A, false);
    goTo(pac, B);
    expect(ping(pac)).toEqual(['PNA[P]', 'eapStart']);
    pac.eapRequest().respond(true);
    expect(placeOf(pac)).toBe(A);
    pac.msk = new Uint8Array(64).fill(0x33);
    pac.success();
    expect(placeOf(pac)).toBe(A);
    expect(pac.complete().take()).toEqual(['PAR', 'PAR[C]', 'eapPacket', 'moved', 'authorized']);
    expect(placeOf(pac)).toBe(B);
  });

  it('is not proven by a run that began somewhere else', () => {
    const pac = pacAt(A, false).session({ type: 'reauthenticate' }).eapRequest();
    goTo(pac, B);
    pac.respond(true);
    pac.msk = new Uint8Array(64).fill(0x33);
    pac.success().complete();
    // The next one goes there from its beginning.
    expect(pac.take().slice(-2)).toEqual(['authorized', 'eapStart']);
    expect(placeOf(pac)).toBe(A);
    pac.eapRequest().respond(true);
    pac.msk = new Uint8Array(64).fill(0x44);
    pac.success().complete();
    expect(placeOf(pac)).toBe(B);
  });

  it('moves a session once in a second at most, and to the place heard from last', () => {
    const pac = pacAt(A, true);
    let moves = 0;
    // 20 s of pings each ten milliseconds, from two addresses in turn that are its own.
    for (let n = 0; n < 2_000; n += 1) {
      pac.run(10 * n);
      goTo(pac, n % 60 < 30 ? B : C);
      ping(pac);
      const asked = pac.sent.findLast(({ name }) => name === 'PNR[P]');
      if (!asked) continue;
      pac.answer(PNA, FLAG.P, [makeAvp('Echo', asked.values.Echo ?? new Uint8Array(0))], asked);
      moves += pac.take().filter((said) => said === 'moved').length;
    }
    expect(moves).toBeGreaterThan(2);
    expect(moves).toBeLessThanOrEqual(21);
  });
});

describe('an address that another session holds', () => {
  it('is taken by no message of another PaC, whose end ends its own session alone', () => {
    const victim = pacAt(A, true);
    const attacker = pacAt(B, true, victim);
    goTo(attacker, A);
    // The holder is asked whether it is there.
    expect(ping(attacker)).toEqual(['PNA[P]', 'PNR[P]', 'dropped address-held']);
    expect(attacker.last.message.sessionId).toBe(victim.sessionId);
    expect(placeOf(attacker)).toBe(B);
    victim.answer(PNA, FLAG.P, [], attacker.last);
    attacker.request(PTR, 0, [makeAvp('Termination-Cause', 1)]);
    expect(attacker.said).toMatchObject([
      { type: 'session', sessionId: attacker.sessionId, peer: { address: B }, event: { type: 'closed' } },
    ]);
    expect([...victim.paa.list(0)]).toMatchObject([{ sessionId: victim.sessionId, peer: { address: A } }]);
  });

  it('is free when its holder has not answered its own ping', () => {
    const gone = pacAt(A, true);
    const pac = pacAt(B, true, gone);
    goTo(pac, A);
    ping(pac);
    let tries = 0;
    for (let now = 1_000; now <= 250_000 && placeOf(pac) !== A; now += 1_000) {
      pac.run(now);
      const { last } = pac;
      if (last.message.sessionId !== pac.sessionId || last.name !== 'PNR[P]') continue;
      tries += 1;
      expect([...pac.paa.list(pac.now)]).toHaveLength(1);
      sendBack(pac);
    }
    expect(tries).toBe(1);
    expect(placeOf(pac)).toBe(A);
  });

  it('may be left for another port', () => {
    const pac = pacAt(A, true);
    pac.from = { ...pac.from, port: pac.from.port + 1 };
    expect(ping(pac)).toEqual(['PNA[P]', 'PNR[P]']);
    expect(sendBack(pac)).toEqual(['moved']);
  });
});

describe('half-open sessions', () => {
  it('are as many as there are, also of PaCs that moved before PAN[C]', () => {
    const pac = new ForeignPac(OFFER);
    for (let n = 0; n < 12; n += 1) {
      pac.now = 1_000 * n;
      pac.key = undefined;
      pac.from = { ...pac.from, address: A, port: 40_000 + n };
      pac
        .start([...ALGORITHMS, makeAvp('Mobility-Capability', CAPABILITY.ECHO)])
        .eapRequest()
        .respond(true)
        .success();
      const complete = pac.last;
      expect(complete.name).toBe('PAR[C]');
      goTo(pac, B);
      pac.key = pac.keyed();
      ping(pac);
      pac.answer(PAN, FLAG.C, [makeAvp('Key-Id', complete.values['Key-Id'] ?? 0)], complete);
      expect(pac.paa.halfOpen).toBe(0);
      expect(pac.paa.size).toBe(1);
      pac.request(PTR, 0, [makeAvp('Termination-Cause', 1)]);
      expect(pac.paa.size).toBe(0);
    }
  });

  it('of one network that never answered give way to newer ones of any network; those that answered stay', () => {
    const limits = { pciPerAddress: 1000, pciPerNetwork: 100_000, pciInAll: 100_000, sessions: 1000 };
    const first = new ForeignPac({
      limits: { ...limits, halfOpenPerAddress: 4, halfOpenPerNetwork: 20, halfOpen: 30 },
    });
    const start = (address: string, port: number) => {
      const pac = new ForeignPac({}, first.paa);
      pac.from = { ...pac.from, address, port };
      pac.start();
      return pac;
    };
    const honest = start('2001:db8:66::1', 716).eapRequest().respond(true);
    honest.take();
    // 1,000 valid starts of as many addresses in its /64, which answer no PAR.
    let dropped = 0;
    for (let n = 2; n < 1_002; n += 1) {
      const pac = start(`2001:db8:66::${n.toString(16)}`, 716);
      pac.eapRequest();
      dropped += pac.take().filter((said) => said.startsWith('dropped')).length;
      expect(first.paa.halfOpen).toBeLessThanOrEqual(20);
    }
    expect(dropped).toBe(0);
    // Other networks have the rest, and then push out the oldest of the fullest one.
    for (let n = 0; n < 15; n += 1) {
      expect(start(`2001:db8:${n.toString(16)}::1`, 716).take()).toContain('eapStart');
    }
    expect(first.paa.halfOpen).toBe(30);
    expect(honest.success().complete().take()).toContain('authorized');
  });

  describe('that have all answered', () => {
    const limits = { pciPerAddress: 1000, pciPerNetwork: 100_000, pciInAll: 100_000, halfOpenPerAddress: 4 };
    const crowd = (more: { halfOpenPerNetwork: number; halfOpen: number; sessions: number }) => {
      const first = new ForeignPac({ limits: { ...limits, ...more } });
      /** The session that a node begins, which answers the first PAR if `answers`; undefined: it was refused. */
      const begin = (address: string, answers: boolean, now = 0, port = 716) => {
        const pac = new ForeignPac({}, first.paa);
        pac.now = now;
        pac.from = { ...pac.from, address, port };
        pac.start();
        const said = pac.take().at(-1) ?? '';
        if (said === 'eapStart') pac.eapRequest();
        if (said === 'eapStart' && answers) pac.respond(true);
        return { pac, said };
      };
      return { paa: first.paa, begin };
    };

    it('fill their share of a network, leave the others theirs, and give way to newer ones when they stall', () => {
      const { paa, begin } = crowd({ halfOpenPerNetwork: 20, halfOpen: 30, sessions: 1000 });
      const all = Array.from({ length: 20 }, (_, n) => begin(`192.0.2.${n + 1}`, true).pac);
      const asked = (pac: ForeignPac, now: number) => {
        pac.now = now;
        pac.eapRequest();
      };
      for (const [n, pac] of all.entries()) asked(pac, n);
      expect(begin('192.0.2.99', true, STALLED_AFTER - 1).said).toBe('dropped half-open-of-network');
      expect(begin('198.51.100.1', true, STALLED_AFTER - 1).said).toBe('eapStart');
      // One that answers goes on; one that waits for the AAA server owes nothing.
      const [first, second, third] = all as [ForeignPac, ForeignPac, ForeignPac];
      first.now = STALLED_AFTER;
      first.respond(false);
      asked(first, STALLED_AFTER);
      second.now = STALLED_AFTER;
      second.respond(false);
      expect(begin('192.0.2.99', true, 2 * STALLED_AFTER - 1).said).toBe('eapStart');
      expect(paa.halfOpen).toBe(21);
      const here = [...paa.list(0)].map(({ sessionId }) => sessionId);
      expect([first, second, third].map(({ sessionId }) => here.includes(sessionId))).toEqual([true, true, false]);
    });

    it('keep no other network out: those that never answered give way, wherever they are', () => {
      const { begin } = crowd({ halfOpenPerNetwork: 20, halfOpen: 30, sessions: 1000 });
      for (let n = 1; n <= 20; n += 1) expect(begin(`192.0.2.${n}`, true).said).toBe('eapStart');
      for (let n = 1; n <= 10; n += 1) expect(begin(`198.51.100.${n}`, false).said).toBe('eapStart');
      for (let n = 1; n <= 10; n += 1) expect(begin(`203.0.113.${n}`, true).said).toBe('eapStart');
      expect(begin('10.0.0.1', true).said).toBe('dropped half-open-in-all');
    });

    it('keep nobody out of an address that is shared when they stall', () => {
      const { begin } = crowd({ halfOpenPerNetwork: 20, halfOpen: 30, sessions: 1000 });
      for (let port = 1; port <= 4; port += 1) begin('192.0.2.1', true, 0, port).pac.eapRequest();
      expect(begin('192.0.2.1', true, STALLED_AFTER - 1, 5).said).toBe('dropped half-open-of-address');
      expect(begin('192.0.2.1', false, STALLED_AFTER, 6).said).toBe('eapStart');
      expect(begin('192.0.2.1', true, STALLED_AFTER, 7).said).toBe('eapStart');
    });

    it('draw no eviction to their network', () => {
      const { paa, begin } = crowd({ halfOpenPerNetwork: 20, halfOpen: 30, sessions: 1000 });
      for (let n = 1; n <= 19; n += 1) begin(`192.0.2.${n}`, true);
      const fresh = begin('192.0.2.20', false).pac;
      for (let n = 1; n <= 50; n += 1) expect(begin(`198.51.100.${n}`, false).said).toBe('eapStart');
      expect([...paa.list(0)].map(({ sessionId }) => sessionId)).toContain(fresh.sessionId);
    });

    it('those that have not take no room from sessions in all', () => {
      const { begin } = crowd({ halfOpenPerNetwork: 20, halfOpen: 30, sessions: 10 });
      for (let n = 1; n <= 10; n += 1) begin(`198.51.100.${n}`, false);
      expect(begin('10.0.0.1', true).said).toBe('eapStart');
    });
  });
});

describe('a re-authentication', () => {
  it('on which there is no verdict comes again, and ends no session before its lifetime', () => {
    const pac = new ForeignPac({ lifetimeGrace: 2_000 }).open();
    pac.session({ type: 'reauthenticate' }).eapRequest().respond(true);
    pac.take();
    const starts: number[] = [];
    pac.session({ type: 'eapPostponed' });
    while (pac.state !== 'none') {
      const at = pac.deadline ?? Number.POSITIVE_INFINITY;
      pac.run(at);
      const said = pac.take();
      if (said.includes('eapStart')) {
        starts.push(at);
        // In the same run: no nonce.
        expect(pac.eapRequest().last.values.Nonce).toBeUndefined();
        pac.respond(false).session({ type: 'eapPostponed' });
        pac.take();
      } else expect(said).toEqual(['closed lifetime-expired']);
    }
    expect(starts.slice(0, 4)).toEqual([5_000, 15_000, 35_000, 65_000]);
    expect(starts.at(-1)).toBeGreaterThan(3_560_000);
    expect(pac.now).toBe(3_602_000);
  });

  it('that goes well after all ends with its own key', () => {
    const pac = new ForeignPac().open().session({ type: 'reauthenticate' }).eapRequest().respond(true);
    pac.session({ type: 'eapPostponed' }).run(5_000).eapRequest().respond(false);
    pac.msk = new Uint8Array(64).fill(0x33);
    pac.success().complete();
    expect(pac.take().at(-1)).toBe('authorized');
    expect(pac.state).toBe('OPEN');
  });

  it('that makes no progress begins anew', () => {
    const pac = new ForeignPac().open().session({ type: 'reauthenticate' });
    expect(pac.run(60_000).take()).toEqual(['eapStart', 'eapStart']);
    pac.eapRequest();
    pac.answer(PAN, 0, [makeAvp('Nonce', pac.nonce)]);
    expect(pac.run(120_000).take()).toEqual(['PAR', 'eapStart']);
    expect(pac.state).toBe('WAIT_EAP_MSG');
  });

  it('without a verdict in the first run is a failure: there is nothing to keep', () => {
    const pac = new ForeignPac().start().eapRequest().respond(true).session({ type: 'eapPostponed' });
    expect(pac.last.values['Result-Code']).toBe(1);
  });

  it('is not postponed when nobody waits for a verdict', () => {
    const pac = new ForeignPac().open().session({ type: 'reauthenticate' }).eapRequest();
    pac.respond(true).success().complete().take();
    pac.session({ type: 'eapPostponed' });
    expect(pac.take()).toEqual([]);
    expect(pac.state).toBe('OPEN');
  });

  it('is heard in the grace period behind the lifetime', () => {
    const pac = new ForeignPac({ lifetimeGrace: 2_000 }).open().run(3_601_999);
    pac.request(PNR, FLAG.A);
    expect(pac.take()).toEqual(['PNA[A]', 'eapStart']);
    pac.eapRequest().respond(true);
    pac.msk = new Uint8Array(64).fill(0x33);
    expect(pac.success().complete().take().at(-1)).toBe('authorized');
    expect([...pac.paa.list(pac.now)]).toMatchObject([{ remaining: 3_600_000 }]);
    const late = new ForeignPac({ lifetimeGrace: 2_000 }).open();
    expect(late.run(3_602_000).take()).toEqual(['closed lifetime-expired']);
  });
});

describe('a refused PaC', () => {
  it('that does not answer is over after FAILED_SESS_TIMEOUT', () => {
    const pac = new ForeignPac().start().eapRequest().respond(true);
    pac.session({ type: 'eapFailure', packet: EAP.failure });
    pac.take();
    expect(pac.run(59_999).take()).not.toContain('closed rejected');
    expect(pac.run(60_000).take()).toEqual(['closed rejected']);
  });
});

describe('a session that another one replaces', () => {
  it('ends at once, and its PaC is told once', () => {
    const pac = new ForeignPac().open().session({ type: 'replace' });
    expect(pac.take()).toEqual(['PTR', 'closed replaced']);
    expect(pac.isSigned).toBe(true);
    expect(pac.run(1_000_000).take()).toEqual([]);
    const asking = new ForeignPac().open().session({ type: 'reauthenticate' }).eapRequest();
    asking.take();
    // One request at a time: what is outstanding is the last that it hears.
    expect(asking.session({ type: 'replace' }).take()).toEqual(['closed replaced']);
  });
});
