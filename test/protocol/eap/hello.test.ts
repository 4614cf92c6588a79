import { describe, expect, it } from 'vitest';
import { EXTENDED_MASTER_SECRET, serverHelloExtensions } from '../../../src/protocol/eap/hello.js';

/** A ServerHello of TLS 1.2 (RFC 5246 7.4.1.3) with one extension, renegotiation_info. */
const HELLO = Buffer.from(
  '160303003102' + '00002d0303707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f00c013000005ff01000100',
  'hex',
);

describe('serverHelloExtensions', () => {
  it('finds the extensions in a flight that begins with a ServerHello', () => {
    expect(serverHelloExtensions(HELLO)).toEqual(new Set([0xff01]));
    expect(serverHelloExtensions(Buffer.concat([HELLO, Buffer.from('1603030004', 'hex')]))).toEqual(new Set([0xff01]));
  });

  it('finds extended_master_secret (RFC 7627)', () => {
    const extended = Buffer.concat([
      HELLO.subarray(0, -7),
      Buffer.from('0009ff01000100', 'hex'),
      Buffer.from('00170000', 'hex'),
    ]);
    extended[4] = 0x35;
    extended[8] = 0x31;
    expect(serverHelloExtensions(extended)?.has(EXTENDED_MASTER_SECRET)).toBe(true);
  });

  it('returns an empty set without extensions, and undefined for anything but a whole ServerHello', () => {
    const bare = Buffer.from(HELLO.subarray(0, -7));
    bare[4] = 0x2a;
    bare[8] = 0x26;
    expect(serverHelloExtensions(bare)).toEqual(new Set());
    for (let length = 0; length < HELLO.length; length += 1) {
      expect(serverHelloExtensions(HELLO.subarray(0, length))).toBeUndefined();
    }
    const alert = Buffer.from('15030300020228', 'hex');
    expect(serverHelloExtensions(alert)).toBeUndefined();
    const client = Buffer.from(HELLO);
    client[5] = 1;
    expect(serverHelloExtensions(client)).toBeUndefined();
    const long = Buffer.from(HELLO);
    long[long.length - 6] = 0x06;
    expect(serverHelloExtensions(long)).toBeUndefined();
  });
});
