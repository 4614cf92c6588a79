import { readFileSync } from 'node:fs';
import { encodeUtf8, fromHex } from '../../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import type { CODE } from '../../../../src/protocol/radius/wire/codec.js';

interface Recorded {
  readonly code: keyof typeof CODE;
  readonly hex: string;
}

interface Recording {
  readonly secret: string;
  readonly msk: string;
  readonly exchanges: readonly { readonly client: string; readonly request: Recorded; readonly response?: Recorded }[];
}

const RECORDING = JSON.parse(
  readFileSync(new URL('../../../vectors/radius-freeradius.json', import.meta.url), 'utf8'),
) as Recording;

/** The shared secret of the recording, and of the examples of RFC 2865 and RFC 5997. */
export const SECRET = Secret.take(encodeUtf8(RECORDING.secret));
export const OTHER_SECRET = Secret.take(encodeUtf8('xyzzy5462'));
export const MSK = RECORDING.msk;

/** Recorded from FreeRADIUS, eapol_test and radclient. */
export const EXCHANGES = RECORDING.exchanges.map(({ client, request, response }) => ({
  name: `${request.code} of ${client}${response ? `, ${response.code}` : ''}`,
  request: fromHex(request.hex),
  response: response && fromHex(response.hex),
}));

/** The same packets with the names of their codes. */
export const NAMED = RECORDING.exchanges.map(({ request, response }) => {
  const recorded = response ? [request, response] : [request];
  return { names: recorded.map(({ code }) => code), packets: recorded.map(({ hex }) => fromHex(hex)) };
});

export const PACKETS = EXCHANGES.flatMap(({ request, response }) => (response ? [request, response] : [request]));

/** RFC 2865 7.1. */
export const TELNET = {
  request: fromHex(`01 00 00 38 0f 40 3f 94 73 97 80 57 bd 83 d5 cb 98 f4 22 7a 01 06 6e 65 6d 6f 02 12 0d be 70 8d
    93 d4 13 ce 31 96 e4 3f 78 2a 0a ee 04 06 c0 a8 01 10 05 06 00 00 00 03`),
  accept: fromHex(`02 00 00 26 86 fe 22 0e 76 24 ba 2a 10 05 f6 bf 9b 55 e0 b2 06 06 00 00 00 01 0f 06 00 00 00 00
    0e 06 c0 a8 01 03`),
};

/** RFC 5997 6.1. */
export const STATUS = {
  request: fromHex(`0c da 00 26 8a 54 f4 68 6f b3 94 c5 28 66 e3 02 18 5d 06 23 50 12 5a 66 5e 2e 1e 84 11 f3 e2 43
    82 20 97 c8 4f a3`),
  accept: fromHex('02 da 00 14 ef 0d 55 2a 4b f2 d6 93 ec 2b 6f e8 b5 41 1d 66'),
};
