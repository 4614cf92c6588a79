import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../../src/protocol/bytes/decode-error.js';
import { toHex } from '../../../../src/protocol/bytes/octets.js';
import {
  type ClientMessage,
  decodeClientMessage,
  decodeOptions,
  decodeRelayMessage,
  encodeClientMessage,
  encodeOptions,
  encodeRelayMessage,
  isRelayType,
  MESSAGE,
  OPTION,
  onlyOption,
  type RelayMessage,
} from '../../../../src/protocol/dhcpv6/wire/codec.js';
import { runs } from '../../../seed.js';
import { INFORMATION_REQUEST, RELAY_FORWARD, RELAY_REPLY, REPLY } from './vectors.js';

const CLIENT = [INFORMATION_REQUEST, REPLY];
const RELAY = [RELAY_FORWARD, RELAY_REPLY];

/** The options of a message, and those octets of it where one of them ends. */
function boundaries(octets: Uint8Array): Set<number> {
  const isRelay = isRelayType(octets[0]);
  const { options } = isRelay ? decodeRelayMessage(octets) : decodeClientMessage(octets);
  let at = isRelay ? 34 : 4;
  const ends = new Set([at]);
  for (const { value } of options) {
    at += 4 + value.length;
    ends.add(at);
  }
  return ends;
}

describe('Messages of dhclient, Kea and a relay agent', () => {
  it('decode and encode to the same octets', () => {
    for (const octets of CLIENT) expect(toHex(encodeClientMessage(decodeClientMessage(octets)))).toBe(toHex(octets));
    for (const octets of RELAY) expect(toHex(encodeRelayMessage(decodeRelayMessage(octets)))).toBe(toHex(octets));
  });

  it('have these fields', () => {
    const request = decodeClientMessage(INFORMATION_REQUEST);
    expect([request.type, request.transactionId]).toEqual([MESSAGE['INFORMATION-REQUEST'], 0x7b23c6]);
    expect(request.options.map(({ code }) => code)).toEqual([OPTION.CLIENTID, OPTION.ORO, 8]);
    const forward = decodeRelayMessage(RELAY_FORWARD);
    expect([forward.type, forward.hopCount]).toEqual([MESSAGE['RELAY-FORW'], 0]);
    expect(toHex(forward.linkAddress)).toBe('20010db8000a00000000000000000001');
    expect(toHex(forward.peerAddress)).toBe('fe800000000000000cacb4fffe71e27c');
    expect(onlyOption(forward.options, OPTION.INTERFACE_ID)).toEqual(new TextEncoder().encode('ar0'));
    expect(onlyOption(forward.options, OPTION.RELAY_MSG)).toEqual(INFORMATION_REQUEST);
    expect(onlyOption(decodeRelayMessage(RELAY_REPLY).options, OPTION.RELAY_MSG)).toEqual(REPLY);
    const supplied = decodeOptions(onlyOption(forward.options, OPTION.RSOO) ?? new Uint8Array());
    expect(supplied).toEqual([
      { code: OPTION.MIP6_IDINF, value: onlyOption(decodeClientMessage(REPLY).options, OPTION.MIP6_IDINF) },
    ]);
  });

  it('are rejected at every strict prefix that does not end with an option', () => {
    for (const octets of [...CLIENT, ...RELAY]) {
      const decode = isRelayType(octets[0]) ? decodeRelayMessage : decodeClientMessage;
      const ends = boundaries(octets);
      for (let length = 0; length < octets.length; length += 1) {
        const cut = octets.subarray(0, length);
        if (ends.has(length)) expect(() => decode(cut)).not.toThrow();
        else expect(() => decode(cut)).toThrow(DecodeError);
      }
    }
  });

  it('share no memory with the octets that they are decoded from', () => {
    const octets = Buffer.from(RELAY_FORWARD);
    const message = decodeRelayMessage(octets);
    const before = JSON.stringify(message);
    octets.fill(0);
    expect(JSON.stringify(message)).toBe(before);
  });

  it('are not read as messages of the other kind', () => {
    expect(() => decodeRelayMessage(REPLY)).toThrow('message type 7 at octet 0: bad-value');
    expect(() => decodeClientMessage(RELAY_REPLY)).toThrow('message type 13 at octet 0: bad-value');
  });

  it('have an option of a kind once where there may be one', () => {
    const twice = [OPTION.RELAY_MSG, OPTION.RELAY_MSG].map((code) => ({ code, value: new Uint8Array() }));
    expect(() => onlyOption(twice, OPTION.RELAY_MSG)).toThrow('more than one option 9');
    expect(onlyOption(twice, OPTION.INTERFACE_ID)).toBeUndefined();
  });
});

const address = fc.uint8Array({ minLength: 16, maxLength: 16 });
const options = fc.array(fc.record({ code: fc.nat(0xffff), value: fc.uint8Array({ maxLength: 600, size: 'max' }) }), {
  maxLength: 12,
  size: 'max',
});
const clientMessages: fc.Arbitrary<ClientMessage> = fc.record({
  type: fc.nat(255).filter((type) => !isRelayType(type)),
  transactionId: fc.nat(0xff_ffff),
  options,
});
const relayMessages: fc.Arbitrary<RelayMessage> = fc.record({
  type: fc.constantFrom(MESSAGE['RELAY-FORW'], MESSAGE['RELAY-REPL']),
  hopCount: fc.nat(255),
  linkAddress: address,
  peerAddress: address,
  options,
});

describe('The codec', () => {
  it('keeps all messages', () => {
    fc.assert(
      fc.property(clientMessages, (message) => {
        expect(decodeClientMessage(encodeClientMessage(message))).toEqual(message);
      }),
    );
    fc.assert(
      fc.property(relayMessages, (message) => {
        expect(decodeRelayMessage(encodeRelayMessage(message))).toEqual(message);
      }),
    );
    fc.assert(
      fc.property(options, (all) => {
        expect(decodeOptions(encodeOptions(all))).toEqual(all);
      }),
    );
  });

  it('gives a message of the same octets or a DecodeError for any octets and any changed message', () => {
    const changed = fc
      .tuple(fc.constantFrom(...CLIENT, ...RELAY), fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 4 }))
      .map(([octets, changes]) => {
        const copy = Uint8Array.from(octets);
        for (const [at, value] of changes) copy[at % copy.length] = value;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 120, size: 'max' }), changed), (octets) => {
        try {
          const again = isRelayType(octets[0])
            ? encodeRelayMessage(decodeRelayMessage(octets))
            : encodeClientMessage(decodeClientMessage(octets));
          expect(toHex(again)).toBe(toHex(octets));
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: runs(3_000) },
    );
  });

  it('writes nothing that it would not read', () => {
    const large = [{ code: 1, value: new Uint8Array(0x1_0000) }];
    const { type, hopCount, linkAddress, peerAddress } = decodeRelayMessage(RELAY_FORWARD);
    expect(() => encodeOptions(large)).toThrow('option 1 of 65536 octets');
    expect(() => encodeClientMessage({ type: 12, transactionId: 0, options: [] })).toThrow('message type 12');
    for (const wrong of [{ linkAddress: new Uint8Array(4) }, { peerAddress: new Uint8Array(17) }]) {
      const message = { type, hopCount, linkAddress, peerAddress, options: [], ...wrong };
      expect(() => encodeRelayMessage(message)).toThrow(RangeError);
    }
    expect(encodeOptions([{ code: 1, value: new Uint8Array(0xffff) }])).toHaveLength(0x1_0003);
  });
});
