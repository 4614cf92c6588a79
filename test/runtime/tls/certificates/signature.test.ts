import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { fromHex } from '../../../../src/protocol/bytes/octets.js';
import type { Certificate, Signed } from '../../../../src/protocol/x509/certificate.js';
import { hashOf, hasSigned } from '../../../../src/runtime/tls/certificates/signature.js';
import { Authority } from './authority.js';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const ed25519 = generateKeyPairSync('ed25519');
const ed448 = generateKeyPairSync('ed448');
const TBS = Buffer.from('to be signed');
let some: Certificate;

beforeAll(async () => {
  some = (await Authority.root('some')).certificate;
});

const issuerOf = (key: KeyObject): Certificate => ({
  ...some,
  publicKey: key.export({ type: 'spki', format: 'der' }),
});

function signed(key: KeyObject, algorithm: string, hash: string | null, parameters?: Uint8Array): Signed {
  return { tbs: TBS, algorithm, parameters, signature: sign(hash, TBS, key) };
}

const NULL = Uint8Array.of(5, 0);
const SHA256_WITH_RSA = '1.2.840.113549.1.1.11';

describe('hasSigned', () => {
  it.each([
    ['SHA-1 with RSA', rsa, '1.2.840.113549.1.1.5', 'sha1'],
    ['SHA-256 with RSA', rsa, SHA256_WITH_RSA, 'sha256'],
    ['SHA-384 with RSA', rsa, '1.2.840.113549.1.1.12', 'sha384'],
    ['SHA-512 with RSA', rsa, '1.2.840.113549.1.1.13', 'sha512'],
    ['SHA-256 with ECDSA', p384, '1.2.840.10045.4.3.2', 'sha256'],
    ['SHA-384 with ECDSA', p384, '1.2.840.10045.4.3.3', 'sha384'],
    ['Ed25519', ed25519, '1.3.101.112', null],
    ['Ed448', ed448, '1.3.101.113', null],
  ] as const)("verifies with the issuer's key only: %s", (_what, pair, algorithm, hash) => {
    const good = signed(pair.privateKey, algorithm, hash, pair === rsa ? NULL : undefined);
    const issuer = issuerOf(pair.publicKey);
    expect(hashOf(good)).toBe(hash ?? undefined);
    expect(hasSigned(issuer, good)).toBe(true);
    expect(hasSigned(issuer, { ...good, tbs: Buffer.from('to be singed') })).toBe(false);
    expect(hasSigned(issuer, { ...good, signature: good.signature.subarray(1) })).toBe(false);
    for (const other of [rsa, p384, ed25519, ed448]) {
      if (other !== pair) expect(hasSigned(issuerOf(other.publicKey), good)).toBe(false);
    }
  });

  it('verifies RSASSA-PSS by its parameters (RFC 4055 3.1)', () => {
    const sha256 = '300b0609608648016503040201';
    const parts = (hash: string, mask: string, salt: number) =>
      `a00d${hash}a11a301806092a864886f70d010108${mask}a2030201${salt.toString(16).padStart(2, '0')}`;
    const parameters = (text: string) => fromHex(`30${(text.length / 2).toString(16).padStart(2, '0')}${text}`);
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    const pss = {
      tbs: TBS,
      algorithm: '1.2.840.113549.1.1.10',
      signature: sign('sha256', TBS, { key: rsa.privateKey, padding, saltLength: 32 }),
    };
    const issuer = issuerOf(rsa.publicKey);
    const verified = (text: string) => hasSigned(issuer, { ...pss, parameters: parameters(text) });
    expect(verified(parts(sha256, sha256, 32))).toBe(true);
    expect(hashOf({ ...pss, parameters: parameters(parts(sha256, sha256, 32)) })).toBe('sha256');
    expect(verified(parts(sha256, sha256, 20))).toBe(false);
    expect(verified(parts(sha256, '300b0609608648016503040202', 32))).toBe(false);
    // Empty parameters mean SHA-1 with 20 octets of salt; absent parameters are invalid.
    expect(verified('')).toBe(false);
    const old = sign('sha1', TBS, { key: rsa.privateKey, padding, saltLength: 20 });
    expect(hasSigned(issuer, { ...pss, signature: old, parameters: parameters('') })).toBe(true);
    expect(hasSigned(issuer, { ...pss, signature: old, parameters: undefined })).toBe(false);
  });

  it('rejects an unknown algorithm, one of another family and a broken key', () => {
    const good = signed(rsa.privateKey, SHA256_WITH_RSA, 'sha256', NULL);
    const issuer = issuerOf(rsa.publicKey);
    const md5 = signed(rsa.privateKey, '1.2.840.113549.1.1.4', 'md5', NULL);
    expect(hasSigned(issuer, md5)).toBe(false);
    expect(hasSigned(issuer, { ...good, algorithm: '1.2.840.10045.4.3.2' })).toBe(false);
    expect(hasSigned({ ...some, publicKey: Uint8Array.of(0x30, 0) }, good)).toBe(false);
  });
});
