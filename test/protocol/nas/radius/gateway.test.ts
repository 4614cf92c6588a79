import { describe, expect, it } from 'vitest';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { RESULT } from '../../../../src/protocol/diameter/wire/result-codes.js';
import { Accounting, MAX_RECORDS, RECORD_RETRY, RECORD_TRIES } from '../../../../src/protocol/nas/radius/accounting.js';
import { attribute, vendorAttribute } from '../../../../src/protocol/radius/wire/attributes.js';
import { CODE, decodeRadius } from '../../../../src/protocol/radius/wire/codec.js';
import { ACCT_STATUS_TYPE, ATTRIBUTES, TERMINATION_ACTION } from '../../../../src/protocol/radius/wire/dictionary.js';
import { hideSalted } from '../../../../src/protocol/radius/wire/hidden.js';
import {
  accepting,
  deaIn,
  EAP_SUCCESS,
  eventsIn,
  GatewayRig,
  MSK,
  other,
  readerOf,
  type Sent,
  secret,
  sendIn,
} from './gateway-rig.js';

const { Start, Stop } = ACCT_STATUS_TYPE;
const ON = ACCT_STATUS_TYPE['Accounting-On'];
const INTERIM = ACCT_STATUS_TYPE['Interim-Update'];
const STATE = Uint8Array.of(1, 2, 3);
const REQUEST_AGAIN = attribute('Termination-Action', TERMINATION_ACTION['RADIUS-Request']);

/** MS-MPPE keys of this length, hidden with this secret. */
function keys({ octets }: Sent, length: number, key: Secret) {
  const { authenticator } = decodeRadius(octets);
  return (['MS-MPPE-Recv-Key', 'MS-MPPE-Send-Key'] as const).map((name, i) => {
    const value = hideSalted(Secret.copyOf(MSK.subarray(0, length)), 0x10 + i, authenticator, key);
    return vendorAttribute(ATTRIBUTES[name].vendorId, { type: ATTRIBUTES[name].type, value });
  });
}

describe('A DER', () => {
  it('becomes an Access-Request, and a challenge a DEA whose State returns to the same server', () => {
    const rig = new GatewayRig({ servers: ['one', 'two'] });
    const first = sendIn(rig.ask('s').out);
    const reader = readerOf(first);
    expect(first).toMatchObject({ server: 'one', service: 'authentication' });
    expect(reader.one('User-Name')).toBe('@home.example');
    expect(reader.one('Acct-Session-Id')).toBe('s');
    expect(reader.one('Framed-MTU')).toBe(1_004);
    const payload = Uint8Array.of(1, 2, 0, 6, 13, 0x20);
    const challenge = [...attribute('EAP-Message', payload), ...attribute('State', STATE)];
    const dea = deaIn(rig.respond(first, CODE['Access-Challenge'], challenge));
    expect(dea).toMatchObject({ 'Result-Code': RESULT.MULTI_ROUND_AUTH, 'Origin-Host': 'one', State: STATE });
    expect(dea['EAP-Payload']).toEqual(payload);
    const second = sendIn(rig.ask('s', { State: STATE, 'Destination-Host': 'two' }).out);
    expect(second.server).toBe('two');
    expect(readerOf(second).one('State')).toEqual(STATE);
  });

  it('gets the keys, lifetime and Class of an Access-Accept', () => {
    const rig = new GatewayRig();
    const sent = sendIn(rig.ask('s').out);
    const more = [...attribute('Session-Timeout', 600), ...attribute('Class', STATE), ...attribute('User-Name', 'mn1')];
    const dea = deaIn(rig.respond(sent, CODE['Access-Accept'], accepting(sent, more)));
    expect(dea).toMatchObject({ 'Result-Code': RESULT.SUCCESS, 'Session-Timeout': 600, 'User-Name': 'mn1' });
    expect(dea.Class).toEqual([STATE]);
    expect(dea['EAP-Master-Session-Key']?.octets()).toEqual(MSK);
    expect(rig.gateway.sizes.sessions).toBe(1);
  });

  it('gets no EAP-Success with an Access-Reject', () => {
    const rig = new GatewayRig();
    const sent = sendIn(rig.ask('s').out);
    const dea = deaIn(rig.respond(sent, CODE['Access-Reject'], attribute('EAP-Message', EAP_SUCCESS)));
    expect(dea['Result-Code']).toBe(RESULT.AUTHENTICATION_REJECTED);
    expect(dea['EAP-Payload']).toBeUndefined();
    expect(rig.gateway.sizes.sessions).toBe(0);
  });

  it.each([0, 31])('gets no MSK from keys of %i octets', (length) => {
    const rig = new GatewayRig();
    const sent = sendIn(rig.ask('s').out);
    const own = length === 0 ? [] : keys(sent, length, secret);
    const accept = [...attribute('EAP-Message', EAP_SUCCESS), ...own];
    const dea = deaIn(rig.respond(sent, CODE['Access-Accept'], accept));
    expect(dea['EAP-Master-Session-Key']).toBeUndefined();
  });

  it('fails if the Access-Accept cannot be decoded, and makes no session', () => {
    const rig = new GatewayRig();
    const hidden = sendIn(rig.ask('s').out);
    const wrong = [...attribute('EAP-Message', EAP_SUCCESS), ...keys(hidden, 32, other)];
    expect(rig.respond(hidden, CODE['Access-Accept'], wrong)).toMatchObject([{ type: 'failed', token: 1 }]);
    const noSuccess = sendIn(rig.ask('s').out);
    expect(rig.respond(noSuccess, CODE['Access-Accept'], [])).toMatchObject([{ type: 'failed', token: 2 }]);
    const cutKeys = sendIn(rig.ask('s').out);
    const cut = keys(cutKeys, 32, secret);
    for (const { value } of cut) value[6] = 0;
    const accept = [...attribute('EAP-Message', EAP_SUCCESS), ...cut];
    expect(rig.respond(cutKeys, CODE['Access-Accept'], accept)).toMatchObject([{ type: 'failed', token: 3 }]);
    expect(rig.gateway.sizes.sessions).toBe(0);
  });

  it('waits for an authentic answer', () => {
    const rig = new GatewayRig();
    const sent = sendIn(rig.ask('s').out);
    const forged = rig.respond(sent, CODE['Access-Accept'], accepting(sent), other);
    expect(eventsIn(forged)).toEqual(['dropped forged']);
    expect(deaIn(rig.respond(sent, CODE['Access-Accept'], accepting(sent)))['Result-Code']).toBe(RESULT.SUCCESS);
  });

  it('and its answer are told with their session, a forged answer is not', () => {
    const rig = new GatewayRig({ accounting: false });
    const sent = sendIn(rig.ask('s').out);
    rig.respond(sent, CODE['Access-Accept'], accepting(sent), other);
    rig.respond(sent, CODE['Access-Accept'], accepting(sent));
    expect(rig.packets).toEqual([
      ['out', CODE['Access-Request'], 's'],
      ['in', CODE['Access-Accept'], 's'],
    ]);
  });

  it('of a session that is authenticated again has the State of its Access-Accept, if the server wants it', () => {
    const rig = new GatewayRig({ servers: ['one', 'two'] });
    rig.open('s', [...attribute('State', STATE), ...REQUEST_AGAIN]);
    expect(readerOf(sendIn(rig.ask('s').out)).one('State')).toEqual(STATE);
    rig.open('t', attribute('State', STATE));
    expect(readerOf(sendIn(rig.ask('t').out)).one('State')).toBeUndefined();
    // The other server does not know the State.
    rig.until(10_000);
    const moved = rig.sent('authentication').filter(({ sent }) => sent.server === 'two');
    expect(new Set(moved.map(({ sent }) => readerOf(sent).one('Acct-Session-Id')))).toEqual(new Set(['s', 't']));
    for (const { sent } of moved) expect(readerOf(sent).one('State')).toBeUndefined();
  });

  it('is refused at once while all servers are down', () => {
    const rig = new GatewayRig({ servers: ['one', 'two'], statusServer: true });
    rig.until(10_000);
    expect(rig.ask('s').out).toMatchObject([{ type: 'failed', code: 'no-peer', text: 'not responding: one, two' }]);
  });
});

describe('Accounting', () => {
  it('sends On, Start, Interim-Update and Stop with times', () => {
    const rig = new GatewayRig({ interim: 60_000 });
    rig.feed({ type: 'start' });
    rig.open('s', attribute('Class', STATE));
    for (const { sent } of rig.sent('accounting')) rig.acknowledge(sent);
    rig.until(60_000);
    rig.acknowledge(rig.sent('accounting')[2]?.sent as Sent);
    rig.until(90_000);
    const { out } = rig.end('s');
    expect(out[0]).toMatchObject({ type: 'answered' });
    rig.acknowledge(sendIn(out));
    rig.until(200_000);
    const all = rig.accounting();
    expect(all.map(({ at, status }) => [at, status])).toEqual([
      [0, ON],
      [0, Start],
      [60_000, INTERIM],
      [90_000, Stop],
    ]);
    expect(all.map(({ reader }) => reader.one('Acct-Session-Time'))).toEqual([undefined, undefined, 60, 90]);
    expect(all.slice(1).map(({ reader }) => reader.all('Class'))).toEqual([[STATE], [STATE], [STATE]]);
    expect(rig.gateway.sizes).toEqual({ sessions: 0, records: 0 });
    // Nothing is left to end.
    expect(rig.end('s').out).toMatchObject([{ type: 'answered' }]);
  });

  it('starts once, also after another authentication', () => {
    const rig = new GatewayRig();
    rig.open('s');
    rig.open('s');
    expect(rig.accounting().map(({ status }) => status)).toEqual([Start]);
  });

  it('takes the interval of the server, but at least a minute', () => {
    const rig = new GatewayRig({ interim: 500_000 });
    rig.open('s', attribute('Acct-Interim-Interval', 1));
    rig.acknowledge(rig.sent('accounting')[0]?.sent as Sent);
    rig.until(59_999);
    expect(rig.accounting()).toHaveLength(1);
    rig.until(60_000);
    expect(rig.accounting()).toHaveLength(2);
  });

  it('is tried ten times, half a minute after each failure, and then counted as lost', () => {
    const rig = new GatewayRig();
    rig.open('s');
    rig.until(3_600_000);
    const identifiers = new Map(
      rig
        .sent('accounting')
        .map(({ at, sent }) => [sent.octets[1], at])
        .reverse() as [number, number][],
    );
    const firsts = [...identifiers.values()].reverse();
    expect(firsts).toHaveLength(RECORD_TRIES);
    for (const [i, at] of firsts.slice(1).entries()) expect(at - (firsts[i] ?? 0)).toBe(30_000 + RECORD_RETRY);
    const lost = rig.out.filter(({ output }) => output.type === 'event' && output.event.type === 'accountingLost');
    expect(lost.map(({ output }) => output)).toMatchObject([{ event: { records: 1, reason: 'one did not answer' } }]);
    expect(rig.gateway.sizes.records).toBe(0);
  });

  it(`keeps ${MAX_RECORDS} records`, () => {
    const accounting = new Accounting(() => []);
    let kept = 0;
    while (kept < MAX_RECORDS && accounting.on('one', 0)) kept += 1;
    expect(kept).toBe(MAX_RECORDS);
    expect(accounting.on('one', 0)).toBe(false);
    const record = accounting.next();
    if (!record) throw new Error('no record');
    expect(accounting.on('one', 0)).toBe(true);
    expect(accounting.failed(record, 0)).toBe(false);
    expect(accounting.giveUp()).toBe(MAX_RECORDS);
  });
});

describe('A gateway that stops', () => {
  it('waits for what is in flight', () => {
    const rig = new GatewayRig();
    const { out } = rig.ask('s');
    rig.feed({ type: 'stop', timeout: 2_000 });
    rig.until(1_000);
    const last = rig.respond(sendIn(out), CODE['Access-Accept'], accepting(sendIn(out)));
    expect(last.map(({ type }) => type)).toEqual(['answered', 'stopped']);
    expect(rig.gateway.deadline).toBeUndefined();
  });

  it('gives up after its time, counts lost records, and ignores late answers', () => {
    const rig = new GatewayRig();
    rig.open('t');
    const { out } = rig.ask('s');
    rig.feed({ type: 'stop', timeout: 1_500 });
    rig.until(1_500);
    const last = rig.out.filter(({ at }) => at === 1_500).map(({ output }) => output);
    expect(last).toMatchObject([
      { type: 'failed', text: 'the daemon is stopping' },
      { type: 'event', event: { type: 'accountingLost', records: 1 } },
      { type: 'stopped' },
    ]);
    expect(rig.respond(sendIn(out), CODE['Access-Accept'], accepting(sendIn(out)))).toEqual([]);
    expect(rig.ask('u').out).toMatchObject([{ type: 'failed', text: 'the daemon is stopping' }]);
  });
});
