import { describe, expect, it } from 'vitest';
import { encodeUtf8 } from '../../../../src/protocol/bytes/octets.js';
import { attribute } from '../../../../src/protocol/radius/wire/attributes.js';
import { checkRequest, encodeResponse } from '../../../../src/protocol/radius/wire/authenticators.js';
import { CODE, decodeRadius } from '../../../../src/protocol/radius/wire/codec.js';
import { RADSEC_SECRET } from '../../../../src/protocol/radius/wire/radsec.js';
import { IDENTITY, sessionOf } from '../home-rig.js';
import { clientOf, NAS, RadiusRig } from './radius-rig.js';

const WALL = 1_700_000_000_000;
const SESSION = 'radius;ap1;112233445566778899aabbcc';
const AP1 = ['ap1.example'];

/** A client that accepts demands on its RadSec connections, and another one. */
function rigOfRadSec(): RadiusRig {
  return new RadiusRig({
    clients: [
      clientOf('ap1', [], {
        secret: RADSEC_SECRET,
        certificate: 'ap1.example',
        dynamic: 'radsec',
      }),
      clientOf('ap9', [], {
        secret: RADSEC_SECRET,
        certificate: 'ap9.example',
        dynamic: 'radsec',
      }),
    ],
  });
}

const open = (rig: RadiusRig, local: string, names: readonly string[]) => rig.feed({ type: 'opened', local, names });

/** Sends a Disconnect-Request for a session, and returns the connections and octets of what was sent. */
function demand(rig: RadiusRig, sessionId = SESSION) {
  const session = sessionOf(sessionId, { origin: 'radius:ap1' });
  rig.feed({
    type: 'sendDemand',
    token: 77,
    demand: 'disconnect',
    session,
    wall: WALL,
  });
  return rig.of('send').map(({ end, octets }) => ({ local: end.local, octets }));
}

const outcomes = (rig: RadiusRig) =>
  rig.of('home').flatMap(({ input }) => (input.type === 'demandAnswered' ? [input.outcome] : []));

/** Feeds a packet of a client that has one of these names. */
const feed = (rig: RadiusRig, octets: Uint8Array, local: string, names: readonly string[]) =>
  rig.feed({
    type: 'packet',
    octets,
    end: { ...NAS, local },
    service: 'any',
    names,
  });

function answerTo(octets: Uint8Array, code: number = CODE['Disconnect-ACK']): Uint8Array {
  const { identifier, authenticator } = decodeRadius(octets);
  return encodeResponse({ code, identifier, attributes: [] }, authenticator, RADSEC_SECRET);
}

describe('A demand over RadSec', () => {
  it('goes over the newest connection of its client, with the secret of RadSec, and is answered there', () => {
    const rig = rigOfRadSec();
    open(rig, 'tls|1', AP1);
    open(rig, 'tls|2', ['AP1.example']);
    open(rig, 'tls|3', ['ap9.example']);
    const [sent, second] = demand(rig);
    expect(second).toBeUndefined();
    expect(sent?.local).toBe('tls|2');
    const octets = sent?.octets ?? new Uint8Array();
    expect(checkRequest(octets, RADSEC_SECRET)).toBe('authentic');
    expect(rig.of('sendRequest')).toEqual([]);
    // The same packet from another connection answers nothing.
    feed(rig, answerTo(octets), 'tls|1', AP1);
    expect(outcomes(rig)).toEqual([]);
    expect(rig.of('dropped')).toMatchObject([{ cause: 'unexpected-code', client: 'ap1' }]);
    feed(rig, answerTo(octets), 'tls|2', AP1);
    expect(outcomes(rig)).toMatchObject([{ result: 'SUCCESS', over: true }]);
    expect(rig.of('dropped')).toEqual([]);
  });

  it('goes over the connection that its session used last', () => {
    const rig = rigOfRadSec();
    open(rig, 'tls|1', AP1);
    feed(rig, rig.request(attribute('EAP-Message', IDENTITY), RADSEC_SECRET), 'tls|1', AP1);
    const { sessionId } = rig.asked.request;
    open(rig, 'tls|2', AP1);
    expect(demand(rig, sessionId)[0]?.local).toBe('tls|1');
    const about = [...attribute('Acct-Status-Type', 3), ...attribute('Class', encodeUtf8(sessionId))];
    feed(rig, rig.accounting(about, RADSEC_SECRET), 'tls|2', AP1);
    expect(demand(rig, sessionId)[0]?.local).toBe('tls|2');
    rig.feed({ type: 'closed', local: 'tls|2' });
    expect(demand(rig, sessionId)[0]?.local).toBe('tls|1');
  });

  it('never goes to a client that has taken over the certificate of a connection', () => {
    const rig = rigOfRadSec();
    open(rig, 'tls|1', AP1);
    const clients = [
      clientOf('ap1', [], {
        secret: RADSEC_SECRET,
        certificate: 'new.example',
        dynamic: 'radsec',
      }),
      clientOf('ap9', [], {
        secret: RADSEC_SECRET,
        certificate: 'ap1.example',
        dynamic: 'radsec',
      }),
    ];
    rig.feed({
      type: 'configure',
      config: { clients, vendorId: 1, realm: 'home.example' },
    });
    expect(demand(rig)).toEqual([]);
    expect(outcomes(rig)).toEqual([{ failure: 'the RADIUS client ap1 has no RadSec connection' }]);
  });

  it('is sent once, and fails after half a minute', () => {
    const rig = rigOfRadSec();
    open(rig, 'tls|1', AP1);
    demand(rig);
    const failures: unknown[] = [];
    for (let due = rig.machine.deadline; due !== undefined; due = rig.machine.deadline) {
      rig.now = due;
      rig.feed({ type: 'tick' });
      expect([...rig.of('send'), ...rig.of('sendRequest')]).toEqual([]);
      failures.push(...outcomes(rig));
    }
    expect(failures).toEqual([{ failure: 'the RADIUS client does not answer' }]);
    expect(rig.now).toBe(30_000);
  });

  it('fails when its connection closes', () => {
    const rig = rigOfRadSec();
    open(rig, 'tls|1', AP1);
    demand(rig);
    rig.feed({ type: 'closed', local: 'tls|1' });
    expect(outcomes(rig)).toEqual([{ failure: 'the RADIUS client has closed its connection' }]);
  });
});
