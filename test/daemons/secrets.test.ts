import { readFile } from 'node:fs/promises';
import { afterEach, expect, it } from 'vitest';
import { Lab } from '../../dist/lab/lab.js';
import { parseAddress } from '../../src/protocol/bytes/address.js';
import { toHex } from '../../src/protocol/bytes/octets.js';
import { Secret } from '../../src/protocol/bytes/secret.js';
import { derivePsk } from '../../src/protocol/keys/kdf.js';
import { eapKeysOf, panaAuthKeyOf, tap } from './outsider.js';

const MN = 'mn1@home.example';
const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

it('No log contains a key of a bootstrap, and both ends have the key computed from the TLS key log', async () => {
  const lab = await Lab.make({ logLevel: 'trace' });
  closing.push(() => lab.close());
  const { daemon: aaa, place: aaaPlace } = await lab.startAaa();
  const { daemon: paa, place } = await lab.startPaa(aaaPlace);
  const { place: tapped, datagrams, close } = await tap(place);
  closing.push(async () => close());
  await lab.addSubscriber(MN, 'mn1');
  const config = await lab.configurePac('mn1', { pana: { paa: [tapped.address], port: tapped.port } });
  const keyLog = lab.path('keylog');
  const pac = lab.start('mn1', 'pac', config, { NODE_OPTIONS: `--tls-keylog=${keyLog}` });
  const bound = await pac.line('bootstrap completed');
  await pac.line('hook done');
  await aaa.line('hook done');
  const psk = (await readFile(lab.path('hooks', 'mn1', 'psk.txt'), 'utf8')).trim().split(' 0x')[1] ?? '';
  await pac.stop();
  await aaa.line('hook done', ({ event }) => event === 'down');

  const { msk, emsk, secret } = await eapKeysOf(keyLog);
  // TLS_AES_256_GCM_SHA384, which both ends prefer.
  expect(secret).toHaveLength(96);
  const home = parseAddress(String(bound['homeAddress']));
  const agent = parseAddress(String(bound['homeAgent'])) ?? new Uint8Array(16);
  expect(toHex(derivePsk(Secret.copyOf(msk), agent, home).octets())).toBe(psk);

  const authKey = panaAuthKeyOf(datagrams, msk);
  const secrets = [toHex(msk), toHex(emsk), psk, toHex(authKey), secret];
  const output = [aaa, paa, pac].map(({ lines, errors }) => `${JSON.stringify(lines)}\n${errors}`).join('\n');
  expect(output.length).toBeGreaterThan(5_000);
  expect(output).toContain(MN);
  for (const key of secrets) {
    expect(key.length).toBeGreaterThanOrEqual(64);
    // Any 16 octets of it, as hex or base64.
    for (let at = 0; at + 32 <= key.length; at += 2) {
      const part = key.slice(at, at + 32);
      expect(output.toLowerCase().includes(part)).toBe(false);
      expect(output.includes(Buffer.from(part, 'hex').toString('base64').slice(0, 20))).toBe(false);
    }
  }
});
