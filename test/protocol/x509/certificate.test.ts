import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { makeCa, validFor } from '../../../src/pki/certificate-authority.js';
import { DecodeError } from '../../../src/protocol/bytes/decode-error.js';
import { type Certificate, readCertificate } from '../../../src/protocol/x509/certificate.js';
import { readCrl } from '../../../src/protocol/x509/crl.js';
import {
  Authority,
  type CertificateParts,
  certificateOf,
  derOf,
  listOf,
} from '../../runtime/tls/certificates/authority.js';
import { runs } from '../../seed.js';

let root: Authority;

beforeAll(async () => {
  root = await Authority.root('root');
});

async function read(parts: CertificateParts): Promise<Certificate> {
  return certificateOf((await root.issue(parts)).certificatePem);
}

describe('the names of a certificate', () => {
  it.each([
    ['a plus', 'CN=mn1\\+tag@home.example', ['mn1+tag@home.example']],
    ['two values in one RDN', 'O=Test, OU=dev+CN=mn1@home.example', ['mn1@home.example']],
    ['characters that the text form escapes', 'CN=\\"a\\,b\\;c\\<d\\>e\\\\\\#', ['"a,b;c<d>e\\#']],
    ['letters outside ASCII', 'CN=Jürgen 東京', ['Jürgen 東京']],
    ['an equals sign and text that looks like another attribute', 'O=x\\, CN\\=mn2@home.example, CN=mn1', ['mn1']],
    ['two common names', 'CN=one, CN=two', ['one', 'two']],
  ])('are read from its octets: %s', async (_what, subject, commonNames) => {
    expect((await read({ subject })).subject.commonNames).toEqual(commonNames);
  });

  it('are read from subjectAltName by type, exactly as encoded', async () => {
    const { alternativeNames } = await read({
      subject: 'CN=x',
      names: [
        { type: 'email', value: "o'brien@home.example" },
        { type: 'email', value: '"a b"\\@home.example, DNS:aaa.home.example, email:mn2@home.example' },
        { type: 'dns', value: 'aaa.home.example, email:mn3@home.example' },
        { type: 'upn', value: 'müller@home.example' },
        { type: 'url', value: 'urn:x' },
        { type: 'ip', value: '192.0.2.1' },
      ],
    });
    expect(alternativeNames).toEqual({
      emails: ["o'brien@home.example", '"a b"\\@home.example, DNS:aaa.home.example, email:mn2@home.example'],
      upns: ['müller@home.example'],
      dnsNames: ['aaa.home.example, email:mn3@home.example'],
    });
  });

  it('are ignored if they contain a NUL', async () => {
    const { alternativeNames } = await read({
      subject: 'CN=x',
      names: [
        { type: 'dns', value: 'aaa.home.example\0.evil.example' },
        { type: 'email', value: 'mn1@home.example\0@evil.example' },
      ],
    });
    expect(alternativeNames).toEqual({ emails: [], upns: [], dnsNames: [] });
  });

  it('are equal whatever their string type, case and spacing (RFC 5280 7.1), and otherwise different', async () => {
    const key = async (subject: CertificateParts['subject']) => (await read({ subject })).subject.key;
    const common = (value: object) => key([{ CN: [value] }] as never);
    const one = await common({ printableString: 'My  CA' });
    expect(await common({ utf8String: ' my ca ' })).toBe(one);
    expect(await common({ bmpString: 'MY CA' })).toBe(one);
    for (const other of ['CN=MyCA', 'O=My CA', 'CN=My CA, CN=My CA', 'CN=My CA+CN=My CA', 'CN="My CA,2.5.4.3=My CA"']) {
      expect(await key(other)).not.toBe(one);
    }
    expect(await key('OU=a+CN=b')).toBe(await key('CN=b+OU=a'));
    expect(await key('CN=a, CN=b')).not.toBe(await key('CN=a+CN=b'));
  });
});

describe('a certificate', () => {
  it('is read as the platform reads it', async () => {
    const rsa = await makeCa('RSA CA', 'rsa', validFor(3));
    const late = { notBefore: new Date('1999-12-31T23:59:59Z'), notAfter: new Date('2096-02-29T12:00:00Z') };
    const { certificatePem } = await root.issue({ subject: 'CN=x', serial: '00ff10', validity: late });
    for (const pem of [rsa.certificatePem, certificatePem, root.certificatePem]) {
      const ours = certificateOf(pem);
      const theirs = new X509Certificate(pem);
      expect(ours.serial).toBe(theirs.serialNumber.toLowerCase().replace(/^0+/, ''));
      expect(ours.fingerprint256).toBe(theirs.fingerprint256.replaceAll(':', '').toLowerCase());
      expect([ours.notBefore, ours.notAfter]).toEqual([Date.parse(theirs.validFrom), Date.parse(theirs.validTo)]);
      expect(ours.isCa).toBe(theirs.ca);
      expect(Buffer.from(ours.publicKey).equals(theirs.publicKey.export({ type: 'spki', format: 'der' }))).toBe(true);
    }
    expect(certificateOf(rsa.certificatePem).keyKind).toEqual({ type: 'rsa', bits: 2048, exponent: 65537n });
    expect(root.certificate.keyKind).toEqual({
      type: 'other',
      algorithm: '1.2.840.10045.2.1',
      curve: '1.2.840.10045.3.1.7',
    });
  });

  it('has an issuerId made of the name and the key of its issuer', async () => {
    const renewed = await Authority.root('root', { key: root.key, validity: validFor(20) });
    const namesake = await Authority.root('root');
    expect(renewed.certificate.issuerId).toBe(root.certificate.issuerId);
    expect(renewed.certificate.fingerprint256).not.toBe(root.certificate.fingerprint256);
    expect(namesake.certificate.issuerId).not.toBe(root.certificate.issuerId);
  });
});

describe('invalid octets', () => {
  it('are rejected when they are a truncated certificate or CRL', async () => {
    const der = derOf((await root.issue({ subject: 'CN=x' })).certificatePem);
    const crl = derOf(await root.crl({ serials: ['01'], number: 3 }));
    for (let length = 0; length < der.length; length += 1) {
      expect(() => readCertificate(der.slice(0, length))).toThrow(DecodeError);
    }
    for (let length = 0; length < crl.length; length += 1) {
      expect(() => readCrl(crl.slice(0, length))).toThrow(DecodeError);
    }
    expect(() => readCertificate(Uint8Array.from([...der, 0]))).toThrow(DecodeError);
  });

  it('are read or rejected with DecodeError or CrlKindError', async () => {
    const der = derOf((await root.issue({ subject: 'CN=x', names: [{ type: 'upn', value: 'a@b' }] })).certificatePem);
    const crl = derOf(await root.crl({ serials: ['01', '02'], number: 3 }));
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(changes, fc.boolean(), (list, ofCrl) => {
        const octets = Uint8Array.from(ofCrl ? crl : der);
        for (const [at, octet] of list) octets[at % octets.length] = octet;
        try {
          if (ofCrl) readCrl(octets);
          else readCertificate(octets);
        } catch (error) {
          if (!['DecodeError', 'CrlKindError'].includes((error as Error).name)) throw error;
        }
      }),
      { numRuns: runs(3000) },
    );
  });

  it('are rejected when a length is not in its shortest form', () => {
    expect(() => readCertificate(Uint8Array.of(0x30, 0x81, 0x02, 5, 0))).toThrow('shortest');
    expect(() => readCertificate(Uint8Array.of(0x30, 0x80, 0, 0))).toThrow('unsupported form of length');
    expect(() => listOf('')).toThrow(DecodeError);
  });
});
