import { describe, expect, it } from 'vitest';
import { Drbg } from '../../../../src/protocol/bytes/drbg.js';
import { RESULT } from '../../../../src/protocol/diameter/wire/result-codes.js';
import { MAX_KEPT, TIME_WINDOW } from '../../../../src/protocol/nas/radius/dynamic.js';
import { attribute } from '../../../../src/protocol/radius/wire/attributes.js';
import { encodeResponse } from '../../../../src/protocol/radius/wire/authenticators.js';
import { CODE, encodeRadius } from '../../../../src/protocol/radius/wire/codec.js';
import { ERROR_CAUSE, SERVICE_TYPE } from '../../../../src/protocol/radius/wire/dictionary.js';
import { runs, seedOctets } from '../../../seed.js';
import {
  type Asking,
  asked,
  CALLING,
  eventsIn,
  GatewayRig,
  other,
  readerOf,
  replyIn,
  secret,
  WALL,
} from './gateway-rig.js';

const NAMED = attribute('Acct-Session-Id', 's');
const CLASS = Uint8Array.of(7, 7);
const COA = CODE['CoA-Request'];

function withSession(): GatewayRig {
  const rig = new GatewayRig({ servers: ['one', 'two'] });
  rig.open('s', [...attribute('Class', CLASS), ...attribute('User-Name', 'mn1@home.example')]);
  return rig;
}

/** The Error-Cause of the answer to such a request; undefined: the request is served. */
function causeOf(rig: GatewayRig, attributes: Parameters<typeof asked>[0], asking: Asking = {}): number | undefined {
  const out = rig.dynamic(asked(attributes, asking));
  if (out.some(({ type }) => type === 'serve')) return undefined;
  return readerOf({ octets: replyIn(out) }).one('Error-Cause');
}

describe('A Disconnect-Request or CoA-Request', () => {
  it.each([
    ['Acct-Session-Id', NAMED],
    ['Class', attribute('Class', CLASS)],
    ['User-Name of the Access-Accept', attribute('User-Name', 'MN1@home.example')],
    ['User-Name of the Access-Request', attribute('User-Name', '@home.example')],
    ['Calling-Station-Id', attribute('Calling-Station-Id', CALLING)],
  ])('ends the session that its %s names', (_, attributes) => {
    const rig = withSession();
    const proxies = [...attribute('Proxy-State', Uint8Array.of(1)), ...attribute('Proxy-State', Uint8Array.of(2))];
    const out = rig.dynamic(asked([...attributes, ...proxies]));
    expect(out).toMatchObject([{ type: 'serve', peer: 'one', message: { commandCode: 274 } }]);
    const octets = replyIn(rig.serve(out, RESULT.SUCCESS));
    expect(octets[0]).toBe(CODE['Disconnect-ACK']);
    expect(readerOf({ octets }).all('Proxy-State')).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
  });

  it.each([
    ['Acct-Session-Id', attribute('Acct-Session-Id', 't')],
    ['Class', [...NAMED, ...attribute('Class', Uint8Array.of(8))]],
    ['User-Name', [...NAMED, ...attribute('User-Name', 'mn2@home.example')]],
    ['Calling-Station-Id', [...NAMED, ...attribute('Calling-Station-Id', 'other')]],
  ])('finds no session with another %s', (_, attributes) => {
    expect(causeOf(withSession(), attributes)).toBe(ERROR_CAUSE['Session-Context-Not-Found']);
  });

  it('authenticates the client again, whatever lifetime it has', () => {
    const rig = withSession();
    const out = rig.dynamic(asked([...NAMED, ...attribute('Session-Timeout', 30)], { code: COA }));
    expect(out).toMatchObject([{ type: 'serve', message: { commandCode: 258 } }]);
    expect(replyIn(rig.serve(out, RESULT.SUCCESS))[0]).toBe(CODE['CoA-ACK']);
  });

  it('with Authorize Only is refused, because the client authenticates again', () => {
    const rig = withSession();
    const only = attribute('Service-Type', SERVICE_TYPE['Authorize-Only']);
    const octets = replyIn(rig.serve(rig.dynamic(asked([...NAMED, ...only], { code: COA })), RESULT.SUCCESS));
    expect(octets[0]).toBe(CODE['CoA-NAK']);
    expect(readerOf({ octets }).one('Error-Cause')).toBe(ERROR_CAUSE['Request-Initiated']);
    expect(readerOf({ octets }).one('Service-Type')).toBe(SERVICE_TYPE['Authorize-Only']);
    expect(causeOf(rig, [...NAMED, ...only])).toBe(ERROR_CAUSE['Unsupported-Service']);
  });

  it('is refused if the PAA cannot do what it asks for', () => {
    const rig = withSession();
    const unsupported = [...NAMED, ...attribute('Framed-MTU', 1_000)];
    expect(causeOf(rig, unsupported)).toBe(ERROR_CAUSE['Unsupported-Attribute']);
    expect(causeOf(rig, [])).toBe(ERROR_CAUSE['Missing-Attribute']);
    rig.open('t', attribute('User-Name', 'mn1@home.example'));
    const user = attribute('User-Name', 'mn1@home.example');
    expect(causeOf(rig, user)).toBe(ERROR_CAUSE['Multiple-Session-Selection-Unsupported']);
    // The NAS does not have the session any more.
    const octets = replyIn(rig.serve(rig.dynamic(asked(NAMED)), RESULT.UNKNOWN_SESSION_ID));
    expect(readerOf({ octets }).one('Error-Cause')).toBe(ERROR_CAUSE['Session-Context-Not-Found']);
  });

  it('of another server finds no session, and of a stranger is dropped', () => {
    const rig = withSession();
    const out = rig.dynamic(asked(NAMED), { servers: ['two'] });
    expect(readerOf({ octets: replyIn(out) }).one('Error-Cause')).toBe(ERROR_CAUSE['Session-Context-Not-Found']);
    expect(eventsIn(rig.dynamic(asked(NAMED), { servers: [] }))).toEqual(['dynamicDropped unknown-server']);
  });

  it('is dropped if it is not authentic', () => {
    const rig = withSession();
    expect(eventsIn(rig.dynamic(asked(NAMED, { key: other })))).toEqual(['dynamicDropped forged']);
    const response = encodeResponse({ code: 2, identifier: 1, attributes: NAMED }, new Uint8Array(16), secret);
    expect(eventsIn(rig.dynamic(response))).toEqual(['dynamicDropped wrong-code']);
    expect(eventsIn(rig.dynamic(asked([...NAMED, ...NAMED])))).toEqual(['dynamicDropped malformed']);
    const bare = encodeRadius({ code: COA, identifier: 1, authenticator: new Uint8Array(16), attributes: NAMED });
    expect(eventsIn(rig.dynamic(bare))).toEqual(['dynamicDropped forged']);
  });

  it('is dropped if it is too old, too new, or of no time', () => {
    const rig = withSession();
    rig.until(10_000);
    const at = (time: number | undefined) => eventsIn(rig.dynamic(asked(NAMED, { time })));
    expect(at(undefined)).toEqual(['dynamicDropped no-event-timestamp']);
    expect(at(rig.wall - TIME_WINDOW - 1_000)).toEqual(['dynamicDropped stale']);
    expect(at(rig.wall + TIME_WINDOW + 1_000)).toEqual(['dynamicDropped stale']);
    expect(at(rig.wall - TIME_WINDOW)).toEqual([]);
    expect(at(rig.wall + TIME_WINDOW)).toEqual([]);
  });

  it('gets the same answer again at its own port, and none at another one', () => {
    const rig = withSession();
    const request = asked(NAMED);
    const out = rig.dynamic(request);
    expect(eventsIn(rig.dynamic(request))).toEqual(['dynamicDropped replayed']);
    const octets = replyIn(rig.serve(out, RESULT.SUCCESS));
    expect(rig.dynamic(request)).toMatchObject([{ type: 'reply', octets }]);
    expect(eventsIn(rig.dynamic(request, { port: 4_001 }))).toEqual(['dynamicDropped replayed']);
  });

  it('is recognized, also if the clock is set back after its time is over', () => {
    const rig = withSession();
    const request = asked(NAMED, { time: WALL + TIME_WINDOW });
    rig.dynamic(request);
    rig.now = 3 * TIME_WINDOW;
    rig.step = -2 * TIME_WINDOW;
    expect(eventsIn(rig.dynamic(asked(NAMED, { time: WALL + TIME_WINDOW, identifier: 2 })))).toEqual([]);
    expect(eventsIn(rig.dynamic(request, { port: 4_001 }))).toEqual(['dynamicDropped replayed']);
  });

  it('may come from any server that has the address and the secret of the one with the session', () => {
    const rig = new GatewayRig({ servers: ['one', 'two'] });
    rig.open('s');
    const out = rig.dynamic(asked(NAMED), { servers: ['two', 'one'] });
    expect(out).toMatchObject([{ type: 'serve', peer: 'one' }]);
    expect(replyIn(rig.serve(out, RESULT.SUCCESS))[0]).toBe(CODE['Disconnect-ACK']);
  });

  it(`is dropped while ${MAX_KEPT} others are kept`, () => {
    const rig = withSession();
    const request = (i: number, time = WALL) => asked(attribute('Acct-Session-Id', `none ${i}`), { time });
    for (let i = 0; i < MAX_KEPT; i += 1) replyIn(rig.dynamic(request(i)));
    expect(eventsIn(rig.dynamic(request(MAX_KEPT)))).toEqual(['dynamicDropped busy']);
    // A repetition is answered still.
    replyIn(rig.dynamic(request(0)));
    rig.now = 2 * TIME_WINDOW + 1_000;
    replyIn(rig.dynamic(request(MAX_KEPT, rig.wall)));
  });

  it('is dropped if any octet has changed, or is missing', () => {
    const rig = withSession();
    const request = asked([...NAMED, ...attribute('User-Name', 'mn1@home.example')]);
    const drbg = new Drbg(seedOctets(32));
    for (let i = 0; i < runs(2_000); i += 1) {
      const [at = 0, low = 0, change = 0] = drbg.bytes(3);
      const octets = request.slice();
      const place = (at * 256 + low) % octets.length;
      octets[place] = (octets[place] ?? 0) ^ (1 + (change % 255));
      expect(rig.dynamic(octets)).toMatchObject([{ type: 'event', event: { type: 'dynamicDropped' } }]);
    }
    for (let length = 0; length < request.length; length += 1) {
      expect(eventsIn(rig.dynamic(request.slice(0, length)))).toEqual(['dynamicDropped malformed']);
    }
    expect(rig.dynamic(request)).toMatchObject([{ type: 'serve' }]);
  });
});
