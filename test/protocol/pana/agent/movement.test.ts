// Long, because each case of a move has its own sequence of messages (RFC 5191 5.6).

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

/** A PaC with an open session at this address. `echoes`: it supports Echo, as this project's PaC does. */
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

/** The address of the PaC as the PAA knows it. */
function placeOf(pac: ForeignPac): string | undefined {
  return [...pac.paa.list(pac.now)].find(({ sessionId }) => sessionId === pac.sessionId)?.peer.address;
}

/** Sends PNR[P] from the current address of the PaC. */
function ping(pac: ForeignPac): string[] {
  pac.request(PNR, FLAG.P);
  return pac.take();
}

/** Answers the last request with its Echo. */
function sendBack(pac: ForeignPac): string[] {
  const echo = pac.last.values.Echo;
  pac.answer(PNA, FLAG.P, echo ? [makeAvp('Echo', echo)] : []);
  return pac.take();
}

describe('the move of a session to a new address', () => {
  it('happens when the Echo sent to the new address comes back, and not before', () => {
    const pac = pacAt(A, true);
    goTo(pac, B);
    // PNA[P] for the request, and a request of the PAA with an Echo.
    expect(ping(pac)).toEqual(['PNA[P]', 'PNR[P]']);
    expect(placeOf(pac)).toBe(A);
    expect(pac.last.values.Echo).toHaveLength(16);
    // A valid AUTH does not prove the address: sequence numbers are predictable, the Echo is not.
    const asked = pac.last;
    for (const echo of [[], [makeAvp('Echo', new Uint8Array(16))]]) {
      pac.answer(PNA, FLAG.P, echo, asked);
      expect(pac.take()).toEqual(['dropped echo']);
    }
    expect(placeOf(pac)).toBe(A);
    expect(sendBack(pac)).toEqual(['moved']);
    expect(placeOf(pac)).toBe(B);
  });

  it('uses a different Echo each time', () => {
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

  it('does not happen when the new address does not answer, and the session stays open at the old one', () => {
    const pac = pacAt(A, true);
    goTo(pac, B);
    ping(pac);
    goTo(pac, A);
    pac.run(PROOF_TIMEOUT);
    // The Echo comes back from the old address, which proves nothing about the new one.
    expect(sendBack(pac)).not.toContain('moved');
    expect(placeOf(pac)).toBe(A);
    expect(pac.state).toBe('OPEN');
    ping(pac);
    pac.run(3_000_000);
    expect(placeOf(pac)).toBe(A);
  });

  it('succeeds although a delayed answer arrives from the previous address', () => {
    const pac = pacAt(A, true);
    goTo(pac, B);
    ping(pac);
    const asked = pac.last;
    pac.now += MOVE_INTERVAL;
    goTo(pac, C);
    // The PAA now sends to C: the answer to the PaC, and the request that it sent to B before.
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

  it('needs only the last Echo if the PaC has moved on while another request was outstanding', () => {
    const pac = pacAt(A, true).session({ type: 'ping' });
    const asked = pac.last;
    for (const address of [B, C]) {
      pac.now += MOVE_INTERVAL;
      goTo(pac, address);
      ping(pac);
    }
    pac.answer(PNA, FLAG.P, [], asked);
    expect(pac.take()).toEqual(['PNR[P]']);
    // No request with an earlier Echo is queued behind it.
    expect(sendBack(pac)).toEqual(['moved']);
    expect(placeOf(pac)).toBe(C);
  });

  it('is proven by a re-authentication at the new address when the PaC sends no Echo', () => {
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

  it('is not proven by a re-authentication that began at the old address', () => {
    const pac = pacAt(A, false).session({ type: 'reauthenticate' }).eapRequest();
    goTo(pac, B);
    pac.respond(true);
    pac.msk = new Uint8Array(64).fill(0x33);
    pac.success().complete();
    // The next re-authentication is at the new address from its start.
    expect(pac.take().slice(-2)).toEqual(['authorized', 'eapStart']);
    expect(placeOf(pac)).toBe(A);
    pac.eapRequest().respond(true);
    pac.msk = new Uint8Array(64).fill(0x44);
    pac.success().complete();
    expect(placeOf(pac)).toBe(B);
  });

  it('happens at most once a second when the PaC alternates between two addresses', () => {
    const pac = pacAt(A, true);
    let moves = 0;
    // A ping every 10 ms for 20 s, in turn from two addresses of the PaC.
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

describe('an address in use by a session', () => {
  it('is free if that session is not authenticated yet', () => {
    const pac = pacAt(A, true);
    const other = new ForeignPac(OFFER, pac.paa);
    other.from = { ...other.from, address: B };
    other.start(ALGORITHMS).eapRequest();
    goTo(pac, B);
    expect(ping(pac)).toEqual(['PNA[P]', 'PNR[P]']);
    expect(sendBack(pac)).toEqual(['moved']);
  });

  it('cannot be taken over by another PaC; the termination of that PaC ends only its own session', () => {
    const victim = pacAt(A, true);
    const attacker = pacAt(B, true, victim);
    goTo(attacker, A);
    // The PAA asks the holder whether it is still there.
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

  it('becomes free when its holder does not answer PNR[P]', () => {
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

  it('does not prevent its own session from changing the port', () => {
    const pac = pacAt(A, true);
    pac.from = { ...pac.from, port: pac.from.port + 1 };
    expect(ping(pac)).toEqual(['PNA[P]', 'PNR[P]']);
    expect(sendBack(pac)).toEqual(['moved']);
  });
});

describe('half-open sessions', () => {
  it('are counted correctly when a PaC moves before PAN[C]', () => {
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

  it('are evicted by newer ones if they never answered, and stay if they answered', () => {
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
    // 1,000 valid starts from 1,000 addresses of the same /64; none answers a PAR.
    let dropped = 0;
    for (let n = 2; n < 1_002; n += 1) {
      const pac = start(`2001:db8:66::${n.toString(16)}`, 716);
      pac.eapRequest();
      dropped += pac.take().filter((said) => said.startsWith('dropped')).length;
      expect(first.paa.halfOpen).toBeLessThanOrEqual(20);
    }
    expect(dropped).toBe(0);
    // Other networks use the remaining places, then evict the oldest session of the fullest network.
    for (let n = 0; n < 15; n += 1) {
      expect(start(`2001:db8:${n.toString(16)}::1`, 716).take()).toContain('eapStart');
    }
    expect(first.paa.halfOpen).toBe(30);
    expect(honest.success().complete().take()).toContain('authorized');
  });

  describe('with an answer from each PaC', () => {
    const limits = { pciPerAddress: 1000, pciPerNetwork: 100_000, pciInAll: 100_000, halfOpenPerAddress: 4 };
    const crowd = (more: { halfOpenPerNetwork: number; halfOpen: number; sessions: number }) => {
      const first = new ForeignPac({ limits: { ...limits, ...more } });
      /** Starts a session and returns its last event. The PaC answers the first PAR if `answers` is true. */
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

    it('fill only the share of their network, and one that has stalled is evicted by a new one', () => {
      const { paa, begin } = crowd({ halfOpenPerNetwork: 20, halfOpen: 30, sessions: 1000 });
      const all = Array.from({ length: 20 }, (_, n) => begin(`192.0.2.${n + 1}`, true).pac);
      const asked = (pac: ForeignPac, now: number) => {
        pac.now = now;
        pac.eapRequest();
      };
      for (const [n, pac] of all.entries()) asked(pac, n);
      expect(begin('192.0.2.99', true, STALLED_AFTER - 1).said).toBe('dropped half-open-of-network');
      expect(begin('198.51.100.1', true, STALLED_AFTER - 1).said).toBe('eapStart');
      // The first has answered recently and the second waits for the AAA server: only the third has stalled.
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

    it('take the place of unanswered ones of other networks, up to the total limit', () => {
      const { begin } = crowd({ halfOpenPerNetwork: 20, halfOpen: 30, sessions: 1000 });
      for (let n = 1; n <= 20; n += 1) expect(begin(`192.0.2.${n}`, true).said).toBe('eapStart');
      for (let n = 1; n <= 10; n += 1) expect(begin(`198.51.100.${n}`, false).said).toBe('eapStart');
      for (let n = 1; n <= 10; n += 1) expect(begin(`203.0.113.${n}`, true).said).toBe('eapStart');
      expect(begin('10.0.0.1', true).said).toBe('dropped half-open-in-all');
    });

    it('do not block a shared address once they stall', () => {
      const { begin } = crowd({ halfOpenPerNetwork: 20, halfOpen: 30, sessions: 1000 });
      for (let port = 1; port <= 4; port += 1) begin('192.0.2.1', true, 0, port).pac.eapRequest();
      expect(begin('192.0.2.1', true, STALLED_AFTER - 1, 5).said).toBe('dropped half-open-of-address');
      expect(begin('192.0.2.1', false, STALLED_AFTER, 6).said).toBe('eapStart');
      expect(begin('192.0.2.1', true, STALLED_AFTER, 7).said).toBe('eapStart');
    });

    it('do not count when the PAA selects the network from which it evicts', () => {
      const { paa, begin } = crowd({ halfOpenPerNetwork: 20, halfOpen: 30, sessions: 1000 });
      for (let n = 1; n <= 19; n += 1) begin(`192.0.2.${n}`, true);
      const fresh = begin('192.0.2.20', false).pac;
      for (let n = 1; n <= 50; n += 1) expect(begin(`198.51.100.${n}`, false).said).toBe('eapStart');
      expect([...paa.list(0)].map(({ sessionId }) => sessionId)).toContain(fresh.sessionId);
    });

    it('are admitted when unanswered ones fill the limit of sessions', () => {
      const { begin } = crowd({ halfOpenPerNetwork: 20, halfOpen: 30, sessions: 10 });
      for (let n = 1; n <= 10; n += 1) begin(`198.51.100.${n}`, false);
      expect(begin('10.0.0.1', true).said).toBe('eapStart');
    });
  });
});

describe('re-authentication and postponed verdicts at the PAA', () => {
  it('repeats a re-authentication while there is no verdict, and ends the session only at its lifetime', () => {
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
        // Not the first PAR of the run, so it has no Nonce.
        expect(pac.eapRequest().last.values.Nonce).toBeUndefined();
        pac.respond(false).session({ type: 'eapPostponed' });
        pac.take();
      } else expect(said).toEqual(['closed lifetime-expired']);
    }
    expect(starts.slice(0, 4)).toEqual([5_000, 15_000, 35_000, 65_000]);
    expect(starts.at(-1)).toBeGreaterThan(3_560_000);
    expect(pac.now).toBe(3_602_000);
  });

  it('opens with the new key when a repeated re-authentication succeeds', () => {
    const pac = new ForeignPac().open().session({ type: 'reauthenticate' }).eapRequest().respond(true);
    pac.session({ type: 'eapPostponed' }).run(5_000).eapRequest().respond(false);
    pac.msk = new Uint8Array(64).fill(0x33);
    pac.success().complete();
    expect(pac.take().at(-1)).toBe('authorized');
    expect(pac.state).toBe('OPEN');
  });

  it('restarts at the shortest wait when a later re-authentication gets no verdict', () => {
    const pac = new ForeignPac().open().session({ type: 'reauthenticate' }).eapRequest().respond(true);
    pac.session({ type: 'eapPostponed' }).run(5_000).eapRequest().respond(false);
    pac.session({ type: 'eapPostponed' }).run(15_000).eapRequest().respond(false);
    pac.msk = new Uint8Array(64).fill(0x33);
    pac.success().complete().run(20_000);
    expect(pac.state).toBe('OPEN');
    pac.nonce = new Uint8Array(20).fill(0x55);
    pac.session({ type: 'reauthenticate' }).eapRequest().respond(true);
    pac.session({ type: 'eapPostponed' }).take();
    expect(pac.run(24_999).take()).toEqual([]);
    expect(pac.run(25_000).take()).toEqual(['eapStart']);
  });

  it('restarts a re-authentication that makes no progress', () => {
    const pac = new ForeignPac().open().session({ type: 'reauthenticate' });
    expect(pac.run(60_000).take()).toEqual(['eapStart', 'eapStart']);
    pac.eapRequest();
    pac.answer(PAN, 0, [makeAvp('Nonce', pac.nonce)]);
    expect(pac.run(120_000).take()).toEqual(['PAR', 'eapStart']);
    expect(pac.state).toBe('WAIT_EAP_MSG');
  });

  it('sends Result-Code 1 when the first authentication gets no verdict', () => {
    const pac = new ForeignPac().start().eapRequest().respond(true).session({ type: 'eapPostponed' });
    expect(pac.last.values['Result-Code']).toBe(1);
  });

  it('ignores a postponement when no verdict is awaited', () => {
    const pac = new ForeignPac().open().session({ type: 'reauthenticate' }).eapRequest();
    pac.respond(true).success().complete().take();
    pac.session({ type: 'eapPostponed' });
    expect(pac.take()).toEqual([]);
    expect(pac.state).toBe('OPEN');
  });

  it('accepts a re-authentication in the grace period after the lifetime', () => {
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

describe('a refused session', () => {
  it('is closed after FAILED_SESS_TIMEOUT when the PaC does not answer', () => {
    const pac = new ForeignPac().start().eapRequest().respond(true);
    pac.session({ type: 'eapFailure', packet: EAP.failure });
    pac.take();
    expect(pac.run(59_999).take()).not.toContain('closed rejected');
    expect(pac.run(60_000).take()).toEqual(['closed rejected']);
  });
});

describe('a replaced session', () => {
  it('ends at once after a single PTR, or without one while a request is outstanding', () => {
    const pac = new ForeignPac().open().session({ type: 'replace' });
    expect(pac.take()).toEqual(['PTR', 'closed replaced']);
    expect(pac.isSigned).toBe(true);
    expect(pac.run(1_000_000).take()).toEqual([]);
    const asking = new ForeignPac().open().session({ type: 'reauthenticate' }).eapRequest();
    asking.take();
    // Only one request may be outstanding, so no PTR follows.
    expect(asking.session({ type: 'replace' }).take()).toEqual(['closed replaced']);
  });
});
