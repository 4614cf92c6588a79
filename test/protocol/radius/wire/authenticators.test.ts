import { describe, expect, it } from 'vitest';
import { toHex } from '../../../../src/protocol/bytes/octets.js';
import {
  checkRequest,
  checkResponse,
  encodeDigestedRequest,
  encodeRandomRequest,
  encodeResponse,
  MESSAGE_AUTHENTICATOR,
} from '../../../../src/protocol/radius/wire/authenticators.js';
import { CODE, decodeRadius, encodeRadius } from '../../../../src/protocol/radius/wire/codec.js';
import { EXCHANGES, OTHER_SECRET, SECRET, STATUS, TELNET } from './vectors.js';

const authenticatorOf = (octets: Uint8Array) => decodeRadius(octets).authenticator;
const has = (octets: Uint8Array) => decodeRadius(octets).attributes.some(({ type }) => type === MESSAGE_AUTHENTICATOR);

describe('Authenticators', () => {
  it.each(EXCHANGES)('of $name are those of the shared secret and no other', ({ request, response }) => {
    expect(checkRequest(request, SECRET)).toBe(has(request) ? 'authentic' : 'missing');
    expect(checkRequest(Uint8Array.of(...request, 0, 0), SECRET)).toBe(checkRequest(request, SECRET));
    if (has(request)) expect(checkRequest(request, OTHER_SECRET)).toBe('forged');
    if (!response) return;
    const own = authenticatorOf(request);
    expect(checkResponse(response, own, SECRET)).toBe(has(response) ? 'authentic' : 'missing');
    expect(checkResponse(response, own, OTHER_SECRET)).toBe('forged');
    expect(
      checkResponse(
        response,
        own.map((octet) => octet ^ 1),
        SECRET,
      ),
    ).toBe('forged');
  });

  it('of RFC 2865 7.1 and RFC 5997 6.1 are right', () => {
    expect(checkRequest(TELNET.request, SECRET)).toBe('missing');
    expect(checkResponse(TELNET.accept, authenticatorOf(TELNET.request), SECRET)).toBe('missing');
    expect(checkRequest(STATUS.request, SECRET)).toBe('authentic');
    expect(checkResponse(STATUS.accept, authenticatorOf(STATUS.request), SECRET)).toBe('missing');
  });

  it('find a change of any octet of a packet with a Message-Authenticator', () => {
    for (const { request, response } of EXCHANGES) {
      const own = authenticatorOf(request);
      const checks = [
        [request, (octets: Uint8Array) => checkRequest(octets, SECRET)] as const,
        ...(response ? [[response, (octets: Uint8Array) => checkResponse(octets, own, SECRET)] as const] : []),
      ];
      for (const [octets, check] of checks) {
        if (!has(octets)) continue;
        for (let at = 0; at < octets.length; at += 1) {
          const changed = Uint8Array.from(octets);
          changed[at] = (octets[at] ?? 0) ^ 1;
          let found: string;
          try {
            decodeRadius(changed);
            found = check(changed);
          } catch {
            continue;
          }
          expect(found, `octet ${at} of ${toHex(octets)}`).not.toBe('authentic');
        }
      }
    }
  });

  it('do not accept a second Message-Authenticator, or one of another length', () => {
    const attributes = [{ type: 1, value: Uint8Array.of(97) }];
    const octets = encodeRandomRequest({ code: 1, identifier: 7, attributes }, new Uint8Array(16).fill(9), SECRET);
    const packet = decodeRadius(octets);
    const [first] = packet.attributes;
    if (!first) throw new Error('no attribute');
    expect(checkRequest(encodeRadius({ ...packet, attributes: [...packet.attributes, first] }), SECRET)).toBe('forged');
    const short = { ...first, value: first.value.slice(1) };
    expect(checkRequest(encodeRadius({ ...packet, attributes: [short] }), SECRET)).toBe('forged');
  });
});

describe('Encoded packets', () => {
  const attributes = [{ type: 33, value: Uint8Array.of(1, 2) }];

  it.each([CODE['Access-Request'], CODE['Status-Server']])(
    'of code %i have the given authenticator, and a Message-Authenticator first',
    (code) => {
      const random = Uint8Array.from({ length: 16 }, (_, i) => i);
      const octets = encodeRandomRequest({ code, identifier: 1, attributes }, random, SECRET);
      expect(toHex(authenticatorOf(octets))).toBe(toHex(random));
      expect(decodeRadius(octets).attributes.map(({ type }) => type)).toEqual([MESSAGE_AUTHENTICATOR, 33]);
      expect(checkRequest(octets, SECRET)).toBe('authentic');
      expect(checkRequest(octets, OTHER_SECRET)).toBe('forged');
    },
  );

  // Message-Authenticator is undefined for Accounting-Requests, and radsecproxy discards those with one.
  it.each([
    [CODE['Accounting-Request'], [33], 'missing'],
    [CODE['CoA-Request'], [MESSAGE_AUTHENTICATOR, 33], 'authentic'],
    [CODE['Disconnect-Request'], [MESSAGE_AUTHENTICATOR, 33], 'authentic'],
  ])('of code %i have a digest as their authenticator, and the attributes %j', (code, types, authenticity) => {
    const octets = encodeDigestedRequest({ code, identifier: 1, attributes }, SECRET);
    expect(decodeRadius(octets).attributes.map(({ type }) => type)).toEqual(types);
    expect(checkRequest(octets, SECRET)).toBe(authenticity);
    expect(checkRequest(octets, OTHER_SECRET)).toBe('forged');
  });

  it('of a response belong to one request', () => {
    const request = new Uint8Array(16).fill(3);
    const octets = encodeResponse({ code: CODE['Access-Challenge'], identifier: 1, attributes }, request, SECRET);
    expect(decodeRadius(octets).attributes.map(({ type }) => type)).toEqual([MESSAGE_AUTHENTICATOR, 33]);
    expect(checkResponse(octets, request, SECRET)).toBe('authentic');
    expect(checkResponse(octets, new Uint8Array(16).fill(4), SECRET)).toBe('forged');
  });
});
