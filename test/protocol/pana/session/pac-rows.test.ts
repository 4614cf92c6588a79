import { describe, expect, it } from 'vitest';
import { FLAG, MESSAGE_TYPE } from '../../../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../../../src/protocol/pana/wire/dictionary.js';
import { EAP, ForeignPaa, PAN, PAR, PNA, PNR, PTA, PTR } from '../wire/foreign.js';

/** Rows of RFC 5609 7.5 and 6.6, each with the row of the table as its name. */
const noPiggyback = { config: { piggyback: false } };

function opened(options: ConstructorParameters<typeof ForeignPaa>[0] = {}): ForeignPaa {
  const paa = new ForeignPaa(options).open();
  expect(paa.state).toBe('OPEN');
  return paa;
}

describe('the PaC in INITIAL', () => {
  it('AUTH_USER: Tx PCI; RTX+ with 1 s, doubling to 120 s, for ever', () => {
    const paa = new ForeignPaa().feed({ type: 'start' });
    expect(paa.take()).toEqual(['PCI']);
    const gaps: number[] = [];
    for (let i = 0; i < 12; i += 1) {
      const at = paa.deadline ?? 0;
      gaps.push(at - paa.now);
      // Not a moment earlier.
      expect(paa.run(at - 0.001).take()).toEqual([]);
      expect(paa.run(at).take()).toEqual(['PCI']);
    }
    expect(Math.abs((gaps[0] ?? 0) - 1000)).toBeLessThanOrEqual(100);
    for (const gap of gaps.slice(8)) expect(Math.abs(gap - 120_000)).toBeLessThanOrEqual(12_000);
    expect(paa.state).toBe('INITIAL');
  });

  it('AUTH_USER twice is one', () => {
    expect(new ForeignPaa().feed({ type: 'start' }).feed({ type: 'start' }).take()).toEqual(['PCI']);
  });

  it('PCI with a limit: DISC when it is reached', () => {
    const paa = new ForeignPaa({ config: { pci: { irt: 1000, mrt: 120_000, mrc: 3, mrd: 0 } } });
    paa.feed({ type: 'start' }).run(60_000);
    expect(paa.take()).toEqual(['PCI', 'PCI', 'PCI', 'closed no-answer']);
  });

  it('Rx PAR[S] without EAP-Payload: EAPrestart; Tx PAN[S]', () => {
    const paa = new ForeignPaa().start();
    expect(paa.take()).toEqual(['PCI', 'PAN[S]', 'eapRestart']);
    expect(paa.state).toBe('WAIT_PAA');
    expect(paa.last.values).toMatchObject({ 'PRF-Algorithm': [5], 'Integrity-Algorithm': [12] });
    expect(paa.last.values.Nonce).toBeUndefined();
  });

  it('Rx PAR[S] without PCI before it: the PAA begins', () => {
    const paa = new ForeignPaa().offer();
    expect(paa.take()).toEqual(['PAN[S]', 'eapRestart']);
    expect(paa.state).toBe('WAIT_PAA');
    // FAILED_SESS_TIMEOUT: it was not ours, so there is no PCI to go on with.
    expect(paa.run(59_999).take()).toEqual([]);
    expect(paa.run(60_000).take()).toEqual(['closed no-progress']);
  });

  it('Rx PAR[S] with EAP-Payload, pb: EAP(m); then EAP_RESPONSE: Tx PAN[S](EAP)', () => {
    const paa = new ForeignPaa().start([makeAvp('EAP-Payload', EAP.request)]);
    expect(paa.take()).toEqual(['PCI', 'eapRestart', 'eapPacket']);
    expect(paa.state).toBe('INITIAL');
    expect(paa.respond().take()).toEqual(['PAN[S]']);
    expect(paa.last.values['EAP-Payload']).toEqual(EAP.response);
    expect(paa.state).toBe('WAIT_PAA');
    // PCI goes on until a PAR without S.
    expect(paa.run(1200).take()).toEqual(['PCI']);
    expect(paa.eapRequest(true).run(30_000).take()).toEqual(['PAN', 'eapPacket']);
  });

  it('Rx PAR[S] with EAP-Payload and no response of EAP: forgotten after FAILED_SESS_TIMEOUT', () => {
    const paa = new ForeignPaa().start([makeAvp('EAP-Payload', EAP.request)]).run(60_000);
    expect(paa.state).toBe('INITIAL');
    paa.take();
    expect(paa.respond().take()).toEqual([]);
    expect(paa.offer().take()).toContain('PAN[S]');
  });

  it('Rx PAR[S] with EAP-Payload, not pb: EAP(m); Tx PAN[S]; then EAP_RESPONSE: Tx PAR', () => {
    const paa = new ForeignPaa(noPiggyback).start([makeAvp('EAP-Payload', EAP.request)]);
    expect(paa.take()).toEqual(['PCI', 'PAN[S]', 'eapRestart', 'eapPacket']);
    expect(paa.state).toBe('WAIT_EAP_MSG');
    expect(paa.respond().take()).toEqual(['PAR']);
    expect(paa.state).toBe('WAIT_PAA');
    // WAIT_PAA  Rx PAN: RTX-
    paa.answer(PAN, 0);
    expect(paa.take()).toEqual([]);
    expect(paa.eapRequest(true).take()).toEqual(['PAN', 'eapPacket']);
  });

  it('Rx PAR[S] whose algorithms are none of ours: nothing', () => {
    const offer = [makeAvp('PRF-Algorithm', 99), makeAvp('Integrity-Algorithm', 12)];
    expect(new ForeignPaa({ offer }).start().take()).toEqual(['PCI', 'dropped no-algorithm']);
  });

  it('Rx anything else: nothing', () => {
    const paa = new ForeignPaa().feed({ type: 'start' });
    paa.take();
    paa.request(PAR, 0, [makeAvp('EAP-Payload', EAP.request)]);
    paa.request(PTR, 0, [makeAvp('Termination-Cause', 4)]);
    paa.put({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] });
    expect(paa.take()).toEqual(Array(3).fill('dropped unexpected'));
    for (const type of ['ping', 'moved', 'reauthenticate', 'eapDiscarded', 'eapSucceeded'] as const) paa.feed({ type });
    expect(paa.take()).toEqual([]);
    expect(paa.state).toBe('INITIAL');
  });
});

describe('the PaC in WAIT_PAA', () => {
  it('Rx PAR[S], the same: Tx PAN[S] again; a newer one: a new start', () => {
    const paa = new ForeignPaa().start();
    const [panStart] = paa.sent.slice(-1);
    paa.sequence -= 1;
    paa.offer();
    expect(paa.last.octets).toEqual(panStart?.octets);
    paa.sessionId += 1;
    paa.take();
    expect(paa.offer().take()).toEqual(['PAN[S]', 'eapRestart']);
    expect(paa.last.message.sessionId).toBe(paa.sessionId);
  });

  it('Rx PAR, pb: RTX-; EAP(m); and EAP_RESPONSE: Tx PAN(EAP, Nonce)', () => {
    const paa = new ForeignPaa().start();
    paa.take();
    expect(paa.eapRequest(true).take()).toEqual(['eapPacket']);
    expect(paa.state).toBe('WAIT_EAP_MSG');
    expect(paa.respond().take()).toEqual(['PAN']);
    expect(paa.last.values.Nonce).toHaveLength(20);
    expect(paa.state).toBe('WAIT_PAA');
    paa.eapRequest(false).respond();
    expect(paa.last.values.Nonce).toBeUndefined();
    expect(paa.deadline).toBe(60_000);
  });

  it('Rx PAR, not pb: EAP(m); Tx PAN(Nonce); and EAP_RESPONSE: Tx PAR(EAP); RTX+', () => {
    const paa = new ForeignPaa(noPiggyback).start();
    paa.take();
    expect(paa.eapRequest(true).take()).toEqual(['PAN', 'eapPacket']);
    expect(paa.last.values.Nonce).toHaveLength(20);
    expect(paa.respond().take()).toEqual(['PAR']);
    expect(paa.last.values.Nonce).toBeUndefined();
    expect(paa.run(1200).take()).toEqual(['PAR']);
    paa.answer(PAN, 0);
    expect(paa.run(30_000).take()).toEqual([]);
  });

  it('Rx PAR[S] after a PAR: nothing (RFC 5191 5.5)', () => {
    const paa = new ForeignPaa().start().eapRequest(true).respond();
    paa.take();
    paa.sessionId += 1;
    expect(paa.offer().take()).toEqual(['dropped unexpected']);
  });

  it.each([
    ['without its Nonce', false, 'dropped nonce'],
    ['with a Nonce that is none of its', true, 'eapPacket'],
  ])('Rx PAR %s', (_what, first, expected) => {
    const paa = new ForeignPaa().start();
    paa.take();
    expect(paa.eapRequest(first).take()).toEqual([expected]);
    if (first) expect(paa.respond().eapRequest(true).take()).toEqual(['PAN', 'dropped nonce']);
  });

  it('Rx PAR that asks for the identity again: EAPrestart; EAP(m), in the same run', () => {
    const paa = new ForeignPaa().start().eapRequest(true).respond();
    paa.take();
    expect(paa.eapRequest(false).take()).toEqual(['eapRestart', 'eapPacket']);
    paa.respond().feed({ type: 'eapKeys', msk: new ForeignPaa().msk });
    paa.complete();
    expect(paa.feed({ type: 'eapSucceeded' }).take().at(-1)).toBe('authorized');
  });

  it('Rx PAR without EAP-Payload: nothing', () => {
    const paa = new ForeignPaa().start();
    paa.take();
    paa.request(PAR, 0, [makeAvp('Nonce', paa.nonce)]);
    expect(paa.take()).toEqual(['dropped avp-missing']);
  });

  it('Rx PAR[C], success: EAP(m); EAP_SUCCESS: Tx PAN[C](Key-Id); ST(LIFE)', () => {
    const paa = new ForeignPaa()
      .start()
      .eapRequest(true)
      .respond()
      .feed({ type: 'eapKeys', msk: new ForeignPaa().msk });
    paa.take();
    paa.complete();
    expect(paa.take()).toEqual(['eapPacket']);
    expect(paa.state).toBe('WAIT_EAP_RESULT');
    expect(paa.feed({ type: 'eapSucceeded' }).take()).toEqual(['PAN[C]', 'authorized']);
    expect(paa.isSigned).toBe(true);
    expect(paa.last.values['Key-Id']).toBe(7);
    expect(paa.state).toBe('OPEN');
    expect(paa.deadline).toBe(3_600_000);
    expect(paa.run(3_599_999).take()).toEqual([]);
    expect(paa.run(3_600_000).take()).toEqual(['closed lifetime-expired']);
  });

  it('Rx PAR[C], success, but EAP_FAILURE: Tx PAN[C](); DISC', () => {
    const paa = new ForeignPaa()
      .start()
      .eapRequest(true)
      .respond()
      .feed({ type: 'eapKeys', msk: new ForeignPaa().msk });
    paa.take();
    paa.complete();
    expect(paa.feed({ type: 'eapFailed' }).take()).toEqual(['PAN[C]', 'eapPacket', 'closed eap-failed']);
    expect(paa.last.values['Key-Id']).toBeUndefined();
    expect(paa.state).toBe('CLOSED');
  });

  it('Rx PAR[C], success, and EAP says nothing: DISC after FAILED_SESS_TIMEOUT', () => {
    const paa = new ForeignPaa()
      .start()
      .eapRequest(true)
      .respond()
      .feed({ type: 'eapKeys', msk: new ForeignPaa().msk });
    paa.complete();
    paa.take();
    expect(paa.run(60_000).take()).toEqual(['closed no-progress']);
  });

  it('Rx PAR[C], Result-Code 1 with EAP-Failure: EAP(m); Tx PAN[C](); DISC', () => {
    const paa = new ForeignPaa().start().eapRequest(true).respond();
    paa.take();
    paa.request(PAR, FLAG.C, [makeAvp('Result-Code', 1), makeAvp('EAP-Payload', EAP.failure)]);
    expect(paa.take()).toEqual(['eapPacket']);
    expect(paa.state).toBe('WAIT_EAP_RESULT_CLOSE');
    expect(paa.feed({ type: 'eapFailed' }).take()).toEqual(['PAN[C]', 'closed authentication-rejected']);
  });

  it('Rx PAR[C], Result-Code 1 without EAP-Payload: alt_reject()', () => {
    const paa = new ForeignPaa().start().eapRequest(true).respond();
    paa.take();
    paa.request(PAR, FLAG.C, [makeAvp('Result-Code', 1)]);
    expect(paa.take()).toEqual(['PAN[C]', 'closed authentication-rejected']);
  });

  it('Rx PAR[C], Result-Code 2 with EAP-Success: EAP_SUCCESS: Tx PAN[C](Key-Id); DISC', () => {
    const paa = new ForeignPaa()
      .start()
      .eapRequest(true)
      .respond()
      .feed({ type: 'eapKeys', msk: new ForeignPaa().msk });
    paa.take();
    const refusal = [makeAvp('Result-Code', 2), makeAvp('EAP-Payload', EAP.success)];
    // Without AUTH it could be anybody's.
    paa.request(PAR, FLAG.C, refusal, { sequence: paa.sequence });
    paa.sequence -= 1;
    expect(paa.take()).toEqual(['dropped auth']);
    paa.key = paa.keyed();
    paa.request(PAR, FLAG.C, [...refusal, makeAvp('Key-Id', 7)]);
    expect(paa.state).toBe('WAIT_EAP_RESULT_CLOSE');
    paa.feed({ type: 'eapSucceeded' });
    expect(paa.take()).toEqual(['PAN[C]', 'eapPacket', 'closed authorization-rejected']);
    expect(paa.last.values['Key-Id']).toBe(7);
    expect(paa.isSigned).toBe(true);
  });

  it('Rx PAR[C] that is not whole: nothing', () => {
    const paa = new ForeignPaa().start().eapRequest(true).respond();
    paa.take();
    const { sequence } = paa;
    for (const avps of [
      [makeAvp('EAP-Payload', EAP.success)],
      [makeAvp('Result-Code', 0)],
      [makeAvp('Result-Code', 0), makeAvp('EAP-Payload', EAP.success)],
      [
        makeAvp('Result-Code', 0),
        makeAvp('EAP-Payload', EAP.success),
        makeAvp('MIP6-Home-Agent-Address', new Uint8Array(3)),
      ],
    ]) {
      paa.request(PAR, FLAG.C, avps, { sequence });
    }
    expect(paa.take()).toEqual(['dropped avp-missing', 'dropped avp-missing', 'dropped auth', 'dropped auth']);
    expect(paa.state).toBe('WAIT_PAA');
  });

  it('Rx PAR[C] with a home agent that is not fit for use, or no lifetime: access all the same', () => {
    const paa = new ForeignPaa().start().eapRequest(true).respond();
    paa.feed({ type: 'eapKeys', msk: paa.msk });
    const agent = makeAvp('MIP6-Home-Agent-Address', Uint8Array.of(0, 2, ...new Uint8Array(16)));
    paa.key = paa.keyed(7);
    const result = [makeAvp('Result-Code', 0), makeAvp('EAP-Payload', EAP.success), makeAvp('Key-Id', 7)];
    paa.request(PAR, FLAG.C, [...result, makeAvp('Session-Lifetime', 0), agent]);
    paa.feed({ type: 'eapSucceeded' });
    expect(paa.said.findLast(({ type }) => type === 'authorized')).toMatchObject({
      ...{ assignment: undefined, mobilityProblem: 'home agent: it is unspecified, loopback or IPv4-compatible' },
      lifetime: 1000,
    });
    expect(paa.state).toBe('OPEN');
  });

  it('Rx PTR, PNR in the first run: nothing (RFC 5191 5.5)', () => {
    const paa = new ForeignPaa().start();
    paa.take();
    const { sequence } = paa;
    paa.request(PTR, 0, [makeAvp('Termination-Cause', 4)], { sequence });
    paa.request(PNR, FLAG.P, [], { sequence });
    expect(paa.take()).toEqual(Array(2).fill('dropped unexpected'));
  });

  it('terminated by its user before there is a key: DISC without a word', () => {
    expect(new ForeignPaa().start().feed({ type: 'terminate' }).take().at(-1)).toBe('closed terminated');
  });
});

describe('the PaC in WAIT_EAP_MSG', () => {
  const waiting = (options?: ConstructorParameters<typeof ForeignPaa>[0]) => {
    const paa = new ForeignPaa(options).start().eapRequest(true);
    paa.take();
    return paa;
  };

  it('EAP reply timer, pb: Tx PAN(Nonce); the response that comes later is a PAR', () => {
    const paa = waiting();
    expect(paa.deadline).toBe(500);
    expect(paa.run(499.9).take()).toEqual([]);
    expect(paa.run(500).take()).toEqual(['PAN']);
    expect(paa.last.values).toMatchObject({ Nonce: expect.any(Uint8Array) });
    expect(paa.last.values['EAP-Payload']).toBeUndefined();
    expect(paa.state).toBe('WAIT_PAA');
    expect(paa.respond().take()).toEqual(['PAR']);
  });

  it('EAP_DISCARD, pb: Tx PAN(); DISC', () => {
    expect(waiting().feed({ type: 'eapDiscarded' }).take()).toEqual(['PAN', 'closed eap-failed']);
  });

  it('EAP_DISCARD, not pb: DISC', () => {
    expect(waiting(noPiggyback).feed({ type: 'eapDiscarded' }).take()).toEqual(['closed eap-failed']);
  });

  it('EAP_FAILURE: DISC', () => {
    expect(waiting().feed({ type: 'eapFailed' }).take()).toEqual(['closed eap-failed']);
  });

  it('EAP_SUCCESS: nothing yet', () => {
    expect(waiting().feed({ type: 'eapSucceeded' }).take()).toEqual([]);
  });

  it('a repeated PAR: nothing until there is an answer, then that again', () => {
    const paa = new ForeignPaa().start();
    paa.take();
    const par = paa.request(PAR, 0, [makeAvp('EAP-Payload', EAP.request), makeAvp('Nonce', paa.nonce)]);
    paa.again(par);
    expect(paa.take()).toEqual(['eapPacket']);
    paa.respond();
    paa.again(par);
    expect(paa.take()).toEqual(['PAN', 'PAN']);
    expect(paa.sent.at(-1)?.octets).toEqual(paa.sent.at(-2)?.octets);
    // RFC 5191 5.2: the rate may be limited.
    for (let i = 0; i < 12; i += 1) paa.again(par);
    expect(paa.take().filter((name) => name === 'dropped replays')).toHaveLength(3);
    paa.run(1000);
    paa.again(par);
    expect(paa.take()).toEqual(['PAN']);
  });
});

describe('the PaC in OPEN', () => {
  it('ping trigger: Tx PNR[P]; RTX+; Rx PNA[P]: RTX-; OPEN', () => {
    const paa = opened().feed({ type: 'ping' });
    expect(paa.take()).toEqual(['PNR[P]']);
    expect(paa.isSigned).toBe(true);
    expect(paa.state).toBe('WAIT_PNA_PING');
    const { octets } = paa.last;
    paa.run(1200);
    expect(paa.take()).toEqual(['PNR[P]']);
    expect(paa.last.octets).toEqual(octets);
    paa.answer(PNA, FLAG.P);
    expect(paa.state).toBe('OPEN');
    expect(paa.take()).toEqual([]);
  });

  it('ping trigger again within a second: refused; later: another', () => {
    const paa = opened().feed({ type: 'ping' });
    paa.answer(PNA, FLAG.P);
    expect(paa.feed({ type: 'ping' }).take()).toEqual(['PNR[P]', 'dropped pings']);
    paa.run(1000);
    expect(paa.feed({ type: 'ping' }).take()).toEqual(['PNR[P]']);
  });

  it('pings by itself when it has heard nothing for so long', () => {
    const paa = opened({ config: { pingInterval: 20_000 } });
    expect(paa.run(19_999).take()).toEqual([]);
    // Whatever is heard shows that the PAA is alive.
    paa.request(PNR, FLAG.P);
    expect(paa.take()).toEqual(['PNA[P]']);
    expect(paa.run(39_998).take()).toEqual([]);
    expect(paa.run(39_999).take()).toEqual(['PNR[P]']);
  });

  it('ping without an answer: ten times, silent from the fourth on; DISC', () => {
    const paa = opened().feed({ type: 'ping' }).run(400_000);
    expect(paa.sent.filter(({ name }) => name === 'PNR[P]')).toHaveLength(10);
    const events = paa.take().filter((name) => name !== 'PNR[P]');
    expect(events).toEqual([...Array(7).fill('silent'), 'closed no-answer']);
  });

  it('ping with a late answer: heard', () => {
    const paa = opened().feed({ type: 'ping' }).run(10_000);
    paa.take();
    paa.answer(PNA, FLAG.P);
    expect(paa.take()).toEqual(['heard']);
  });

  it('re-auth trigger: Tx PNR[A]; RTX+; Rx PNA[A]: ST(FAILED); WAIT_PAA', () => {
    const paa = opened().feed({ type: 'reauthenticate' });
    expect(paa.take()).toEqual(['PNR[A]']);
    expect(paa.state).toBe('WAIT_PNA_REAUTH');
    const { sequence } = paa;
    // PARs are dropped until PNA[A] has come (RFC 5191 4.3).
    paa.request(PAR, 0, [makeAvp('EAP-Payload', EAP.request), makeAvp('Nonce', paa.nonce)], { sequence });
    paa.sequence = sequence;
    expect(paa.take()).toEqual(['dropped unexpected']);
    paa.answer(PNA, FLAG.A);
    expect(paa.take()).toEqual(['eapRestart']);
    expect(paa.state).toBe('WAIT_PAA');
    expect(paa.deadline).toBe(60_000);
    const old = paa.key?.key.octets();
    paa.eapRequest(true).respond();
    expect(paa.isSigned).toBe(true);
    paa.msk = new Uint8Array(64).fill(0x77);
    paa.feed({ type: 'eapKeys', msk: paa.msk });
    paa.complete([], 8);
    expect(paa.key?.key.octets()).not.toEqual(old);
    paa.feed({ type: 'eapSucceeded' });
    expect(paa.isSigned).toBe(true);
    expect(paa.take()).toEqual(['PAN', 'PAN[C]', 'eapPacket', 'eapPacket', 'authorized']);
  });

  it('re-auth by itself when part of the lifetime has passed', () => {
    const paa = opened({ config: { reauthenticateAt: 0.75 } });
    expect(paa.run(2_699_999).take()).toEqual([]);
    expect(paa.run(2_700_000).take()).toEqual(['PNR[A]']);
  });

  it('re-auth without an answer: DISC', () => {
    expect(opened().feed({ type: 'reauthenticate' }).run(400_000).take().at(-1)).toBe('closed no-answer');
  });

  it('re-auth that fails ends the session only with the AUTH of the old key', () => {
    const paa = opened().feed({ type: 'reauthenticate' });
    paa.answer(PNA, FLAG.A);
    paa.eapRequest(true).respond();
    paa.take();
    const { key, sequence } = paa;
    paa.key = undefined;
    paa.request(PAR, FLAG.C, [makeAvp('Result-Code', 1)], { sequence });
    expect(paa.take()).toEqual(['dropped auth']);
    paa.sequence = sequence;
    paa.key = key;
    paa.request(PAR, FLAG.C, [makeAvp('Result-Code', 1)]);
    expect(paa.take()).toEqual(['PAN[C]', 'closed authentication-rejected']);
    expect(paa.isSigned).toBe(true);
  });

  it.each(['OPEN', 'WAIT_PNA_PING'])('Rx PAR in %s: the PAA re-authenticates', (state) => {
    const paa = opened();
    if (state === 'WAIT_PNA_PING') paa.feed({ type: 'ping' });
    paa.take();
    paa.eapRequest(true);
    expect(paa.take()).toEqual(['eapRestart', 'eapPacket']);
    expect(paa.state).toBe('WAIT_EAP_MSG');
    expect(paa.respond().take()).toEqual(['PAN']);
    expect(paa.last.values.Nonce).toHaveLength(20);
    if (state !== 'WAIT_PNA_PING') return;
    // The ping stays outstanding (its number would be a gap), with the key in force.
    expect(paa.run(1200).take()).toEqual(['PNR[P]']);
    paa.answer(PNA, FLAG.P);
    expect(paa.run(20_000).take()).toEqual([]);
  });

  it('Rx PAR, not pb: Tx PAN(Nonce)', () => {
    const paa = opened(noPiggyback);
    paa.eapRequest(true);
    expect(paa.take()).toEqual(['PAN', 'eapRestart', 'eapPacket']);
    expect(paa.last.values.Nonce).toHaveLength(20);
  });

  it.each(['OPEN', 'WAIT_PNA_PING', 'WAIT_PNA_REAUTH', 'WAIT_PAA', 'WAIT_EAP_MSG'])(
    'Rx PTR in %s: Tx PTA; DISC',
    (state) => {
      const paa = opened();
      if (state === 'WAIT_PNA_PING') paa.feed({ type: 'ping' });
      if (state === 'WAIT_PNA_REAUTH' || state === 'WAIT_PAA') paa.feed({ type: 'reauthenticate' });
      if (state === 'WAIT_PAA') paa.answer(PNA, FLAG.A);
      if (state === 'WAIT_EAP_MSG') paa.eapRequest(true);
      expect(paa.state).toBe(state);
      paa.take();
      paa.request(PTR, 0, [makeAvp('Termination-Cause', 4)]);
      expect(paa.take()).toEqual(['PTA', 'closed terminated-by-paa']);
      expect(paa.isSigned).toBe(true);
    },
  );

  it.each(['OPEN', 'WAIT_PNA_PING', 'WAIT_PNA_REAUTH', 'WAIT_PAA', 'SESS_TERM'])(
    'Rx PNR[P] in %s: Tx PNA[P]',
    (state) => {
      const paa = opened();
      if (state === 'WAIT_PNA_PING') paa.feed({ type: 'ping' });
      if (state === 'WAIT_PNA_REAUTH' || state === 'WAIT_PAA') paa.feed({ type: 'reauthenticate' });
      if (state === 'WAIT_PAA') paa.answer(PNA, FLAG.A);
      if (state === 'SESS_TERM') paa.feed({ type: 'terminate' });
      paa.take();
      paa.request(PNR, FLAG.P);
      expect(paa.take()).toEqual(['PNA[P]']);
      expect(paa.state).toBe(state);
    },
  );

  it('terminate trigger: Tx PTR(LOGOUT); RTX+; Rx PTA: DISC', () => {
    const paa = opened().feed({ type: 'terminate' });
    expect(paa.take()).toEqual(['PTR']);
    expect(paa.last.values['Termination-Cause']).toBe(1);
    expect(paa.state).toBe('SESS_TERM');
    paa.answer(PTA, 0);
    expect(paa.take()).toEqual(['closed terminated']);
  });

  it('terminate trigger, twice and without an answer: DISC after ten PTRs', () => {
    const paa = opened().feed({ type: 'terminate' }).feed({ type: 'terminate' }).run(400_000);
    const said = paa.take();
    expect(said.filter((name) => name === 'PTR')).toHaveLength(10);
    expect(said.at(-1)).toBe('closed terminated');
  });

  it('SESS_TERM, Rx PTR: both ends end it: Tx PTA', () => {
    const paa = opened().feed({ type: 'terminate' });
    const ptr = paa.last;
    paa.request(PTR, 0, [makeAvp('Termination-Cause', 4)]);
    expect(paa.state).toBe('SESS_TERM');
    paa.answer(PTA, 0, [], ptr);
    expect(paa.take()).toEqual(['PTR', 'PTA', 'closed terminated']);
  });

  it('Rx what is not for this phase, or not in sequence: nothing', () => {
    const paa = opened();
    const { sequence } = paa;
    paa.request(PNR, FLAG.A);
    paa.request(PAR, FLAG.C, [makeAvp('Result-Code', 1)], { sequence });
    paa.request(PNR, FLAG.P, [], { sequence: sequence + 2 });
    paa.request(PNR, FLAG.P, [], { sequence, sessionId: paa.sessionId + 1 });
    paa.put({ type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.P, sessionId: paa.sessionId, sequence: 1, avps: [] });
    expect(paa.take()).toEqual([
      'dropped unexpected',
      'dropped unexpected',
      'dropped out-of-sequence',
      'dropped unknown-session',
      'dropped out-of-sequence',
    ]);
    expect(paa.state).toBe('OPEN');
  });

  it('I bit in PAR[C]: reconfigure', () => {
    const paa = new ForeignPaa()
      .start()
      .eapRequest(true)
      .respond()
      .feed({ type: 'eapKeys', msk: new ForeignPaa().msk });
    paa.complete([], 7, FLAG.I);
    paa.feed({ type: 'eapSucceeded' });
    expect(paa.said.at(-1)).toMatchObject({ type: 'authorized', reconfigure: true });
  });

  it('without a Session-Lifetime, or with 0xFFFFFFFF: no end', () => {
    for (const avps of [[], [makeAvp('Session-Lifetime', 0xffff_ffff)]]) {
      const paa = new ForeignPaa()
        .start()
        .eapRequest(true)
        .respond()
        .feed({ type: 'eapKeys', msk: new ForeignPaa().msk });
      paa.key = paa.keyed();
      paa.request(PAR, FLAG.C, [
        makeAvp('Result-Code', 0),
        makeAvp('EAP-Payload', EAP.success),
        makeAvp('Key-Id', 7),
        ...avps,
      ]);
      paa.feed({ type: 'eapSucceeded' });
      expect(paa.said.at(-1)).toMatchObject({ type: 'authorized', lifetime: undefined });
      expect(paa.deadline).toBeUndefined();
    }
  });

  it.each([true, false])('hands out its keys only where it is configured: %s', (exportKeys) => {
    const paa = new ForeignPaa({ config: { exportKeys } }).start().eapRequest(true).respond();
    paa.feed({ type: 'eapKeys', msk: paa.msk });
    paa.complete();
    const keys = paa.said.flatMap((output) => (output.type === 'key' ? [{ ...output, key: output.key.octets() }] : []));
    expect(keys).toEqual(
      exportKeys
        ? [{ type: 'key', sessionId: paa.sessionId, keyId: 7, integrity: 12, key: paa.key?.key.octets() }]
        : [],
    );
  });
});

describe('the PaC in CLOSED', () => {
  it('anything: nothing', () => {
    const paa = opened().feed({ type: 'terminate' });
    paa.answer(PTA, 0);
    paa.take();
    paa.request(PNR, FLAG.P);
    paa.offer();
    for (const type of ['start', 'ping', 'moved', 'reauthenticate', 'terminate', 'eapFailed'] as const)
      paa.feed({ type });
    paa.feed({ type: 'eapKeys', msk: paa.msk }).respond();
    expect(paa.take()).toEqual(Array(2).fill('dropped unknown-session'));
    expect(paa.deadline).toBeUndefined();
    expect(paa.pac.sessionId).toBeUndefined();
    expect(paa.pac.protected).toBe(false);
  });
});
