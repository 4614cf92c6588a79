// Long, because it has all rows of the state tables of RFC 5609 6.6 and 8.4.

import { describe, expect, it } from 'vitest';
import { MAX_DUE } from '../../../../src/protocol/pana/agent/paa.js';
import type { PaaConfig } from '../../../../src/protocol/pana/agent/paa-interface.js';
import { EPOCH, STARTS_PER_EPOCH } from '../../../../src/protocol/pana/agent/stateless-start.js';
import { encodePana, FLAG, MESSAGE_TYPE } from '../../../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../../../src/protocol/pana/wire/dictionary.js';
import { HOME, PAA_CONFIG } from '../session/ladder.js';
import { EAP, ForeignPac, PAN, PAR, PNA, PNR, PTA, PTR, sentOf } from '../wire/foreign.js';

const ALGORITHMS = [makeAvp('PRF-Algorithm', 5), makeAvp('Integrity-Algorithm', 12)];

function opened(config: Partial<PaaConfig> = {}): ForeignPac {
  const pac = new ForeignPac(config).open();
  expect(pac.state).toBe('OPEN');
  return pac;
}

describe('the PAA in INITIAL', () => {
  it('answers PCI with a PAR[S] that has its algorithms, without a timer or state', () => {
    const pac = new ForeignPac().pci();
    expect(pac.take()).toEqual(['PAR[S]']);
    expect(pac.last.values).toMatchObject({ 'PRF-Algorithm': [5, 2], 'Integrity-Algorithm': [12, 7] });
    expect(pac.last.values.Nonce).toBeUndefined();
    expect(pac.deadline).toBeUndefined();
    expect(pac.paa.size).toBe(0);
    const first = pac.last.octets;
    expect(pac.pci().last.octets).toEqual(first);
  });

  it('drops PCI with a session identifier or sequence number, and a message of a relay', () => {
    const pac = new ForeignPac();
    pac.put({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 1, sequence: 0, avps: [] });
    pac.put({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 1, avps: [] });
    pac.put({ type: MESSAGE_TYPE.RELAY, flags: 0, sessionId: 0, sequence: 0, avps: [] });
    expect(pac.take()).toEqual(['dropped unexpected', 'dropped unexpected', 'dropped unknown-relay']);
  });

  it('drops messages from UDP port 0', () => {
    const pac = new ForeignPac();
    pac.from = { ...pac.from, port: 0 };
    expect(pac.pci().take()).toEqual(['dropped source-port']);
  });

  it('drops PCI with a wrong length without counting it against the limit of its address', () => {
    const pac = new ForeignPac();
    const octets = encodePana({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] });
    const broken = [octets.subarray(0, 15), Uint8Array.of(...octets, 0, 0, 0, 0)];
    for (let nth = 0; nth < 100; nth += 1) {
      for (const each of broken) pac.feed({ type: 'datagram', octets: each, from: pac.from });
    }
    expect(new Set(pac.take())).toEqual(new Set(['dropped truncated', 'dropped leftover']));
    expect(pac.pci().take()).toEqual(['PAR[S]']);
  });

  it('handles a limited number of deadlines in one tick, and the rest in the next ones', () => {
    const { limits } = PAA_CONFIG;
    const { paa, from } = new ForeignPac({ limits: { ...limits, halfOpen: 1_000 } });
    for (let port = 1; port <= 2 * MAX_DUE + 1; port += 1) {
      paa.handle({ type: 'invite', peer: { ...from, port } }, 0);
    }
    const counts = [1, 2, 3, 4].map(() => paa.handle({ type: 'tick' }, 1_100).length);
    expect(counts).toEqual([MAX_DUE, MAX_DUE, 1, 0]);
    expect(paa.deadline).toBeGreaterThan(1_100);
  });

  it('restarts EAP at PAN[S], and closes after FAILED_SESS_TIMEOUT', () => {
    const pac = new ForeignPac().start();
    expect(pac.take()).toEqual(['PAR[S]', 'eapStart']);
    expect(pac.state).toBe('WAIT_EAP_MSG');
    expect(pac.paa.halfOpen).toBe(1);
    expect(pac.run(59_999).take()).toEqual([]);
    expect(pac.run(60_000).take()).toEqual(['closed no-progress']);
    expect(pac.paa.halfOpen).toBe(0);
  });

  it('drops PAN[S] two epochs after PAR[S], and PAN[S] of a session that has ended', () => {
    const late = new ForeignPac().pci();
    late.run(2 * EPOCH);
    late.accept(ALGORITHMS);
    expect(late.take()).toEqual(['PAR[S]', 'dropped bad-start']);
    const over = new ForeignPac().start();
    const pan = over.encode({ ...sentOf(over.last.octets).message, flags: FLAG.S, avps: ALGORITHMS });
    over.session({ type: 'eapTimeout' });
    over.take();
    over.again(pan);
    expect(over.take()).toEqual(['dropped bad-start']);
  });

  it('drops PAN[S] without algorithms that it offered, unless the SA is optional and PAN[S] has none', () => {
    for (const avps of [
      [makeAvp('PRF-Algorithm', 99), makeAvp('Integrity-Algorithm', 12)],
      [makeAvp('PRF-Algorithm', 5)],
      [makeAvp('Integrity-Algorithm', 12)],
      [],
    ]) {
      expect(new ForeignPac().start(avps).take()).toEqual(['PAR[S]', 'dropped no-algorithm']);
    }
    expect(new ForeignPac({ sa: 'optional' }).start([]).take()).toEqual(['PAR[S]', 'eapStart']);
  });

  it('sends firstRequest as EAP-Payload of PAR[S], and passes the EAP-Payload of PAN[S] to EAP', () => {
    const pac = new ForeignPac({ firstRequest: EAP.request, mobility: 0x7f }).pci();
    expect(pac.last.values).toMatchObject({ 'EAP-Payload': EAP.request, 'Mobility-Capability': 0x7f });
    pac.accept([...ALGORITHMS, makeAvp('EAP-Payload', EAP.response)]);
    expect(pac.said).toMatchObject([
      { event: { type: 'eapStart', asked: EAP.request } },
      { event: { type: 'eapPacket', packet: EAP.response } },
    ]);
    expect(pac.state).toBe('WAIT_EAP_MSG');
    pac.eapRequest();
    expect(pac.last.values.Nonce).toHaveLength(20);
  });

  it('passes the response in a later PAR to EAP when PAN[S] has no EAP-Payload', () => {
    const pac = new ForeignPac({ firstRequest: EAP.request }).start();
    expect(pac.state).toBe('WAIT_PAN_OR_PAR');
    pac.take();
    pac.request(PAR, 0, [makeAvp('EAP-Payload', EAP.response)]);
    expect(pac.take()).toEqual(['PAN', 'eapPacket']);
    expect(pac.state).toBe('WAIT_EAP_MSG');
    // A restarted PaC resumes the same start with other sequence numbers.
    const { sequence } = pac;
    pac.request(PAR, 0, [makeAvp('EAP-Payload', EAP.response)], { sequence: sequence + 77 });
    expect(pac.take()).toEqual(['PAN']);
    pac.request(PAR, 0, [makeAvp('EAP-Payload', EAP.failure)], { sequence: sequence + 177 });
    expect(pac.take()).toEqual(['dropped out-of-sequence']);
  });

  it('ignores EAP-Payload in PAN[S] when PAR[S] had none', () => {
    const pac = new ForeignPac().start([...ALGORITHMS, makeAvp('EAP-Payload', EAP.response)]);
    expect(pac.take()).toEqual(['PAR[S]', 'eapStart']);
  });

  it('cycles through three offers: with EAP-Payload and mobility, with mobility, with algorithms only', () => {
    const pac = new ForeignPac({ firstRequest: EAP.request, mobility: 0x7f });
    const forms = Array.from({ length: 6 }, () => {
      const { values } = pac.pci().last;
      return `${values['EAP-Payload'] ? 'eap ' : ''}${values['Mobility-Capability'] === undefined ? 'plain' : 'full'}`;
    });
    expect(forms).toEqual(['eap full', 'full', 'plain', 'eap full', 'full', 'plain']);
  });

  it('sends PAR[S] on PAC_FOUND, retransmits it, and drops PCIs of that PaC meanwhile', () => {
    const pac = new ForeignPac().feed({ type: 'invite', peer: new ForeignPac().from });
    expect(pac.take()).toEqual(['PAR[S]']);
    expect(pac.pci().take()).toEqual(['dropped unexpected']);
    const at = pac.deadline ?? 0;
    expect(Math.abs(at - 1000)).toBeLessThanOrEqual(100);
    expect(pac.run(at - 0.001).take()).toEqual([]);
    expect(pac.run(at).take()).toEqual(['PAR[S]']);
    pac.accept(ALGORITHMS);
    expect(pac.take()).toEqual(['eapStart']);
    expect(pac.deadline).toBe(at + 60_000);
  });

  it('limits PCIs, starts, half-open sessions, sessions and invitations', () => {
    const limits = {
      pciPerAddress: 2,
      pciPerNetwork: 1000,
      pciInAll: 3,
      sessions: 1,
      halfOpenPerAddress: 1,
      halfOpenPerNetwork: 9,
      halfOpen: 1,
    };
    const codes = (pac: ForeignPac) => pac.take().filter((name) => name.startsWith('dropped'));
    const pac = new ForeignPac({ limits });
    pac.pci().pci().pci();
    expect(codes(pac)).toEqual(['dropped pci-of-address']);
    pac.from = { ...pac.from, address: '2001:db8::2' };
    pac.pci();
    pac.from = { ...pac.from, address: '2001:db8::3' };
    pac.pci();
    expect(codes(pac)).toEqual(['dropped pci-in-all']);

    const begin = (more: Partial<PaaConfig['limits']>, address: string) => {
      const two = new ForeignPac({ limits: { ...limits, pciInAll: 100, pciPerAddress: 100, ...more } }).start();
      two.eapRequest().respond(true);
      two.from = { ...two.from, address, port: 41_000 };
      two.start();
      return codes(two);
    };
    const { address } = new ForeignPac().from;
    expect(begin({ sessions: 9, halfOpen: 9 }, address)).toEqual(['dropped half-open-of-address']);
    expect(begin({ sessions: 9 }, '2001:db8::9')).toEqual(['dropped half-open-in-all']);
    expect(begin({ halfOpen: 9 }, '2001:db8::9')).toEqual(['dropped sessions-in-all']);

    const inviting = new ForeignPac({ limits }).feed({ type: 'invite', peer: pac.from });
    inviting.feed({ type: 'invite', peer: { ...pac.from, port: 2 } });
    expect(codes(inviting)).toEqual(['dropped invitations']);

    const many = new ForeignPac({ limits: { ...limits, pciPerAddress: 100, pciInAll: 100 } });
    for (let i = 0; i <= STARTS_PER_EPOCH; i += 1) {
      many.start();
      many.session({ type: 'eapTimeout' });
    }
    // The last PCI is not answered, so the PAN[S] after it answers a start that has ended.
    expect(codes(many)).toEqual(['dropped starts-of-epoch', 'dropped bad-start']);
    many.run(EPOCH);
    many.start();
    expect(codes(many)).toEqual([]);
  });
});

describe('the PAA in WAIT_EAP_MSG', () => {
  it('sends the EAP request in PAR, with a Nonce in the first one, and retransmits it', () => {
    const pac = new ForeignPac().start().eapRequest();
    expect(pac.state).toBe('WAIT_PAN_OR_PAR');
    expect(pac.last.values).toMatchObject({ 'EAP-Payload': EAP.request, Nonce: expect.any(Uint8Array) });
    pac.take();
    const at = pac.deadline ?? 0;
    expect(pac.run(at).take()).toEqual(['PAR']);
    pac.respond(true).eapRequest();
    expect(pac.last.values.Nonce).toBeUndefined();
  });

  it('sends PAR[C] with Result-Code 1 on EAP_FAILURE, and closes at PAN[C]', () => {
    const pac = new ForeignPac().start().eapRequest().respond(true);
    pac.take();
    pac.session({ type: 'eapFailure', packet: EAP.failure });
    expect(pac.take()).toEqual(['PAR[C]']);
    expect(pac.last.values).toMatchObject({ 'Result-Code': 1, 'EAP-Payload': EAP.failure });
    expect(pac.last.values['Key-Id']).toBeUndefined();
    expect(pac.state).toBe('WAIT_FAIL_PAN');
    pac.answer(PAN, FLAG.C);
    expect(pac.take()).toEqual(['closed rejected']);
  });

  it('closes after FAILED_SESS_TIMEOUT when PAR[C] with Result-Code 1 is not answered', () => {
    const pac = new ForeignPac().start().eapRequest().respond(true);
    pac.take();
    pac.session({ type: 'eapFailure', packet: undefined }).run(400_000);
    const said = pac.take();
    expect(said.filter((name) => name === 'PAR[C]')).toHaveLength(6);
    expect(said.at(-1)).toBe('closed rejected');
  });

  it('sends signed PAR[C] with Result-Code 0 on EAP_SUCCESS, and opens for the lifetime at PAN[C]', () => {
    const pac = new ForeignPac().start().eapRequest().respond(true).success();
    pac.take();
    expect(pac.state).toBe('WAIT_SUCC_PAN');
    expect(pac.last.values).toMatchObject({ 'Result-Code': 0, 'Session-Lifetime': 3600 });
    pac.key = pac.keyed();
    expect(pac.isSigned).toBe(true);
    pac.complete();
    expect(pac.take()).toEqual(['authorized']);
    expect(pac.deadline).toBe(3_600_000);
    expect(pac.run(3_599_999).take()).toEqual([]);
    expect(pac.run(3_600_000).take()).toEqual(['closed lifetime-expired']);
  });

  it('reports that access was granted when PAN[C] does not arrive', () => {
    const pac = new ForeignPac().start().eapRequest().respond(true).success().run(400_000);
    expect(pac.said.at(-1)).toMatchObject({ event: { type: 'closed', cause: 'no-answer', granted: true } });
  });

  it('sends signed PAR[C] with Result-Code 2 on EAP_SUCCESS without authorization, and closes at PAN[C]', () => {
    const pac = new ForeignPac().start().eapRequest().respond(true).success(false);
    pac.take();
    expect(pac.state).toBe('WAIT_FAIL_PAN');
    expect(pac.last.values).toMatchObject({ 'Result-Code': 2, 'EAP-Payload': EAP.success });
    pac.key = pac.keyed();
    expect(pac.isSigned).toBe(true);
    pac.complete();
    expect(pac.take()).toEqual(['closed rejected']);
    expect(pac.paa.size).toBe(0);
  });

  it('closes when an EAP packet does not fit in a message', () => {
    const packet = new Uint8Array(65_532).fill(1);
    const request = new ForeignPac().start();
    request.take();
    expect(request.session({ type: 'eapRequest', packet }).take()).toEqual(['dropped too-long', 'closed no-progress']);
    const failure = new ForeignPac().start();
    failure.take();
    expect(failure.session({ type: 'eapFailure', packet }).take()).toEqual(['dropped too-long', 'closed no-progress']);
    const success = new ForeignPac().start().eapRequest().respond(true);
    success.take();
    const grant = { lifetime: undefined, authorizationLifetime: undefined, assignment: undefined };
    const { msk } = success;
    success.session({ type: 'eapSuccess', packet, msk, authorized: true, grant });
    // The AAA server has granted access, so it must learn of the end.
    expect(success.said.at(-1)).toMatchObject({ event: { type: 'closed', granted: true } });
    expect(success.take()).toEqual(['dropped too-long', 'closed no-progress']);
    expect(success.paa.size).toBe(0);
  });

  it('sends Result-Code 2 when EAP succeeds without the key that the SA needs', () => {
    const pac = new ForeignPac().start().eapRequest().respond(true).success(true, 'none');
    expect(pac.last.values['Result-Code']).toBe(2);
    // The AAA server has granted access nevertheless, so it must learn of the end.
    pac.answer(PAN, FLAG.C);
    expect(pac.said.at(-1)).toMatchObject({ event: { type: 'closed', granted: true } });
  });

  it('closes without a message on EAP_TIMEOUT, or on EAP_FAILURE before the PaC has answered', () => {
    const pac = new ForeignPac().start();
    pac.take();
    expect(pac.session({ type: 'eapTimeout' }).take()).toEqual(['closed eap-timeout']);
    const other = new ForeignPac().start().eapRequest();
    other.take();
    expect(other.session({ type: 'eapFailure', packet: undefined }).take()).toEqual(['closed eap-timeout']);
  });

  it('ignores EAP inputs once the session is open', () => {
    const pac = opened();
    pac.eapRequest().success().session({ type: 'eapTimeout' }).session({ type: 'eapFailure', packet: undefined });
    expect(pac.take()).toEqual([]);
    expect(pac.state).toBe('OPEN');
  });
});

describe('the PAA in WAIT_PAN_OR_PAR', () => {
  const waiting = () => {
    const pac = new ForeignPac().start().eapRequest();
    pac.take();
    return pac;
  };

  it('passes the EAP-Payload of PAN to EAP and stops retransmission', () => {
    const pac = waiting().respond(true);
    expect(pac.take()).toEqual(['eapPacket']);
    expect(pac.state).toBe('WAIT_EAP_MSG');
    expect(pac.deadline).toBe(60_000);
  });

  it('waits for PAR after PAN without EAP-Payload, passes its response to EAP and answers with PAN', () => {
    const pac = waiting();
    pac.answer(PAN, 0, [makeAvp('Nonce', pac.nonce)]);
    expect(pac.take()).toEqual([]);
    expect(pac.state).toBe('WAIT_PAN_OR_PAR');
    expect(pac.run(30_000).take()).toEqual([]);
    pac.request(PAR, 0, [makeAvp('EAP-Payload', EAP.response)]);
    expect(pac.take()).toEqual(['PAN', 'eapPacket']);
    expect(pac.last.values.Nonce).toBeUndefined();
    expect(pac.deadline).toBe(90_000);
  });

  it('accepts PAR before the delayed PAN, and sends its next request only after that PAN', () => {
    const pac = waiting();
    const par = pac.last;
    pac.request(PAR, 0, [makeAvp('EAP-Payload', EAP.response)]);
    expect(pac.take()).toEqual(['PAN', 'eapPacket']);
    // Only one request may be outstanding, so the next one waits.
    expect(pac.eapRequest().take()).toEqual([]);
    pac.answer(PAN, 0, [makeAvp('Nonce', pac.nonce)], par);
    expect(pac.take()).toEqual(['PAR']);
  });

  it('ignores the same PAN[S] again, and drops one with other algorithms', () => {
    const pac = new ForeignPac().pci();
    const pan = { ...pac.last.message, flags: FLAG.S, avps: ALGORITHMS };
    pac.accept(ALGORITHMS).eapRequest();
    pac.take();
    pac.put(pan);
    expect(pac.take()).toEqual([]);
    pac.put({ ...pan, avps: [makeAvp('PRF-Algorithm', 2), makeAvp('Integrity-Algorithm', 7)] });
    expect(pac.take()).toEqual(['dropped bad-start']);
  });

  it('repeats the same PAR[S] at PCI until the first PAN, then offers a new session', () => {
    const pac = new ForeignPac().start();
    const [offer] = pac.sent;
    pac.eapRequest();
    expect(pac.pci().last.octets).toEqual(offer?.octets);
    const par = pac.sent.find(({ name }) => name === 'PAR');
    pac.answer(PAN, 0, [makeAvp('EAP-Payload', EAP.response), makeAvp('Nonce', pac.nonce)], par);
    expect(pac.pci().last.message.sessionId).not.toBe(offer?.message.sessionId);
  });

  it.each([
    ['without its Nonce', false],
    ['with a Nonce when it is not the first one', true],
  ])('drops PAN %s', (_what, second) => {
    const pac = waiting();
    if (second) pac.respond(true).eapRequest();
    pac.take();
    pac.respond(second);
    expect(pac.take()).toEqual(['dropped nonce']);
  });

  it('drops PTR, PNR, PAR[C] and PAR without EAP-Payload in the first authentication (RFC 5191 5.5)', () => {
    const pac = waiting();
    pac.request(PTR, 0, [makeAvp('Termination-Cause', 1)]);
    pac.request(PNR, FLAG.A);
    pac.request(PNR, FLAG.P);
    pac.request(PAR, FLAG.C, [makeAvp('EAP-Payload', EAP.response)]);
    pac.request(PAR, 0);
    expect(pac.take()).toEqual(Array(5).fill('dropped unexpected'));
  });

  it('drops messages from another address before there is a key', () => {
    const pac = waiting();
    const { from } = pac;
    pac.from = { ...from, port: 1 };
    pac.respond(true);
    expect(pac.take()).toEqual(['dropped unknown-session']);
  });

  it('closes after FAILED_SESS_TIMEOUT when no PAN arrives', () => {
    const sent = waiting().run(59_999).take();
    expect(new Set(sent)).toEqual(new Set(['PAR']));
    // After 1, 3, 7, 15, 31 and 61 s, each wait shorter or longer by up to a tenth (RFC 5191 9).
    expect([5, 6]).toContain(sent.length);
    expect(waiting().run(60_000).take().at(-1)).toBe('closed no-progress');
  });
});

describe('the PAA with an open session', () => {
  it('sends PNR[P] when a ping is requested, refuses a second one, and returns to OPEN at PNA[P]', () => {
    const pac = opened().session({ type: 'ping' });
    expect(pac.take()).toEqual(['PNR[P]']);
    expect(pac.isSigned).toBe(true);
    expect(pac.state).toBe('WAIT_PNA_PING');
    expect(pac.session({ type: 'ping' }).take()).toEqual(['dropped pings']);
    pac.answer(PNA, FLAG.P);
    expect(pac.state).toBe('OPEN');
  });

  it('sends PNR[P] when it has heard nothing for pingInterval, and closes when no PNA[P] arrives', () => {
    const pac = opened({ pingInterval: 20_000 });
    expect(pac.run(19_999).take()).toEqual([]);
    pac.request(PNR, FLAG.P);
    expect(pac.take()).toEqual(['PNA[P]']);
    expect(pac.run(39_999).take()).toEqual(['PNR[P]']);
    pac.run(400_000);
    expect(pac.said.at(-1)).toMatchObject({ event: { type: 'closed', cause: 'no-answer', granted: true } });
  });

  it('measures the silence from the last answer', () => {
    const pac = opened({ pingInterval: 20_000 });
    expect(pac.run(20_000).take()).toEqual(['PNR[P]']);
    pac.run(20_500).answer(PNA, FLAG.P);
    expect(pac.run(40_499).take()).toEqual([]);
    expect(pac.run(40_500).take()).toEqual(['PNR[P]']);
  });

  it('ignores a ping request during re-authentication (RFC 5191 4.2)', () => {
    const pac = opened().session({ type: 'reauthenticate' });
    pac.take();
    expect(pac.session({ type: 'ping' }).take()).toEqual([]);
  });

  it.each(['OPEN', 'WAIT_PNA_PING'])('answers PNR[A] with PNA[A] and restarts EAP in %s', (state) => {
    const pac = opened();
    if (state === 'WAIT_PNA_PING') pac.session({ type: 'ping' });
    pac.take();
    pac.request(PNR, FLAG.A);
    expect(pac.take()).toEqual(['PNA[A]', 'eapStart']);
    expect(pac.state).toBe('WAIT_EAP_MSG');
    if (state === 'OPEN') pac.eapRequest();
    else expect(pac.eapRequest().take()).toEqual([]);
  });

  it('re-authenticates at the configured fraction of the lifetime, and then drops messages under the old key', () => {
    const pac = opened({ reauthenticateAt: 0.9 });
    expect(pac.run(3_239_999).take()).toEqual([]);
    expect(pac.run(3_240_000).take()).toEqual(['eapStart']);
    pac.eapRequest();
    expect(pac.isSigned).toBe(true);
    expect(pac.last.values.Nonce).toHaveLength(20);
    pac.nonce = new Uint8Array(20).fill(0x55);
    pac.respond(true);
    pac.msk = new Uint8Array(64).fill(0x33);
    pac.success();
    pac.take();
    const old = pac.key;
    pac.complete();
    expect(pac.state).toBe('OPEN');
    expect(pac.said.at(-1)).toMatchObject({ event: { type: 'authorized', reauthentication: true } });
    pac.key = old;
    pac.take();
    pac.request(PNR, FLAG.P);
    expect(pac.take()).toEqual(['dropped auth']);
  });

  it('re-authenticates when the Authorization-Lifetime has passed', () => {
    const pac = new ForeignPac({ reauthenticateAt: 0.9 }).start().eapRequest().respond(true);
    pac.success(true, pac.msk, { ...HOME, authorizationLifetime: 5_000 }).complete();
    pac.take();
    expect(pac.run(4_999).take()).toEqual([]);
    expect(pac.run(5_000).take()).toEqual(['eapStart']);
  });

  it('keeps the session without a time limit when the grant has no lifetime', () => {
    const pac = new ForeignPac({ reauthenticateAt: 0.9 }).start().eapRequest().respond(true);
    pac.success(true, pac.msk, { ...HOME, lifetime: undefined }).complete();
    expect(pac.last.values['Session-Lifetime']).toBeUndefined();
    expect(pac.deadline).toBeUndefined();
    expect([...pac.paa.list(0)]).toMatchObject([{ state: 'OPEN', remaining: undefined }]);
  });

  it('sends PTR with the given cause on request, and closes at PTA', () => {
    for (const [cause, closed] of [
      [4, 'administrative'],
      [8, 'session-timeout'],
    ] as const) {
      const pac = opened().session({ type: 'terminate', cause });
      expect(pac.take()).toEqual(['PTR']);
      expect(pac.last.values['Termination-Cause']).toBe(cause);
      expect(pac.state).toBe('SESS_TERM');
      expect(pac.session({ type: 'terminate', cause }).take()).toEqual([]);
      pac.answer(PTA, 0);
      expect(pac.take()).toEqual([`closed ${closed}`]);
    }
  });

  it('closes with the given cause after ten unanswered PTRs', () => {
    const pac = opened().session({ type: 'terminate', cause: 4 }).run(400_000);
    const said = pac.take();
    expect(said.filter((name) => name === 'PTR')).toHaveLength(10);
    expect(said.at(-1)).toBe('closed administrative');
  });

  it('closes without a message when it is terminated in the first authentication', () => {
    const pac = new ForeignPac().start();
    pac.take();
    expect(pac.session({ type: 'terminate', cause: 4 }).take()).toEqual(['closed administrative']);
  });

  it.each(['OPEN', 'WAIT_PNA_PING', 'WAIT_EAP_MSG', 'WAIT_PAN_OR_PAR', 'WAIT_SUCC_PAN'])(
    'answers PTR with PTA and closes in %s',
    (state) => {
      const pac = opened();
      if (state === 'WAIT_PNA_PING') pac.session({ type: 'ping' });
      if (['WAIT_EAP_MSG', 'WAIT_PAN_OR_PAR', 'WAIT_SUCC_PAN'].includes(state)) pac.session({ type: 'reauthenticate' });
      if (state === 'WAIT_PAN_OR_PAR' || state === 'WAIT_SUCC_PAN') pac.eapRequest();
      if (state === 'WAIT_SUCC_PAN') pac.respond(true).success();
      if (state === 'WAIT_SUCC_PAN') pac.key = pac.keyed();
      expect(pac.state).toBe(state);
      pac.take();
      pac.request(PTR, 0, [makeAvp('Termination-Cause', 1)]);
      expect(pac.take()).toEqual(['PTA', 'closed logout']);
      expect(pac.isSigned).toBe(true);
      expect(pac.paa.size).toBe(0);
    },
  );

  it('answers PTR and PNR[P] in SESS_TERM, and drops PNR[A]', () => {
    const pac = opened().session({ type: 'terminate', cause: 4 });
    const ptr = pac.last;
    pac.take();
    pac.request(PNR, FLAG.P);
    pac.request(PTR, 0, [makeAvp('Termination-Cause', 1)]);
    expect(pac.take()).toEqual(['PNA[P]', 'PTA']);
    pac.request(PNR, FLAG.A);
    expect(pac.take()).toEqual(['dropped unexpected']);
    pac.answer(PTA, 0, [], ptr);
    expect(pac.take()).toEqual(['closed administrative']);
  });

  it('repeats its answer to a repeated request at most ten times a second, but not for another message type', () => {
    const pac = opened();
    const ping = pac.request(PNR, FLAG.P);
    const { octets } = pac.last;
    pac.take();
    for (let i = 0; i < 12; i += 1) pac.again(ping);
    expect(pac.take()).toEqual([...Array(10).fill('PNA[P]'), 'dropped replays', 'dropped replays']);
    expect(pac.last.octets).toEqual(octets);
    // A request of another type with the same sequence number is not a repetition.
    pac.request(PTR, 0, [makeAvp('Termination-Cause', 1)], { sequence: pac.sequence - 1 });
    expect(pac.take()).toEqual(['dropped out-of-sequence']);
  });

  it('gives each re-authentication a new Key-Id, and requires it in PAN[C]', () => {
    const pac = opened();
    const seen = [pac.last.values['Key-Id']];
    const former = pac.key?.key.octets();
    for (let run = 1; run <= 3; run += 1) {
      pac.session({ type: 'reauthenticate' }).eapRequest().respond(true).success();
      const keyId = pac.last.values['Key-Id'];
      expect(seen).not.toContain(keyId);
      expect(pac.keyed().key.octets()).not.toEqual(former);
      pac.take();
      pac.key = pac.keyed();
      pac.answer(PAN, FLAG.C, [makeAvp('Key-Id', seen.at(-1) ?? 0)]);
      expect(pac.take()).toEqual(['dropped avp-missing']);
      pac.answer(PAN, FLAG.C, [makeAvp('Key-Id', keyId ?? 0)]);
      expect(pac.take()).toEqual(['authorized']);
      seen.push(keyId);
    }
  });

  it('drops PAN[C] without AUTH or without the Key-Id of PAR[C]', () => {
    const pac = new ForeignPac().start().eapRequest().respond(true).success();
    pac.take();
    pac.answer(PAN, FLAG.C, [makeAvp('Key-Id', 1)]);
    pac.key = pac.keyed();
    pac.answer(PAN, FLAG.C, [makeAvp('Key-Id', 1)]);
    pac.answer(PAN, FLAG.C);
    expect(pac.take()).toEqual(['dropped auth', 'dropped avp-missing', 'dropped avp-missing']);
    expect(pac.complete().take()).toEqual(['authorized']);
  });

  it('sends no AUTH or Key-Id and does not move when there is no SA', () => {
    const pac = new ForeignPac({ sa: 'optional' }).start([]).eapRequest();
    pac.answer(PAN, 0, [makeAvp('EAP-Payload', EAP.response)]);
    pac.success();
    expect(pac.last.values.AUTH).toBeUndefined();
    expect(pac.last.values['Key-Id']).toBeUndefined();
    pac.answer(PAN, FLAG.C);
    expect(pac.state).toBe('OPEN');
    pac.take();
    pac.from = { ...pac.from, port: 9 };
    pac.request(PNR, FLAG.P);
    expect(pac.take()).toEqual(['dropped unknown-session']);
  });

  it('sends no Nonce when there is no SA', () => {
    const pac = new ForeignPac({ sa: 'optional' }).start([]).eapRequest();
    expect(pac.last.name).toBe('PAR');
    expect(pac.last.message.avps).toHaveLength(1);
  });

  it('reports whether the MSK or the nonce is missing when it cannot derive a key', () => {
    const unkeyed = (pac: ForeignPac) =>
      pac.said.flatMap((output) =>
        'event' in output && output.event.type === 'unkeyed' ? [output.event.missing] : [],
      );
    const withoutMsk = new ForeignPac().start().eapRequest().respond(true).success(true, 'none');
    expect(unkeyed(withoutMsk)).toEqual(['msk']);
    expect(withoutMsk.last.values['Result-Code']).toBe(2);
    // The response came in a PAR, which has no Nonce.
    const withoutNonce = new ForeignPac().start().eapRequest();
    withoutNonce.request(PAR, 0, [makeAvp('EAP-Payload', EAP.response)]);
    withoutNonce.success();
    expect(unkeyed(withoutNonce)).toEqual(['nonce']);
  });

  it('evicts an unanswered half-open session at the limit of an address', () => {
    const limits = { ...PAA_CONFIG.limits, halfOpenPerAddress: 2 };
    const pac = new ForeignPac({ limits });
    const counts = [41_000, 41_001, 41_002].map((port) => {
      pac.from = { ...pac.from, port };
      return pac.start().paa.halfOpen;
    });
    expect(counts).toEqual([1, 2, 2]);
  });

  it('sends PTA with all flags clear', () => {
    const pac = opened();
    pac.request(PTR, 0, [makeAvp('Termination-Cause', 1)]);
    expect(pac.last.name).toBe('PTA');
    // RFC 5191 6.2: reserved, length, flags.
    expect([...pac.last.octets.subarray(4, 6)]).toEqual([0, 0]);
  });

  it('sets the I bit in each PAR but PAR[S] of the first authentication, if configured', () => {
    const pac = opened({ reconfigure: true });
    pac.session({ type: 'reauthenticate' }).eapRequest().respond(true).success();
    const withI = pac.sent.filter(({ message }) => message.flags & FLAG.I).map(({ name }) => name);
    expect(withI).toEqual(['PAR', 'PAR[C]']);
  });

  it.each([true, false])('outputs PANA_AUTH_KEY only if exportKeys is set: %s', (exportKeys) => {
    const pac = new ForeignPac({ exportKeys }).start().eapRequest().respond(true).success();
    const keys = pac.said.flatMap((output) =>
      output.type === 'session' && output.event.type === 'key'
        ? [{ ...output.event, key: output.event.key.octets() }]
        : [],
    );
    expect(keys).toEqual(
      exportKeys
        ? [
            {
              type: 'key',
              sessionId: pac.sessionId,
              keyId: pac.last.values['Key-Id'],
              integrity: 12,
              key: pac.keyed().key.octets(),
            },
          ]
        : [],
    );
  });

  it('drops messages of an unknown session', () => {
    const pac = opened();
    pac.feed({ type: 'session', sessionId: 1, input: { type: 'ping' } });
    pac.request(PNR, FLAG.P, [], { sessionId: 1 });
    expect(pac.take()).toEqual(['dropped unknown-session']);
  });
});
