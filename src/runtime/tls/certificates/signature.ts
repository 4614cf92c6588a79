import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { type Certificate, RSASSA_PSS, type Signed } from '../../../protocol/x509/certificate.js';
import { context, readOid, readSmallInteger, TAG, whole, within } from '../../../protocol/x509/der.js';

const MGF1 = '1.2.840.113549.1.1.8';

/** Hashes by signature algorithm OID (RFC 3279, 4055, 5758, 8410). null: the algorithm includes its hash. */
const HASHES: Readonly<Record<string, string | null>> = {
  '1.2.840.113549.1.1.5': 'sha1',
  '1.2.840.113549.1.1.14': 'sha224',
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.1': 'sha1',
  '1.2.840.10045.4.3.1': 'sha224',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.3.101.112': null,
  '1.3.101.113': null,
};

/** Hashes by their own OIDs, as in the parameters of RSASSA-PSS (RFC 4055 2.1). */
const DIGESTS: Readonly<Record<string, string>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.4': 'sha224',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

/** Parsing a public key costs more than using it, so each is parsed once. */
const keys = new WeakMap<Certificate, KeyObject>();

function keyOf(certificate: Certificate): KeyObject {
  const known = keys.get(certificate);
  if (known) return known;
  const key = createPublicKey({ key: Buffer.from(certificate.publicKey), format: 'der', type: 'spki' });
  keys.set(certificate, key);
  return key;
}

/** The hash of a signature. Undefined: unknown, or included in the algorithm. */
export function hashOf({ algorithm, parameters }: Signed): string | undefined {
  if (algorithm === RSASSA_PSS) return pss(parameters)?.hash;
  return HASHES[algorithm] ?? undefined;
}

/** Whether this certificate's key made the signature. False for an unknown algorithm or a broken key. */
export function hasSigned(issuer: Certificate, signed: Signed): boolean {
  try {
    const key = keyOf(issuer);
    if (signed.algorithm === RSASSA_PSS) {
      const parameters = pss(signed.parameters);
      if (!parameters) return false;
      const { hash, saltLength } = parameters;
      return verify(hash, signed.tbs, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }, signed.signature);
    }
    const hash = HASHES[signed.algorithm];
    if (hash === undefined || !fits(signed.algorithm, key)) return false;
    return verify(hash, signed.tbs, key, signed.signature);
  } catch {
    return false;
  }
}

/** Whether the signature algorithm fits the type of the key. */
function fits(algorithm: string, { asymmetricKeyType }: KeyObject): boolean {
  if (algorithm.startsWith('1.2.840.113549.1.1.')) return asymmetricKeyType === 'rsa';
  if (algorithm.startsWith('1.2.840.10045.4.')) return asymmetricKeyType === 'ec';
  return asymmetricKeyType === (algorithm === '1.3.101.112' ? 'ed25519' : 'ed448');
}

/** Parses RSASSA-PSS-params (RFC 4055 3.1). Undefined if signature and mask use different hashes, or an unknown one. */
function pss(parameters: Uint8Array | undefined): { readonly hash: string; readonly saltLength: number } | undefined {
  if (!parameters) return undefined;
  const reader = within(whole(parameters, TAG.SEQUENCE));
  const [hashElement, maskElement, saltElement] = [0, 1, 2].map((n) => reader.optional(context(n, true)));
  const hash = hashElement ? DIGESTS[readOid(within(hashElement).inside(TAG.SEQUENCE).element())] : 'sha1';
  let mask: string | undefined = 'sha1';
  if (maskElement) {
    const generator = within(maskElement).inside(TAG.SEQUENCE);
    if (readOid(generator.element(TAG.OBJECT_IDENTIFIER)) !== MGF1) return undefined;
    mask = DIGESTS[readOid(generator.inside(TAG.SEQUENCE).element(TAG.OBJECT_IDENTIFIER))];
  }
  if (hash === undefined || hash !== mask) return undefined;
  return { hash, saltLength: saltElement ? readSmallInteger(within(saltElement).element(TAG.INTEGER)) : 20 };
}
