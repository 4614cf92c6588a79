import 'reflect-metadata';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Extension, KeyUsageFlags } from '@peculiar/x509';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DAY } from '../../../../src/pki/certificate-authority.js';
import type { Certificate } from '../../../../src/protocol/x509/certificate.js';
import { readRevocation } from '../../../../src/runtime/tls/certificates/crl-files.js';
import { Revocation, type RevocationPolicy } from '../../../../src/runtime/tls/certificates/revocation.js';
import { Authority, type CrlParts, certificateOf, derOf, listOf, newKey } from './authority.js';

let root: Authority;
let issuing: Authority;
let path: Certificate[];
/** Serial numbers of the issuing CA and of the leaf. */
const SUB = '7';
const LEAF = '8';

async function leafOf(authority: Authority, serial = LEAF): Promise<Certificate> {
  return certificateOf((await authority.issue({ subject: 'CN=mn1@home.example', serial })).certificatePem);
}

beforeAll(async () => {
  root = await Authority.root('root');
  issuing = await root.sub('issuing', { serial: SUB });
  path = [await leafOf(issuing), issuing.certificate, root.certificate];
});

const REFUSE: RevocationPolicy = { expired: 'refuse', missing: 'refuse' };

function revocation(pems: readonly string[], policy: Partial<RevocationPolicy> = {}): Revocation {
  const lists = pems.map((pem, i) => ({ list: listOf(pem), path: `${i}.crl` }));
  return new Revocation(lists, { ...REFUSE, ...policy });
}

/** Why Revocation refuses the path; undefined: it accepts the path. */
const judge = (pems: readonly string[], policy: Partial<RevocationPolicy> = {}, of = path) =>
  revocation(pems, policy).judge(of, Date.now())?.reason;

/** CRLs of both CAs. */
async function both(ofRoot: CrlParts = {}, ofIssuing: CrlParts = {}): Promise<string[]> {
  return [await root.crl(ofRoot), await issuing.crl(ofIssuing)];
}

describe('Revocation', () => {
  it('accepts a path with the CRLs of all its issuers in any order', async () => {
    const lists = await both();
    expect(judge(lists)).toBeUndefined();
    expect(judge(lists.toReversed())).toBeUndefined();
  });

  it('refuses a path if a CRL lists its leaf or intermediate CA', async () => {
    for (const ignore of [{}, { expired: 'ignore', missing: 'ignore' } as const]) {
      expect(judge(await both({}, { serials: [LEAF] }), ignore)).toBe('revoked');
      expect(judge((await both({}, { serials: [LEAF] })).toReversed(), ignore)).toBe('revoked');
      expect(judge(await both({ serials: [SUB] }), ignore)).toBe('revoked');
    }
  });

  it('ignores the serial numbers of other issuers, even of the same name', async () => {
    expect(judge(await both({ serials: [LEAF] }, { serials: [SUB] }))).toBeUndefined();
    const namesake = await root.sub('issuing');
    const lists = [...(await both()), await namesake.crl({ serials: [LEAF], thisUpdate: Date.now() })];
    expect(judge(lists)).toBeUndefined();
    expect(judge([...(await both()), await namesake.crl({ serials: [LEAF], withoutKeyId: true })])).toBeUndefined();
  });

  it('ignores an entry for the trust anchor', async () => {
    const { serial } = root.certificate;
    expect(judge(await both({ serials: [serial] }))).toBeUndefined();
  });

  it('requires a CRL of each issuer in a path unless missing CRLs are ignored', async () => {
    const [ofRoot = '', ofIssuing = ''] = await both();
    for (const lists of [[ofRoot], [ofIssuing]]) {
      expect(judge(lists)).toBe('crl');
      expect(judge(lists, { missing: 'ignore' })).toBeUndefined();
    }
    expect(judge([], { expired: 'ignore' })).toBe('crl');
  });

  it('requires CRLs in force unless expired CRLs are ignored', async () => {
    const expired = await both({}, { nextUpdate: Date.now() - 1000 });
    expect(judge(expired)).toBe('crl');
    expect(judge(expired, { missing: 'ignore' })).toBe('crl');
    expect(judge(expired, { expired: 'ignore' })).toBeUndefined();
    const early = await both({}, { thisUpdate: Date.now() + DAY / 2 });
    expect(judge(early)).toBe('crl');
    expect(judge(early, { expired: 'ignore' })).toBeUndefined();
  });

  it('refuses a path at the exact end of a CRL', async () => {
    const end = Math.ceil(Date.now() / 1000) * 1000 + 60_000;
    const lists = revocation(await both({ nextUpdate: end }));
    expect(lists.judge(path, end - 1)).toBeUndefined();
    expect(lists.judge(path, end)).toMatchObject({ reason: 'crl', detail: expect.stringContaining('CN=root') });
  });

  it('compares serial numbers by value', async () => {
    const odd = await leafOf(issuing, '00ff');
    const other = await leafOf(issuing, '0ff0');
    const lists = await both({}, { serials: ['00ff'] });
    expect(judge(lists, {}, [odd, issuing.certificate, root.certificate])).toBe('revoked');
    expect(judge(lists, {}, [other, issuing.certificate, root.certificate])).toBeUndefined();
  });
});

describe('Revocation with two CRLs of one issuer', () => {
  const NOW = Math.floor(Date.now() / 1000) * 1000;
  const revoking = { serials: [LEAF] };

  it.each<[string, CrlParts, CrlParts]>([
    ['the higher number', { number: 2, thisUpdate: NOW - DAY }, { number: 1, thisUpdate: NOW }],
    ['the later one of the same number', { number: 2, thisUpdate: NOW }, { number: 2, thisUpdate: NOW - DAY }],
    ['the later one if one has no number', { thisUpdate: NOW }, { number: 9, thisUpdate: NOW - DAY }],
  ])('uses %s', async (_what, newer, older) => {
    const rootCrl = await root.crl();
    const revokes = [await issuing.crl({ ...newer, ...revoking }), await issuing.crl(older)];
    expect(judge([rootCrl, ...revokes])).toBe('revoked');
    expect(judge([rootCrl, ...revokes.toReversed()])).toBe('revoked');
    const takesBack = [await issuing.crl(newer), await issuing.crl({ ...older, ...revoking })];
    expect(judge([rootCrl, ...takesBack])).toBeUndefined();
    expect(judge([rootCrl, ...takesBack.toReversed()])).toBeUndefined();
  });

  it('uses both CRLs if neither is newer', async () => {
    const lists = [
      await issuing.crl({ number: 2, thisUpdate: NOW }),
      await issuing.crl({ number: 2, ...revoking, thisUpdate: NOW }),
    ];
    for (const pair of [lists, lists.toReversed()]) expect(judge([await root.crl(), ...pair])).toBe('revoked');
  });

  it('ignores a CRL from the future until its time', async () => {
    const lists = [
      await root.crl(),
      await issuing.crl({ number: 1 }),
      await issuing.crl({ number: 2, ...revoking, thisUpdate: NOW + DAY / 2 }),
    ];
    expect(judge(lists)).toBeUndefined();
    expect(revocation(lists).judge(path, NOW + DAY / 2)?.reason).toBe('revoked');
  });

  it('uses the CRL that the issuer has signed', async () => {
    const forger = await root.sub('issuing', { key: newKey() });
    const forged = await forger.crl({ number: 9, withoutKeyId: true });
    expect(judge([...(await both({}, { number: 1, ...revoking })), forged])).toBe('revoked');
  });
});

describe('A CRL', () => {
  it('of a CA without cRLSign is refused', async () => {
    const certifier = await Authority.root('certifier', { usage: KeyUsageFlags.keyCertSign });
    const lists = revocation([await certifier.crl()]);
    expect(() => lists.verify([certifier.certificate])).toThrow(/^0\.crl: the CRL of O=Test, CN=certifier .*cRLSign/);
    expect(lists.judge([await leafOf(certifier), certifier.certificate], Date.now())?.reason).toBe('crl');
  });

  it('with a wrong signature is refused', async () => {
    const forger = await Authority.root('root', { anonymous: true });
    const anonymous = await Authority.root('root', { anonymous: true });
    const lists = revocation([await forger.crl({ withoutKeyId: true })]);
    expect(() => lists.verify([anonymous.certificate])).toThrow('its signature is wrong');
    const changed = derOf(await root.crl());
    const last = changed.length - 1;
    changed[last] = (changed[last] ?? 0) ^ 1;
    const pem = `-----BEGIN X509 CRL-----\n${Buffer.from(changed).toString('base64')}\n-----END X509 CRL-----\n`;
    expect(() => revocation([pem]).verify([root.certificate])).toThrow('its signature is wrong');
  });

  it('that none of several CAs of its name has signed is refused for cRLSign only if no CA may sign CRLs', async () => {
    const usage = KeyUsageFlags.keyCertSign;
    const certifiers = [1, 2].map(() => Authority.root('root', { anonymous: true, usage }));
    const [one, other] = (await Promise.all(certifiers)).map(({ certificate }) => certificate);
    const signer = await Authority.root('root', { anonymous: true });
    const forger = await Authority.root('root', { anonymous: true });
    if (!one || !other) throw new Error('no certifiers');
    const lists = revocation([await forger.crl({ withoutKeyId: true })]);
    expect(() => lists.verify([one, other])).toThrow('cRLSign');
    expect(() => lists.verify([one, signer.certificate])).toThrow('its signature is wrong');
    expect(() => lists.verify([signer.certificate, one])).toThrow('its signature is wrong');
  });

  it('of an unknown issuer is verified once a path contains that issuer', async () => {
    const lists = revocation(await both({}, { serials: [LEAF] }));
    lists.verify([root.certificate]);
    expect(lists.unverified.map(({ list }) => list.issuer.text)).toEqual(['O=Test, CN=issuing']);
    expect(lists.inForce(Date.now()).map(({ issuerId }) => issuerId)).toEqual([root.certificate.issuerId]);
    expect(lists.learn([issuing.certificate, root.certificate])).toBe(true);
    expect(lists.learn([issuing.certificate, root.certificate])).toBe(false);
    expect(lists.unverified).toEqual([]);
    expect(lists.inForce(Date.now())).toHaveLength(2);
  });

  const indicator = (...octets: number[]) => Uint8Array.from(octets).buffer;
  const point = [0xa0, 0x0c, 0xa0, 0x0a, 0x86, 0x08, ...Buffer.from('http://x')];

  it.each<[string, CrlParts, RegExp]>([
    ['a delta CRL', { extensions: [new Extension('2.5.29.27', true, indicator(2, 1, 1))] }, /CN=root is a delta CRL/],
    [
      'a delta CRL with a non-critical indicator',
      { extensions: [new Extension('2.5.29.27', false, indicator(2, 1, 1))] },
      /is a delta CRL/,
    ],
    [
      'an indirect CRL',
      { extensions: [new Extension('2.5.29.28', true, indicator(0x30, 3, 0x84, 1, 0xff))] },
      /is an indirect CRL/,
    ],
    [
      'of end entities only',
      { extensions: [new Extension('2.5.29.28', true, indicator(0x30, 3, 0x81, 1, 0xff))] },
      /only certificates of end entities/,
    ],
    [
      'of CAs only',
      { extensions: [new Extension('2.5.29.28', true, indicator(0x30, 3, 0x82, 1, 0xff))] },
      /only certificates of CAs/,
    ],
    [
      'of some reasons only',
      { extensions: [new Extension('2.5.29.28', true, indicator(0x30, 4, 0x83, 2, 1, 2))] },
      /complete/,
    ],
    [
      'of one distribution point',
      { extensions: [new Extension('2.5.29.28', true, indicator(0x30, point.length, ...point))] },
      /covers only one distribution point/,
    ],
    [
      'with an unknown critical extension',
      { extensions: [new Extension('1.2.3.4', true, indicator(5, 0))] },
      /unknown critical extension: 1\.2\.3\.4/,
    ],
    [
      'with an entry of another issuer',
      { entries: [{ serialNumber: '01', revocationDate: new Date(), issuer: 'CN=other' }] },
      /another issuer|unknown critical/,
    ],
    [
      'with an entry with an unknown critical extension',
      {
        entries: [
          {
            serialNumber: '01',
            revocationDate: new Date(),
            extensions: [new Extension('1.2.3.4', true, indicator(5, 0))],
          },
        ],
      },
      /an entry of .* unknown critical extension: 1\.2\.3\.4/,
    ],
  ])('that is partial or not understood is refused with the reason: %s', async (_what, parts, message) => {
    const pem = await root.crl(parts);
    expect(() => listOf(pem)).toThrow(message);
  });

  it('may have non-critical extensions and entries with reasons', async () => {
    const extensions = [
      new Extension('1.2.3.4', false, indicator(5, 0)),
      new Extension('2.5.29.28', true, indicator(0x30, 0)),
    ];
    const entries = [{ serialNumber: '0a', revocationDate: new Date(), reason: 1, invalidity: new Date() }];
    expect([...listOf(await root.crl({ extensions, entries })).serials]).toEqual(['a']);
  });
});

describe('readRevocation', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'crls-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const read = (crl: string) =>
    readRevocation({ crl, 'crl-expired': 'refuse', 'crl-missing': 'refuse' }, [root.certificate, issuing.certificate]);
  const file = async (name: string, content: string | Uint8Array) => {
    await writeFile(join(folder, name), content);
    return join(folder, name);
  };

  it('reads a file of several CRLs in PEM with text around them, or of one in DER', async () => {
    const [ofRoot = '', ofIssuing = ''] = await both({}, { serials: [LEAF] });
    const all = await read(
      await file('all.pem', `root:\n${ofRoot}\nissuing:\r\n${ofIssuing.replaceAll('\n', '\r\n')}`),
    );
    expect(all?.judge(path, Date.now())?.reason).toBe('revoked');
    const one = await read(await file('root.crl', derOf(ofRoot)));
    expect(one?.inForce(Date.now())).toHaveLength(1);
    expect(await readRevocation({ 'crl-expired': 'refuse', 'crl-missing': 'refuse' }, [])).toBeUndefined();
  });

  it('reads a folder of such files', async () => {
    const [ofRoot = '', ofIssuing = ''] = await both({}, { serials: [LEAF] });
    await file('root.pem', ofRoot);
    await file('again.pem', ofRoot);
    await file('issuing.crl', derOf(ofIssuing));
    await file('.half-written', 'x');
    await mkdir(join(folder, 'more'));
    const all = await read(folder);
    expect(all?.inForce(Date.now())).toHaveLength(2);
    expect(all?.judge(path, Date.now())?.reason).toBe('revoked');
  });

  it.each<[string, (ofRoot: string) => Promise<string>, RegExp]>([
    ['that does not exist', () => Promise.resolve('none.pem'), /^tls\.crl: cannot read .*none\.pem: no such file$/],
    ['that is a device', () => Promise.resolve('/dev/null'), /^tls\.crl: \/dev\/null is neither a file nor a folder$/],
    ['with other content', () => file('x', 'x'), /\/x is not a CRL in PEM or DER$/],
    ['that is empty', () => file('x', ''), /\/x is not a CRL in PEM or DER$/],
    ['with a certificate', () => file('x', root.certificatePem), /is not a CRL/],
    [
      'with a certificate in DER',
      () => file('x', derOf(root.certificatePem)),
      /\/x contains a malformed CRL: .* at octet/,
    ],
    [
      'with a truncated CRL',
      (pem) => file('x', `${pem}${pem.slice(0, pem.length / 2)}`),
      /malformed CRL: a PEM block without an end line/,
    ],
    ['with a CRL that lacks a line', (pem) => file('x', pem.replace(/\n.{64}\n/, '\n')), /contains a malformed CRL/],
    ['that is an empty folder', () => Promise.resolve('.'), /contains no CRL$/],
  ])('refuses a file %s, with its path and the reason', async (_what, make, message) => {
    const name = await make(await root.crl());
    await expect(read(name === '.' ? folder : name === 'none.pem' ? join(folder, name) : name)).rejects.toThrow(
      message,
    );
  });

  it('refuses a folder with one bad file', async () => {
    await file('good.pem', await root.crl());
    await file(
      'delta.pem',
      await issuing.crl({ extensions: [new Extension('2.5.29.27', true, Uint8Array.of(2, 1, 1).buffer)] }),
    );
    await expect(read(folder)).rejects.toThrow(/^tls\.crl: .*delta\.pem: the CRL of O=Test, CN=issuing is a delta CRL/);
    await rename(join(folder, 'delta.pem'), join(folder, '.delta'));
    expect((await read(folder))?.inForce(Date.now())).toHaveLength(1);
    const forger = await Authority.root('root', { anonymous: true });
    await file('forged.pem', await forger.crl({ withoutKeyId: true }));
    await expect(read(folder)).rejects.toThrow(/^tls\.crl: .*forged\.pem: the CRL of O=Test, CN=root was not signed/);
    expect(await readFile(join(folder, 'forged.pem'), 'utf8')).toContain('X509 CRL');
  });
});
