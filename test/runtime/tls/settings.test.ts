import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aaaSchema } from '../../../src/aaa/config/options.js';
import { paaSchema } from '../../../src/paa/options.js';
import { pacSchema } from '../../../src/pac/options.js';
import { loadOptions } from '../../../src/runtime/config/options.js';
import { engineSettings, type TlsSettings, tlsProblems, weakSettings } from '../../../src/runtime/tls/settings.js';

const GOOD: TlsSettings = {
  'min-version': '1.2',
  'max-version': '1.3',
  'min-rsa-bits': 2048,
  'sha1-signatures': 'refuse',
  'extended-key-usage': 'required',
};
const problemsOf = (more: Partial<TlsSettings>) =>
  tlsProblems({ ...GOOD, ...more }).map(({ key, message }) => `${key}: ${message}`);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tls-settings-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('tlsProblems and engineSettings', () => {
  it.each<Partial<TlsSettings>>([
    {},
    { ciphers: 'HIGH:!aNULL' },
    { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256:!EXPORT' },
    { ciphers: 'kEECDH+AESGCM,kEDH+AESGCM @STRENGTH' },
    { ciphers: 'DEFAULT@SECLEVEL=2' },
    { ciphers: 'TLS_AES_256_GCM_SHA384', 'min-version': '1.3' },
    { curves: 'X25519:P-256' },
    { 'min-version': '1.0', legacy: true },
    { 'min-version': '1.0', 'max-version': '1.0', legacy: true, ciphers: 'AES128-SHA' },
  ])('accept %j, and so does the TLS engine', (more) => {
    expect(problemsOf(more)).toEqual([]);
    const { minVersion, maxVersion, ciphers, ecdhCurve } = engineSettings({ ...GOOD, ...more });
    createSecureContext({ minVersion, maxVersion, ciphers, ecdhCurve });
  });

  it.each<[Partial<TlsSettings>, RegExp]>([
    [{ 'min-version': '1.3', 'max-version': '1.2' }, /^min-version: 1.3 is above max-version, 1.2/],
    [{ 'min-version': '1.1' }, /^min-version: 1.1 is obsolete .*legacy: true/],
    [{ ciphers: 'NOSUCH' }, /^ciphers: no such cipher suite: NOSUCH$/],
    [{ ciphers: 'HIGH:ECDHE-RSA-AES128-GCM-SHA265:TLS_NOSUCH' }, /SHA265, TLS_NOSUCH$/],
    [{ ciphers: 'HIGH:kEECDH+NOSUCH' }, /kEECDH\+NOSUCH$/],
    [{ ciphers: 'AES128-SHA:!AES128-SHA' }, /^ciphers: the list cannot be used/],
    [{ ciphers: '!aNULL' }, /^ciphers: the list cannot be used/],
    [{ ciphers: '@SECLEVEL=9' }, /^ciphers: the list cannot be used/],
    [{ ciphers: 'HIGH:NULL-SHA256' }, /NULL-SHA256: without encryption or without authentication/],
    [{ ciphers: 'ADH-AES128-SHA' }, /ADH-AES128-SHA: without encryption or without authentication/],
    [{ ciphers: 'TLS_AES_128_GCM_SHA256', 'max-version': '1.2' }, /only suites of TLS 1.3, and max-version is 1.2/],
    [{ ciphers: 'HIGH', 'min-version': '1.3' }, /no suite of TLS 1.3, and min-version is 1.3/],
    [{ curves: 'X25519:P-257' }, /^curves: no such curve: P-257$/],
  ])('report options that leave nothing to negotiate: %j', (more, problem) => {
    expect(problemsOf(more)).toEqual([expect.stringMatching(problem)]);
  });

  it('never negotiate a suite without encryption or authentication', () => {
    const { ciphers } = engineSettings({ ...GOOD, ciphers: 'ALL:COMPLEMENTOFALL@SECLEVEL=0' });
    expect(() => createSecureContext({ ciphers: `${ciphers}:-ALL:eNULL:aNULL` })).toThrow();
  });
});

describe('weakSettings', () => {
  it.each<[Partial<TlsSettings>, RegExp | undefined]>([
    [{}, undefined],
    [{ 'min-version': '1.0' }, /^tls\.min-version: TLS 1\.0 is obsolete/],
    [{ 'min-version': '1.1' }, /^tls\.min-version: TLS 1\.1 is obsolete/],
    [{ 'sha1-signatures': 'allow' }, /^tls\.sha1-signatures: /],
    [{ 'min-rsa-bits': 2047 }, /^tls\.min-rsa-bits: RSA keys of 2047 bits/],
    [{ 'extended-key-usage': 'if-present' }, /^tls\.extended-key-usage: /],
    [{ 'extended-master-secret': 'required' }, undefined],
    [{ 'extended-master-secret': 'wanted' }, /^tls\.extended-master-secret: /],
  ])('warns only of %j', (more, warning) => {
    const expected = warning === undefined ? [] : [expect.stringMatching(warning)];
    expect(weakSettings({ ...GOOD, ...more }, 'tls')).toEqual(expected);
  });
});

describe('TLS options of a configuration file', () => {
  const tls = 'ca: a.pem, certificate: b.pem, key: c.pem';

  async function problem(schema: Parameters<typeof loadOptions>[0], text: string): Promise<string> {
    const file = join(folder, 'tls.yaml');
    await writeFile(file, text);
    const loaded = loadOptions(schema, { flags: {}, environment: {}, prefix: 'X', file });
    const message = await loaded.then(
      () => 'good',
      (error: Error) => error.message,
    );
    return message.replaceAll(`${folder}/`, '');
  }

  const aaa = (more: string) => `diameter: {host: a.example, realm: example}\n${more}`;

  it('with an unknown cipher suite are rejected with file, line and key', async () => {
    expect(await problem(aaaSchema, aaa(`tls:\n  {${tls},\n  ciphers: NOSUCH}\n`))).toMatch(
      /^tls.yaml:4: tls.ciphers: no such cipher suite: NOSUCH/,
    );
  });

  it('with a minimum version above the maximum are rejected, even if one of them is the default', async () => {
    expect(await problem(aaaSchema, aaa(`tls: {${tls}, min-version: 1.3, max-version: 1.2}\n`))).toMatch(
      /^tls.yaml:2: tls.min-version: 1.3 is above max-version, 1.2/,
    );
    const pac = `eap: {identity: "@example"}\ntls:\n  {${tls}, server-name: example, max-version: 1.2}\n`;
    expect(await problem(pacSchema, pac)).toMatch(/^tls.yaml:2: tls.min-version: 1.3 is above max-version, 1.2/);
  });

  it('of Diameter are checked too', async () => {
    const paa = `pana: {listen: ["::1"]}\ndiameter:\n  {host: a.example, realm: example, peers: [{host: b.example}],\n`;
    expect(await problem(paaSchema, `${paa}  tls: {${tls},\n  curves: P-257}}\n`)).toMatch(
      /^tls.yaml:5: diameter.tls.curves: no such curve: P-257/,
    );
    // Diameter accepts nothing below TLS 1.2.
    expect(await problem(paaSchema, `${paa}  tls: {${tls}, min-version: 1.1}}\n`)).toMatch(/diameter.tls.min-version/);
  });

  it('accept TLS 1.0 only with legacy, whether YAML reads a number or a string', async () => {
    expect(await problem(aaaSchema, aaa(`tls: {${tls}, min-version: 1.0}\n`))).toMatch(
      /tls.min-version: 1.0 is obsolete \(RFC 8996\): it also needs "legacy: true"/,
    );
    expect(await problem(aaaSchema, aaa(`tls: {${tls}, min-version: 1.0, legacy: true}\n`))).toBe('good');
    expect(await problem(aaaSchema, aaa(`tls: {${tls}, min-version: "1.0", legacy: true}\n`))).toBe('good');
  });
});
