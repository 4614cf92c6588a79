// Long, because it has all rows of the state tables of RFC 5609 6.6 and 7.5.

import { describe, expect, it } from 'vitest';
import { FLAG, MESSAGE_TYPE } from '../../../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../../../src/protocol/pana/wire/dictionary.js';
import { EAP, ForeignPaa, PAN, PAR, PNA, PNR, PTA, PTR } from '../wire/foreign.js';

const noPiggyback = { config: { piggyback: false } };

function opened(options: ConstructorParameters<typeof ForeignPaa>[0] = {}): ForeignPaa {
  const paa = new ForeignPaa(options).open();
  expect(paa.state).toBe('OPEN');
  return paa;
}

describe('the PaC in INITIAL', () => {
  it('sends PCI on AUTH_USER and again after 1 s, doubling to 120 s, and never stops', () => {
    const paa = new ForeignPaa().feed({ type: 'start' });
    expect(paa.take()).toEqual(['PCI']);
    const gaps: number[] = [];
    for (let i = 0; i < 12; i += 1) {
      const at = paa.deadline ?? 0;
      gaps.push(at - paa.now);
      // Nothing is sent before the deadline.
      expect(paa.run(at - 0.001).take()).toEqual([]);
      expect(paa.run(at).take()).toEqual(['PCI']);
    }
    expect(Math.abs((gaps[0] ?? 0) - 1000)).toBeLessThanOrEqual(100);
    for (const gap of gaps.slice(8)) expect(Math.abs(gap - 120_000)).toBeLessThanOrEqual(12_000);
    expect(paa.state).toBe('INITIAL');
  });

  it('ignores a second AUTH_USER', () => {
    expect(new ForeignPaa().feed({ type: 'start' }).feed({ type: 'start' }).take()).toEqual(['PCI']);
  });

  it('closes when PCI was sent PCI_MRC times without an answer', () => {
    const paa = new ForeignPaa({ config: { pci: { irt: 1000, mrt: 120_000, mrc: 3, mrd: 0 } } });
    paa.feed({ type: 'start' }).run(60_000);
    expect(paa.take()).toEqual(['PCI', 'PCI', 'PCI', 'closed no-answer']);
  });

  it('answers PAR[S] without EAP-Payload with PAN[S] and restarts EAP', () => {
    const paa = new ForeignPaa().start();
    expect(paa.take()).toEqual(['PCI', 'PAN[S]', 'eapRestart']);
    expect(paa.state).toBe('WAIT_PAA');
    expect(paa.last.values).toMatchObject({ 'PRF-Algorithm': [5], 'Integrity-Algorithm': [12] });
    expect(paa.last.values.Nonce).toBeUndefined();
  });

  it('answers PAR[S] that it did not ask for, and closes after FAILED_SESS_TIMEOUT without PCI', () => {
    const paa = new ForeignPaa().offer();
    expect(paa.take()).toEqual(['PAN[S]', 'eapRestart']);
    expect(paa.state).toBe('WAIT_PAA');
    // FAILED_SESS_TIMEOUT. The PAA started the session, so the PaC does not send PCI afterwards.
    expect(paa.run(59_999).take()).toEqual([]);
    expect(paa.run(60_000).take()).toEqual(['closed no-progress']);
  });

  it('passes the EAP-Payload of PAR[S] to EAP and sends the response in PAN[S] when piggybacking', () => {
    const paa = new ForeignPaa().start([makeAvp('EAP-Payload', EAP.request)]);
    expect(paa.take()).toEqual(['PCI', 'eapRestart', 'eapPacket']);
    expect(paa.state).toBe('INITIAL');
    expect(paa.respond().take()).toEqual(['PAN[S]']);
    expect(paa.last.values['EAP-Payload']).toEqual(EAP.response);
    expect(paa.state).toBe('WAIT_PAA');
    // PCI is retransmitted until a PAR without S arrives.
    expect(paa.run(1200).take()).toEqual(['PCI']);
    expect(paa.eapRequest(true).run(30_000).take()).toEqual(['PAN', 'eapPacket']);
  });

  it('forgets PAR[S] with EAP-Payload after FAILED_SESS_TIMEOUT when EAP gives no response', () => {
    const paa = new ForeignPaa().start([makeAvp('EAP-Payload', EAP.request)]).run(60_000);
    expect(paa.state).toBe('INITIAL');
    paa.take();
    expect(paa.respond().take()).toEqual([]);
    expect(paa.offer().take()).toContain('PAN[S]');
  });

  it('answers PAR[S] with EAP-Payload at once and sends the EAP response in PAR when not piggybacking', () => {
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

  it('drops PAR[S] with only unsupported algorithms', () => {
    const offer = [makeAvp('PRF-Algorithm', 99), makeAvp('Integrity-Algorithm', 12)];
    expect(new ForeignPaa({ offer }).start().take()).toEqual(['PCI', 'dropped no-algorithm']);
  });

  it('drops all other messages and ignores all other inputs', () => {
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

describe('the PaC in WAIT_PAA before the session is open', () => {
  it('repeats PAN[S] for the same PAR[S] and starts again for a new one', () => {
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

  it('passes the EAP-Payload of PAR to EAP and sends the response in PAN, with a Nonce in the first PAN', () => {
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

  it('answers PAR at once with PAN and sends the EAP response in a retransmitted PAR when not piggybacking', () => {
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

  it('drops PAR[S] after a PAR (RFC 5191 5.5)', () => {
    const paa = new ForeignPaa().start().eapRequest(true).respond();
    paa.take();
    paa.sessionId += 1;
    expect(paa.offer().take()).toEqual(['dropped unexpected']);
  });

  it.each([
    ['without its Nonce', false, 'dropped nonce'],
    ['with a Nonce when it is not the first one', true, 'eapPacket'],
  ])('drops PAR %s', (_what, first, expected) => {
    const paa = new ForeignPaa().start();
    paa.take();
    expect(paa.eapRequest(first).take()).toEqual([expected]);
    if (first) expect(paa.respond().eapRequest(true).take()).toEqual(['PAN', 'dropped nonce']);
  });

  it('restarts EAP within the same run when a PAR requests the identity again', () => {
    const paa = new ForeignPaa().start().eapRequest(true).respond();
    paa.take();
    expect(paa.eapRequest(false).take()).toEqual(['eapRestart', 'eapPacket']);
    paa.respond().feed({ type: 'eapKeys', msk: new ForeignPaa().msk });
    paa.complete();
    expect(paa.feed({ type: 'eapSucceeded' }).take().at(-1)).toBe('authorized');
  });

  it('drops PAR without EAP-Payload', () => {
    const paa = new ForeignPaa().start();
    paa.take();
    paa.request(PAR, 0, [makeAvp('Nonce', paa.nonce)]);
    expect(paa.take()).toEqual(['dropped avp-missing']);
  });

  it('answers successful PAR[C] with signed PAN[C] and Key-Id on EAP_SUCCESS, and opens for Session-Lifetime', () => {
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

  it('answers successful PAR[C] with PAN[C] without Key-Id and closes on EAP_FAILURE', () => {
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

  it('closes after FAILED_SESS_TIMEOUT when EAP gives no result for a successful PAR[C]', () => {
    const paa = new ForeignPaa()
      .start()
      .eapRequest(true)
      .respond()
      .feed({ type: 'eapKeys', msk: new ForeignPaa().msk });
    paa.complete();
    paa.take();
    expect(paa.run(60_000).take()).toEqual(['closed no-progress']);
  });

  it('passes EAP-Failure of PAR[C] with Result-Code 1 to EAP, then sends PAN[C] and closes', () => {
    const paa = new ForeignPaa().start().eapRequest(true).respond();
    paa.take();
    paa.request(PAR, FLAG.C, [makeAvp('Result-Code', 1), makeAvp('EAP-Payload', EAP.failure)]);
    expect(paa.take()).toEqual(['eapPacket']);
    expect(paa.state).toBe('WAIT_EAP_RESULT_CLOSE');
    expect(paa.feed({ type: 'eapFailed' }).take()).toEqual(['PAN[C]', 'closed authentication-rejected']);
  });

  it('answers PAR[C] with Result-Code 1 and no EAP-Payload with PAN[C] and closes', () => {
    const paa = new ForeignPaa().start().eapRequest(true).respond();
    paa.take();
    paa.request(PAR, FLAG.C, [makeAvp('Result-Code', 1)]);
    expect(paa.take()).toEqual(['PAN[C]', 'closed authentication-rejected']);
  });

  it('drops PAR[C] with Result-Code 2 without AUTH; answers it with AUTH by PAN[C] with Key-Id and closes', () => {
    const paa = new ForeignPaa()
      .start()
      .eapRequest(true)
      .respond()
      .feed({ type: 'eapKeys', msk: new ForeignPaa().msk });
    paa.take();
    const refusal = [makeAvp('Result-Code', 2), makeAvp('EAP-Payload', EAP.success)];
    // Anybody can send it without AUTH.
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

  it('drops PAR[C] that lacks an AVP or AUTH', () => {
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

  it('opens without mobility when the home agent address of PAR[C] is unusable, for 1 s if the lifetime is 0', () => {
    const paa = new ForeignPaa().start().eapRequest(true).respond();
    paa.feed({ type: 'eapKeys', msk: paa.msk });
    const agent = makeAvp('MIP6-Home-Agent-Address', Uint8Array.of(0, 2, ...new Uint8Array(16)));
    paa.key = paa.keyed(7);
    const result = [makeAvp('Result-Code', 0), makeAvp('EAP-Payload', EAP.success), makeAvp('Key-Id', 7)];
    paa.request(PAR, FLAG.C, [...result, makeAvp('Session-Lifetime', 0), agent]);
    paa.feed({ type: 'eapSucceeded' });
    expect(paa.said.findLast(({ type }) => type === 'authorized')).toMatchObject({
      assignment: undefined,
      mobilityProblem: 'home agent: it is unspecified, loopback or IPv4-compatible',
      lifetime: 1000,
    });
    expect(paa.state).toBe('OPEN');
  });

  it('drops PTR and PNR during the first authentication (RFC 5191 5.5)', () => {
    const paa = new ForeignPaa().start();
    paa.take();
    const { sequence } = paa;
    paa.request(PTR, 0, [makeAvp('Termination-Cause', 4)], { sequence });
    paa.request(PNR, FLAG.P, [], { sequence });
    expect(paa.take()).toEqual(Array(2).fill('dropped unexpected'));
  });

  it('closes without a message when the user terminates before there is a key', () => {
    expect(new ForeignPaa().start().feed({ type: 'terminate' }).take().at(-1)).toBe('closed terminated');
  });
});

describe('the PaC in WAIT_EAP_MSG', () => {
  const waiting = (options?: ConstructorParameters<typeof ForeignPaa>[0]) => {
    const paa = new ForeignPaa(options).start().eapRequest(true);
    paa.take();
    return paa;
  };

  it('sends PAN with a Nonce when the EAP reply timer expires, and the late response in PAR', () => {
    const paa = waiting();
    expect(paa.deadline).toBe(500);
    expect(paa.run(499.9).take()).toEqual([]);
    expect(paa.run(500).take()).toEqual(['PAN']);
    expect(paa.last.values).toMatchObject({ Nonce: expect.any(Uint8Array) });
    expect(paa.last.values['EAP-Payload']).toBeUndefined();
    expect(paa.state).toBe('WAIT_PAA');
    expect(paa.respond().take()).toEqual(['PAR']);
  });

  it('sends PAN and closes on EAP_DISCARD when piggybacking', () => {
    expect(waiting().feed({ type: 'eapDiscarded' }).take()).toEqual(['PAN', 'closed eap-failed']);
  });

  it('closes without a message on EAP_DISCARD when not piggybacking', () => {
    expect(waiting(noPiggyback).feed({ type: 'eapDiscarded' }).take()).toEqual(['closed eap-failed']);
  });

  it('closes on EAP_FAILURE', () => {
    expect(waiting().feed({ type: 'eapFailed' }).take()).toEqual(['closed eap-failed']);
  });

  it('ignores EAP_SUCCESS', () => {
    expect(waiting().feed({ type: 'eapSucceeded' }).take()).toEqual([]);
  });

  it('ignores a repeated PAR until it has answered, then repeats its PAN at a limited rate', () => {
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

describe('the PaC with an open session', () => {
  it('sends PNR[P] when a ping is requested, retransmits it, and returns to OPEN at PNA[P]', () => {
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

  it('refuses a second ping within one second', () => {
    const paa = opened().feed({ type: 'ping' });
    paa.answer(PNA, FLAG.P);
    expect(paa.feed({ type: 'ping' }).take()).toEqual(['PNR[P]', 'dropped pings']);
    paa.run(1000);
    expect(paa.feed({ type: 'ping' }).take()).toEqual(['PNR[P]']);
  });

  it('sends PNR[P] when it has heard nothing for pingInterval', () => {
    const paa = opened({ config: { pingInterval: 20_000 } });
    expect(paa.run(19_999).take()).toEqual([]);
    // Any valid message shows that the PAA is alive.
    paa.request(PNR, FLAG.P);
    expect(paa.take()).toEqual(['PNA[P]']);
    expect(paa.run(39_998).take()).toEqual([]);
    expect(paa.run(39_999).take()).toEqual(['PNR[P]']);
  });

  it('measures the silence from the last answer or request of the PAA', () => {
    const paa = opened({ config: { pingInterval: 20_000 } });
    expect(paa.run(20_000).take()).toEqual(['PNR[P]']);
    paa.run(20_500).answer(PNA, FLAG.P);
    expect(paa.run(40_499).take()).toEqual([]);
    expect(paa.run(40_500).take()).toEqual(['PNR[P]']);
    paa.run(40_600).answer(PNA, FLAG.P);
    paa.run(50_000).eapRequest(true).respond();
    expect(paa.take()).toEqual(['PAN', 'eapRestart', 'eapPacket']);
    paa.run(60_000).msk = new Uint8Array(64).fill(0x77);
    paa.feed({ type: 'eapKeys', msk: paa.msk });
    paa.complete([], 8);
    paa.feed({ type: 'eapSucceeded' });
    expect(paa.take()).toEqual(['PAN[C]', 'eapPacket', 'authorized']);
    expect(paa.run(79_999).take()).toEqual([]);
    expect(paa.run(80_000).take()).toEqual(['PNR[P]']);
  });

  it('closes after ten unanswered PNR[P] and reports silence from the fourth on', () => {
    const paa = opened().feed({ type: 'ping' }).run(400_000);
    expect(paa.sent.filter(({ name }) => name === 'PNR[P]')).toHaveLength(10);
    const events = paa.take().filter((name) => name !== 'PNR[P]');
    expect(events).toEqual([...Array(7).fill('silent'), 'closed no-answer']);
  });

  it('reports that the PAA responds again when PNA[P] arrives after a silence', () => {
    const paa = opened().feed({ type: 'ping' }).run(10_000);
    paa.take();
    paa.answer(PNA, FLAG.P);
    expect(paa.take()).toEqual(['heard']);
  });

  it('sends PNR[A] on request, drops PAR until PNA[A], and opens again with a new key', () => {
    const paa = opened().feed({ type: 'reauthenticate' });
    expect(paa.take()).toEqual(['PNR[A]']);
    expect(paa.state).toBe('WAIT_PNA_REAUTH');
    const { sequence } = paa;
    // PAR is dropped until PNA[A] has arrived (RFC 5191 4.3).
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

  it('sends PNR[A] when the configured fraction of the lifetime has passed', () => {
    const paa = opened({ config: { reauthenticateAt: 0.75 } });
    expect(paa.run(2_699_999).take()).toEqual([]);
    expect(paa.run(2_700_000).take()).toEqual(['PNR[A]']);
  });

  it('closes when PNR[A] stays unanswered', () => {
    expect(opened().feed({ type: 'reauthenticate' }).run(400_000).take().at(-1)).toBe('closed no-answer');
  });

  it('ends the session on a failed re-authentication only if PAR[C] has the AUTH of the old key', () => {
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

  it.each(['OPEN', 'WAIT_PNA_PING'])('starts a re-authentication when PAR arrives in %s', (state) => {
    const paa = opened();
    if (state === 'WAIT_PNA_PING') paa.feed({ type: 'ping' });
    paa.take();
    paa.eapRequest(true);
    expect(paa.take()).toEqual(['eapRestart', 'eapPacket']);
    expect(paa.state).toBe('WAIT_EAP_MSG');
    expect(paa.respond().take()).toEqual(['PAN']);
    expect(paa.last.values.Nonce).toHaveLength(20);
    if (state !== 'WAIT_PNA_PING') return;
    // The ping stays outstanding, because dropping it would leave a gap in the sequence numbers.
    expect(paa.run(1200).take()).toEqual(['PNR[P]']);
    paa.answer(PNA, FLAG.P);
    expect(paa.run(20_000).take()).toEqual([]);
  });

  it('answers the first PAR of a re-authentication at once with PAN and Nonce when not piggybacking', () => {
    const paa = opened(noPiggyback);
    paa.eapRequest(true);
    expect(paa.take()).toEqual(['PAN', 'eapRestart', 'eapPacket']);
    expect(paa.last.values.Nonce).toHaveLength(20);
  });

  it.each(['OPEN', 'WAIT_PNA_PING', 'WAIT_PNA_REAUTH', 'WAIT_PAA', 'WAIT_EAP_MSG'])(
    'answers PTR with PTA and closes in %s',
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
    'answers PNR[P] with PNA[P] and keeps its state in %s',
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

  it('sends PTR with LOGOUT on request and closes at PTA', () => {
    const paa = opened().feed({ type: 'terminate' });
    expect(paa.take()).toEqual(['PTR']);
    expect(paa.last.values['Termination-Cause']).toBe(1);
    expect(paa.state).toBe('SESS_TERM');
    paa.answer(PTA, 0);
    expect(paa.take()).toEqual(['closed terminated']);
  });

  it('closes after ten unanswered PTRs', () => {
    const paa = opened().feed({ type: 'terminate' }).feed({ type: 'terminate' }).run(400_000);
    const said = paa.take();
    expect(said.filter((name) => name === 'PTR')).toHaveLength(10);
    expect(said.at(-1)).toBe('closed terminated');
  });

  it('answers PTR with PTA in SESS_TERM and still waits for its own PTA', () => {
    const paa = opened().feed({ type: 'terminate' });
    const ptr = paa.last;
    paa.request(PTR, 0, [makeAvp('Termination-Cause', 4)]);
    expect(paa.state).toBe('SESS_TERM');
    paa.answer(PTA, 0, [], ptr);
    expect(paa.take()).toEqual(['PTR', 'PTA', 'closed terminated']);
  });

  it('drops messages of another phase, sequence number or session', () => {
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

  it('reports that addresses must be reconfigured when PAR[C] has the I bit', () => {
    const paa = new ForeignPaa()
      .start()
      .eapRequest(true)
      .respond()
      .feed({ type: 'eapKeys', msk: new ForeignPaa().msk });
    paa.complete([], 7, FLAG.I);
    paa.feed({ type: 'eapSucceeded' });
    expect(paa.said.at(-1)).toMatchObject({ type: 'authorized', reconfigure: true });
  });

  it('keeps the session without a time limit when Session-Lifetime is absent or 0xFFFFFFFF', () => {
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

  it.each([true, false])('outputs PANA_AUTH_KEY only if exportKeys is set: %s', (exportKeys) => {
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
  it('drops every message and ignores every other input', () => {
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
