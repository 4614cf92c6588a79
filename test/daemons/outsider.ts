import { createHash, createHmac } from 'node:crypto';
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Place } from '../../dist/lab/lab.js';
import { concat, encodeUtf8, fromHex, toHex } from '../../src/protocol/bytes/octets.js';
import { Secret } from '../../src/protocol/bytes/secret.js';
import { algorithmsOf } from '../../src/protocol/pana/wire/algorithms.js';
import { decodePana, FLAG } from '../../src/protocol/pana/wire/codec.js';
import { readPana } from '../../src/protocol/pana/wire/dictionary.js';
import { panaAuthKey } from '../../src/protocol/pana/wire/keys.js';
import { within } from '../eventually.js';

/** HKDF-Expand-Label, RFC 8446 7.1. */
function expandLabel(hash: string, secret: Uint8Array, label: string, context: Uint8Array, length: number): Uint8Array {
  const name = encodeUtf8(`tls13 ${label}`);
  const info = concat(
    Uint8Array.of(length >> 8, length & 0xff, name.length),
    name,
    Uint8Array.of(context.length),
    context,
  );
  let block = new Uint8Array(0);
  let out = new Uint8Array(0);
  for (let n = 1; out.length < length; n += 1) {
    block = new Uint8Array(
      createHmac(hash, secret)
        .update(concat(block, info, Uint8Array.of(n)))
        .digest(),
    );
    out = new Uint8Array(concat(out, block));
  }
  return out.slice(0, length);
}

/** The exporter of RFC 8446 7.5, from the secret in a key log. */
function exporter(secret: Uint8Array, label: string, context: Uint8Array, length: number): Uint8Array {
  const hash = secret.length === 48 ? 'sha384' : 'sha256';
  const digest = (octets: Uint8Array) => new Uint8Array(createHash(hash).update(octets).digest());
  const derived = expandLabel(hash, secret, label, digest(new Uint8Array(0)), secret.length);
  return expandLabel(hash, derived, 'exporter', digest(context), length);
}

/** Relays between a PaC and a PAA and records the datagrams. */
export interface Tap {
  readonly place: Place;
  readonly datagrams: Uint8Array[];
  /** Stops the relay. */
  close(): void;
}

/** Starts a relay in front of a PAA. */
export async function tap(paa: Place): Promise<Tap> {
  const datagrams: Uint8Array[] = [];
  const front = createSocket('udp6');
  const back = createSocket('udp6');
  let pac: RemoteInfo | undefined;
  front.on('message', (octets, from) => {
    pac = from;
    datagrams.push(octets);
    back.send(octets, paa.port, paa.address);
  });
  back.on('message', (octets) => {
    datagrams.push(octets);
    if (pac) front.send(octets, pac.port, pac.address);
  });
  front.bind(0, '::1');
  await within(once(front, 'listening'), 'front listens');
  const close = () => {
    front.close();
    back.close();
  };
  return { place: { address: '::1', port: front.address().port }, datagrams, close };
}

/** MSK and EMSK of the last handshake in a key log (`node --tls-keylog`), RFC 9190 2.3. */
export async function eapKeysOf(keyLog: string): Promise<{
  readonly msk: Uint8Array;
  readonly emsk: Uint8Array;
  /** Exporter secret, hex. */
  readonly secret: string;
}> {
  const lines = (await readFile(keyLog, 'utf8')).trim().split('\n');
  const last = lines.findLast((line) => line.startsWith('EXPORTER_SECRET ')) ?? '';
  const [, , secret = ''] = last.split(' ');
  const material = exporter(fromHex(secret), 'EXPORTER_EAP_TLS_Key_Material', Uint8Array.of(13), 128);
  return { msk: material.slice(0, 64), emsk: material.slice(64), secret };
}

/** PANA_AUTH_KEY of the first recorded session. Throws if it does not verify the AUTH of PAR[C]. */
export function panaAuthKeyOf(datagrams: readonly Uint8Array[], msk: Uint8Array): Uint8Array {
  const messages = datagrams.map((octets) => ({ octets: new Uint8Array(octets), message: decodePana(octets) }));
  const isAuth = (flags: number) => (each: (typeof messages)[number]) =>
    each.message.type === 2 && (each.message.flags & (FLAG.R | FLAG.S | FLAG.C)) === flags;
  const valuesOf = (flags: number) =>
    messages.filter(isAuth(flags)).map(({ message }) => {
      const values = readPana(message);
      if (typeof values === 'string') throw new Error(values);
      return values;
    });
  const iPan = messages.find(isAuth(FLAG.S));
  const iPar = messages.findLast(
    (each) => isAuth(FLAG.R | FLAG.S)(each) && each.message.sequence === iPan?.message.sequence,
  );
  const [complete] = valuesOf(FLAG.R | FLAG.C);
  const pacNonce = valuesOf(0).find(({ Nonce }) => Nonce)?.Nonce;
  const paaNonce = valuesOf(FLAG.R).find(({ Nonce }) => Nonce)?.Nonce;
  const [start] = valuesOf(FLAG.S);
  const algorithms = algorithmsOf(start?.['PRF-Algorithm'][0], start?.['Integrity-Algorithm'][0]);
  const keyId = complete?.['Key-Id'];
  if (!iPan || !iPar || !pacNonce || !paaNonce || !algorithms || keyId === undefined)
    throw new Error('the recording is incomplete');
  const key = panaAuthKey(algorithms, {
    msk: Secret.copyOf(msk),
    iPar: iPar.octets,
    iPan: iPan.octets,
    pacNonce,
    paaNonce,
    keyId,
  }).octets();
  const par = messages.find(isAuth(FLAG.R | FLAG.C));
  if (!par) throw new Error('no PAR[C]');
  // AUTH is the last AVP, computed over the message with its value zeroed (RFC 5191 5.4).
  const { tagLength } = algorithms.integrity;
  const zeroed = par.octets.slice().fill(0, par.octets.length - tagLength);
  const tag = createHmac(algorithms.integrity.hash, key).update(zeroed).digest().subarray(0, tagLength);
  if (toHex(tag) !== toHex(par.octets.slice(-tagLength))) throw new Error('the AUTH of PAR[C] does not verify');
  return key;
}
