import { createHash, createHmac } from 'node:crypto';
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { afterEach, expect, it } from 'vitest';
import { parseAddress } from '../../src/protocol/bytes/address.js';
import { concat, encodeUtf8, toHex } from '../../src/protocol/bytes/octets.js';
import { Secret } from '../../src/protocol/bytes/secret.js';
import { derivePsk } from '../../src/protocol/keys/kdf.js';
import { algorithmsOf } from '../../src/protocol/pana/algorithms.js';
import { decodePana, FLAG } from '../../src/protocol/pana/codec.js';
import { readPana } from '../../src/protocol/pana/dictionary.js';
import { panaAuthKey } from '../../src/protocol/pana/keys.js';
import { Lab, type Place } from '../../src/tool/lab.js';

const MN = 'mn1@home.example';
const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

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

/** The exporter of RFC 8446 7.5, from the secret that a key log holds. */
function exporter(secret: Uint8Array, label: string, context: Uint8Array, length: number): Uint8Array {
  const hash = secret.length === 48 ? 'sha384' : 'sha256';
  const digest = (octets: Uint8Array) => new Uint8Array(createHash(hash).update(octets).digest());
  const derived = expandLabel(hash, secret, label, digest(new Uint8Array(0)), secret.length);
  return expandLabel(hash, derived, 'exporter', digest(context), length);
}

/** Stands between a PaC and a PAA and keeps what passes. */
async function tap(paa: Place): Promise<{ readonly place: Place; readonly datagrams: Uint8Array[] }> {
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
  await once(front, 'listening');
  closing.push(async () => {
    front.close();
    back.close();
  });
  return { place: { address: '::1', port: front.address().port }, datagrams };
}

it('no key of a whole run is in any log, and every end has the key that an outsider computes from TLS', async () => {
  const lab = await Lab.make({ logLevel: 'trace' });
  closing.push(() => lab.close());
  const { daemon: aaa, place: aaaPlace } = await lab.startAaa();
  const { daemon: paa, place } = await lab.startPaa(aaaPlace);
  const { place: tapped, datagrams } = await tap(place);
  await lab.addSubscriber(MN, 'mn1');
  const config = await lab.configurePac('mn1', { pana: { paa: [tapped.address], port: tapped.port } });
  const keyLog = lab.path('keylog');
  const pac = lab.start('mn1', 'pac', config, { NODE_OPTIONS: `--tls-keylog=${keyLog}` });
  const bound = await pac.line('bootstrapped');
  await pac.line('hook done');
  await aaa.line('hook done');
  const psk = (await readFile(lab.path('hooks', 'mn1', 'psk.txt'), 'utf8')).trim().split(' 0x')[1] ?? '';
  await pac.stop();
  await aaa.line('hook done', ({ event }) => event === 'down');

  const [, secretHex = ''] = /^EXPORTER_SECRET [0-9a-f]+ ([0-9a-f]+)/m.exec(await readFile(keyLog, 'utf8')) ?? [];
  const secret = new Uint8Array(Buffer.from(secretHex, 'hex'));
  expect([32, 48]).toContain(secret.length);
  const material = exporter(secret, 'EXPORTER_EAP_TLS_Key_Material', Uint8Array.of(13), 128);
  const [msk, emsk] = [material.slice(0, 64), material.slice(64)];
  const home = parseAddress(String(bound['homeAddress']));
  const agent = parseAddress(String(bound['homeAgent'])) ?? new Uint8Array(16);
  expect(toHex(derivePsk(Secret.copyOf(msk), agent, home).octets())).toBe(psk);

  const authKey = panaAuthKeyOf(datagrams, msk);
  const secrets = [toHex(msk), toHex(emsk), psk, toHex(authKey), secretHex];
  const output = [aaa, paa, pac].map(({ lines, errors }) => `${JSON.stringify(lines)}\n${errors}`).join('\n');
  expect(output.length).toBeGreaterThan(5_000);
  expect(output).toContain(MN);
  for (const key of secrets) {
    expect(key.length).toBeGreaterThanOrEqual(64);
    // Any sixteen octets of it, as hex or base64.
    for (let at = 0; at + 32 <= key.length; at += 2) {
      const part = key.slice(at, at + 32);
      expect(output.toLowerCase().includes(part)).toBe(false);
      expect(output.includes(Buffer.from(part, 'hex').toString('base64').slice(0, 20))).toBe(false);
    }
  }
});

/** PANA_AUTH_KEY of the session that passed, which the AUTH of its PAR[C] proves. */
function panaAuthKeyOf(datagrams: readonly Uint8Array[], msk: Uint8Array): Uint8Array {
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
    throw new Error('not a whole run');
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
  // AUTH stands last; it is computed over the message with its value zeroed (RFC 5191 5.4).
  const { tagLength } = algorithms.integrity;
  const zeroed = par.octets.slice().fill(0, par.octets.length - tagLength);
  const tag = createHmac(algorithms.integrity.hash, key).update(zeroed).digest().subarray(0, tagLength);
  expect(toHex(tag)).toBe(toHex(par.octets.slice(-tagLength)));
  return key;
}
