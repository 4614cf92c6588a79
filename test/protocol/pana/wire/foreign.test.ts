import { describe, expect, it } from 'vitest';
import { encodePana, FLAG, MESSAGE_TYPE } from '../../../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../../../src/protocol/pana/wire/dictionary.js';
import { EAP, ForeignPaa, ForeignPac, PAN, PAR, PNR, PTR, sentOf } from './foreign.js';

const ALGORITHMS = [makeAvp('PRF-Algorithm', 5), makeAvp('Integrity-Algorithm', 12)];
const SHA1 = [makeAvp('PRF-Algorithm', 2), makeAvp('Integrity-Algorithm', 7)];

describe('the PAA with a third-party PaC', () => {
  it('puts SHA-1 first if so configured, for a PaC that reads only the first algorithm of each kind', () => {
    const pac = new ForeignPac({ prf: [2, 5], integrity: [7, 12] }).pci();
    const [prf] = pac.last.values['PRF-Algorithm'];
    const [integrity] = pac.last.values['Integrity-Algorithm'];
    expect([prf, integrity]).toEqual([2, 7]);
    pac.accept(SHA1).eapRequest().respond(true).success().complete();
    expect(pac.state).toBe('OPEN');
    expect(pac.isSigned).toBe(true);
  });

  it('opens with a PaC that repeats the nonce of the PAA, and still requires AUTH', () => {
    const pac = new ForeignPac().start().eapRequest();
    pac.nonce = pac.last.values.Nonce ?? pac.nonce;
    pac.respond(true).success();
    pac.answer(PAN, FLAG.C, [makeAvp('Key-Id', pac.last.values['Key-Id'] ?? 0)]);
    expect(pac.take().at(-1)).toBe('dropped auth');
    pac.complete();
    expect(pac.state).toBe('OPEN');
  });

  it('accepts Termination-Cause 0x00010000 as LOGOUT', () => {
    const pac = new ForeignPac().open();
    pac.request(PTR, 0, [makeAvp('Termination-Cause', 0x0001_0000)]);
    expect(pac.take()).toEqual(['PTA', 'closed logout']);
  });

  it('sends PAR[S] without EAP-Payload to a PaC that ignores the first one', () => {
    const pac = new ForeignPac({ firstRequest: EAP.request }).pci().pci();
    expect(pac.last.values['EAP-Payload']).toBeUndefined();
    expect(pac.accept(ALGORITHMS).take()).toEqual(['PAR[S]', 'PAR[S]', 'eapStart']);
  });

  it('keeps one session for a PaC that repeats PCI every two seconds while it authenticates', () => {
    const pac = new ForeignPac().pci();
    for (let at = 2_000; at <= 10_000; at += 2_000) pac.run(at).pci();
    pac.accept(ALGORITHMS).eapRequest();
    const par = pac.last;
    for (let at = 12_000; at <= 20_000; at += 2_000) pac.run(at).pci();
    expect(pac.paa.size).toBe(1);
    pac.answer(PAN, 0, [makeAvp('EAP-Payload', EAP.response), makeAvp('Nonce', pac.nonce)], par);
    pac.success().complete();
    pac.run(22_000).pci();
    expect(pac.state).toBe('OPEN');
  });

  it('drops PAN[S] with algorithms that it did not offer, even if the SA is optional', () => {
    const pac = new ForeignPac({ prf: [], integrity: [], sa: 'optional' }).start();
    expect(pac.take()).toEqual(['PAR[S]', 'dropped no-algorithm']);
  });

  it('offers only algorithms at every PCI if peers is legacy', () => {
    const pac = new ForeignPac({
      peers: 'legacy',
      mobility: 0x47f,
      prf: [2, 5],
      integrity: [7, 12],
      firstRequest: EAP.request,
    });
    for (let i = 0; i < 4; i += 1) {
      pac.pci();
      const names = pac.last.message.avps.map((avp) => [avp.code, avp.vendorId]);
      expect(names).toEqual([2, 5, 7, 12].map((id) => [id < 6 ? 6 : 3, undefined]));
      pac.run((i + 1) * 2_000);
    }
    pac.pci().accept(SHA1).eapRequest().respond(true).success().complete();
    expect(pac.state).toBe('OPEN');
    expect(pac.last.message.avps.every((avp) => avp.vendorId === undefined)).toBe(true);
  });

  it('accepts an unprompted mobility request if peers is legacy and mobility is on', () => {
    const pac = new ForeignPac({ peers: 'legacy', mobility: 0x47f }).pci();
    pac.accept([...ALGORITHMS, makeAvp('Mobility-Capability', 0x2d)]);
    expect(pac.said).toMatchObject([{ event: { type: 'eapStart', wish: 0x2d } }]);
    const without = new ForeignPac({ peers: 'legacy', mobility: undefined }).pci();
    without.accept([...ALGORITHMS, makeAvp('Mobility-Capability', 0x2d)]);
    expect(without.said).toMatchObject([{ event: { type: 'eapStart', wish: undefined } }]);
  });

  it('ignores a mobility request when it offered no mobility', () => {
    const pac = new ForeignPac().start([...ALGORITHMS, makeAvp('Mobility-Capability', 0x2d)]);
    expect(pac.said).toMatchObject([{ event: { type: 'eapStart', wish: undefined } }]);
    pac.eapRequest().respond(true).success();
    expect(pac.last.values['MIP6-Home-Agent-Address']).toBeUndefined();
  });

  it('requires AUTH in the PAN[C] of a refusal once there is a key, and closes at FAILED_SESS_TIMEOUT without it', () => {
    const keyless = new ForeignPac()
      .start()
      .eapRequest()
      .respond(true)
      .session({ type: 'eapFailure', packet: undefined });
    keyless.answer(PAN, FLAG.C);
    expect(keyless.take().at(-1)).toBe('closed rejected');

    const keyed = new ForeignPac().start().eapRequest().respond(true).success(false);
    keyed.take();
    keyed.answer(PAN, FLAG.C);
    expect(keyed.take()).toEqual(['dropped auth']);
    expect(keyed.run(60_000).take().at(-1)).toBe('closed rejected');

    const signed = new ForeignPac().start().eapRequest().respond(true).success(false);
    signed.key = signed.keyed();
    signed.answer(PAN, FLAG.C);
    expect(signed.take().at(-1)).toBe('closed rejected');
  });

  it('drops PAN[C] of a re-authentication that is signed with the old key', () => {
    const pac = new ForeignPac().open().session({ type: 'reauthenticate' }).eapRequest().respond(true);
    pac.msk = new Uint8Array(64).fill(0x33);
    pac.success();
    pac.take();
    pac.answer(PAN, FLAG.C, [makeAvp('Key-Id', pac.last.values['Key-Id'] ?? 0)]);
    expect(pac.take()).toEqual(['dropped auth']);
    expect(pac.complete().take()).toEqual(['authorized']);
  });

  it.each(['PTR', 'PNR[P]', 'PNR[A]', 'PAN', 'PAN[C]'])('drops %s without AUTH once there is a key', (what) => {
    const pac = new ForeignPac().open();
    if (what === 'PAN' || what === 'PAN[C]') pac.session({ type: 'reauthenticate' }).eapRequest();
    if (what === 'PAN[C]') pac.respond(true).success();
    const state = pac.state;
    pac.take();
    pac.key = undefined;
    if (what === 'PTR') pac.request(PTR, 0, [makeAvp('Termination-Cause', 1)]);
    if (what === 'PNR[P]') pac.request(PNR, FLAG.P);
    if (what === 'PNR[A]') pac.request(PNR, FLAG.A);
    if (what === 'PAN') pac.respond(true);
    if (what === 'PAN[C]') pac.answer(PAN, FLAG.C, [makeAvp('Key-Id', pac.last.values['Key-Id'] ?? 0)]);
    expect(pac.take()).toEqual(['dropped auth']);
    expect(pac.state).toBe(state);
  });
});

describe('the PaC with a third-party PAA', () => {
  it('selects SHA-1 when nothing else is offered', () => {
    const paa = new ForeignPaa({ offer: SHA1 }).open();
    expect(paa.state).toBe('OPEN');
    expect(paa.key?.key).toHaveLength(20);
  });

  it('answers PAR[S] without algorithms only if the SA is optional', () => {
    const stripped = new ForeignPaa({ offer: [] }).start();
    expect(stripped.take()).toEqual(['PCI', 'dropped no-algorithm']);
    const allowed = new ForeignPaa({ offer: [], config: { sa: 'optional' } }).start();
    expect(allowed.take()).toEqual(['PCI', 'PAN[S]', 'eapRestart']);
    expect(allowed.last.values).toMatchObject({ 'PRF-Algorithm': [], 'Integrity-Algorithm': [] });
    allowed.eapRequest(false).respond();
    allowed.request(PAR, FLAG.C, [makeAvp('Result-Code', 0), makeAvp('EAP-Payload', EAP.success)]);
    allowed.feed({ type: 'eapSucceeded' });
    expect(allowed.state).toBe('OPEN');
    expect(allowed.pac.protected).toBe(false);
    // Without AUTH nothing could prove the move, so nothing is sent.
    expect(allowed.feed({ type: 'moved' }).take().at(-1)).toBe('authorized');
  });

  it('drops PAR[C] under a key made with the wrong nonce, and accepts a nonce of 8 octets', () => {
    const paa = new ForeignPaa()
      .start()
      .eapRequest(true)
      .respond()
      .feed({ type: 'eapKeys', msk: new ForeignPaa().msk });
    paa.nonce = paa.last.values.Nonce ?? paa.nonce;
    paa.take();
    paa.complete();
    expect(paa.take()).toEqual(['dropped auth']);
    const honest = new ForeignPaa().start();
    honest.nonce = new Uint8Array(8).fill(1);
    honest.eapRequest(true).respond().feed({ type: 'eapKeys', msk: honest.msk });
    honest.complete();
    expect(honest.state).toBe('WAIT_EAP_RESULT');
  });

  it('closes at PTR with Termination-Cause 0x00010000', () => {
    const paa = new ForeignPaa().open();
    paa.request(PTR, 0, [makeAvp('Termination-Cause', 0x0001_0000)]);
    expect(paa.take()).toEqual(['PTA', 'closed terminated-by-paa']);
  });

  it('drops PAR[S] with unknown AVPs (RFC 5191 5.5)', () => {
    const unknown = { code: 4711, flags: 0, vendorId: undefined, value: new Uint8Array(4) };
    expect(new ForeignPaa().start([unknown]).take()).toEqual(['PCI', 'dropped unknown-avp']);
  });

  it('accepts the third PAR[S] of a PAA without mobility, whatever its sequence numbers', () => {
    const config = { mobility: { mode: 'wanted', wish: 0x02d } } as const;
    for (let low = 0; low < 256; low += 1) {
      const paa = new ForeignPaa({ config }).feed({ type: 'start' });
      for (let nth = 0; nth < 3; nth += 1) {
        // Sequence numbers that differ in every bit to which the PAA of this project gives a meaning.
        paa.sequence = ((low << 24) | (nth << 16) | (low << 2) | (low >>> 6)) >>> 0;
        paa.offer();
      }
      expect(paa.take().filter((said) => said === 'PCI')).toHaveLength(3);
      expect(paa.state).toBe('WAIT_PAA');
    }
  });

  it('follows a PAA without mobility that starts again, without asking for a better offer', () => {
    const paa = new ForeignPaa({ config: { mobility: { mode: 'wanted', wish: 0x02d } } }).feed({ type: 'start' });
    for (let nth = 0; nth < 3; nth += 1) paa.offer();
    paa.take();
    paa.sessionId += 1;
    expect(paa.offer().take()).toEqual(['PAN[S]', 'eapRestart']);
    expect(paa.last.message.sessionId).toBe(paa.sessionId);
  });

  it('accepts PAR[C] with Result-Code 1 and no AUTH only before it has a confirmed MSK', () => {
    const early = new ForeignPaa().start().eapRequest(true).respond();
    early.take();
    early.request(PAR, FLAG.C, [makeAvp('Result-Code', 1)]);
    expect(early.take()).toEqual(['PAN[C]', 'closed authentication-rejected']);
    // With TLS 1.2 the MSK exists before the server has verified the client.
    const unconfirmed = new ForeignPaa().start().eapRequest(true).respond();
    unconfirmed.feed({ type: 'eapKeys', msk: unconfirmed.msk, unconfirmed: true }).take();
    unconfirmed.request(PAR, FLAG.C, [makeAvp('Result-Code', 1)]);
    expect(unconfirmed.take()).toEqual(['PAN[C]', 'closed authentication-rejected']);
    // The server has sent its protected success indication (RFC 9190 2.5): the MSK is confirmed.
    const late = new ForeignPaa()
      .start()
      .eapRequest(true)
      .respond()
      .feed({ type: 'eapKeys', msk: new ForeignPaa().msk });
    late.take();
    late.request(PAR, FLAG.C, [makeAvp('Result-Code', 1)]);
    expect(late.take()).toEqual(['dropped auth']);
    // That message was forged. The PaC still accepts the one of the PAA, which has AUTH.
    late.sequence -= 1;
    late.key = late.keyed();
    late.complete();
    expect(late.take()).not.toContain('dropped auth');
    expect(late.state).toBe('WAIT_EAP_RESULT');
    // An AUTH that cannot be verified counts as none.
    const forged = new ForeignPaa().start().eapRequest(true).respond();
    forged.take();
    forged.request(PAR, FLAG.C, [makeAvp('Result-Code', 1), makeAvp('AUTH', new Uint8Array(16))]);
    expect(forged.take()).toEqual(['dropped auth']);
  });

  it('drops PAR[C] with Result-Code 0 when EAP has made no key', () => {
    const paa = new ForeignPaa().start().eapRequest(true).respond();
    paa.take();
    paa.key = paa.keyed();
    paa.request(PAR, FLAG.C, [makeAvp('Result-Code', 0), makeAvp('EAP-Payload', EAP.success), makeAvp('Key-Id', 7)]);
    expect(paa.take()).toEqual(['dropped auth']);
  });

  it.each(['PTR', 'PNR[P]', 'PAR', 'PAR[C]', 'PNA[P]', 'PNA[A]', 'PTA'])(
    'drops %s of the PAA without AUTH once there is a key',
    (what) => {
      const paa = new ForeignPaa().open();
      if (what === 'PNA[P]') paa.feed({ type: 'ping' });
      if (what === 'PNA[A]') paa.feed({ type: 'reauthenticate' });
      if (what === 'PTA') paa.feed({ type: 'terminate' });
      if (what === 'PAR[C]') paa.eapRequest(true).respond();
      const state = paa.state;
      paa.take();
      paa.key = undefined;
      const { sessionId, sequence } = paa.last.message;
      const answer = (type: number, flags: number) => paa.put({ type, flags, sessionId, sequence, avps: [] });
      if (what === 'PTR') paa.request(PTR, 0, [makeAvp('Termination-Cause', 4)]);
      if (what === 'PNR[P]') paa.request(PNR, FLAG.P);
      if (what === 'PAR') paa.eapRequest(true);
      if (what === 'PAR[C]') paa.request(PAR, FLAG.C, [makeAvp('Result-Code', 1)]);
      if (what === 'PNA[P]') answer(MESSAGE_TYPE.NOTIFICATION, FLAG.P);
      if (what === 'PNA[A]') answer(MESSAGE_TYPE.NOTIFICATION, FLAG.A);
      if (what === 'PTA') answer(MESSAGE_TYPE.TERMINATION, 0);
      expect(paa.take()).toEqual(['dropped auth']);
      expect(paa.state).toBe(state);
    },
  );
});

describe('AUTH', () => {
  it('is valid only as the last AVP, once and at full length', () => {
    const pac = new ForeignPac().open();
    const ping = {
      type: MESSAGE_TYPE.NOTIFICATION,
      flags: FLAG.R | FLAG.P,
      sessionId: pac.sessionId,
      sequence: pac.sequence,
    };
    const signed = sentOf(pac.encode({ ...ping, avps: [] })).message;
    const [auth] = signed.avps;
    if (!auth) throw new Error('there is no AUTH');
    const short = { ...auth, value: auth.value.subarray(0, 12) };
    for (const avps of [[auth, auth], [auth, makeAvp('Nonce', new Uint8Array(8))], [short]]) {
      pac.again(encodePana({ ...ping, avps }));
    }
    expect(pac.take()).toEqual(['dropped avp-position', 'dropped avp-position', 'dropped auth']);
    pac.again(encodePana({ ...ping, avps: [auth] }));
    expect(pac.take()).toEqual(['PNA[P]']);
  });
});
