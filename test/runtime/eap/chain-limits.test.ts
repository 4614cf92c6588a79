import { createPublicKey, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { certifyKey, type Issued, validFor } from '../../../src/pki/certificate-authority.js';
import type { EapServerAnswer } from '../../../src/protocol/eap/authenticator.js';
import { chainProblem, MAX_CHAIN, MAX_RSA_BITS } from '../../../src/protocol/x509/chain-limits.js';
import { makePki, runEap, type TestPki } from './eap-run.js';

let pki: TestPki;
/** Certificates for public keys without a private key, by the reason why they are costly to verify. */
const costly = new Map<string, string>();

/** An RSA public key with a random modulus of this length. */
function rsaKey(bits: number, exponent: Uint8Array): KeyObject {
  const n = randomBytes(bits / 8);
  n[0] = (n[0] ?? 0) | 0x80;
  n[n.length - 1] = (n[n.length - 1] ?? 0) | 1;
  const e = Buffer.from(exponent).toString('base64url');
  return createPublicKey({ key: { kty: 'RSA', n: n.toString('base64url'), e }, format: 'jwk' });
}

const F4 = Uint8Array.of(1, 0, 1);
/** 2^64 + 1: the engine accepts such exponents with keys of up to 3,072 bits. */
const LONG_EXPONENT = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 1);

beforeAll(async () => {
  pki = await makePki('p256');
  const keys: Record<string, KeyObject> = {
    'a long key': rsaKey(16_384, F4),
    'a long exponent': rsaKey(2048, LONG_EXPONENT),
    'the longest accepted key': rsaKey(MAX_RSA_BITS, F4),
  };
  for (const [what, key] of Object.entries(keys)) {
    costly.set(what, await certifyKey(pki.ca, { kind: 'client', nai: 'x@home.example' }, validFor(1), key));
  }
});

const der = (pem: string) => new Uint8Array(new X509Certificate(pem).raw);

/** The client's certificate followed by others. */
function withChain(...others: readonly string[]): Issued {
  return { ...pki.client, certificatePem: [pki.client.certificatePem, ...others].join('\n') };
}

function reasonOf(answer: EapServerAnswer<string>): string {
  return answer.type === 'failure' ? answer.reason : answer.type;
}

describe('chainProblem', () => {
  it('rejects chains that are costly to verify', () => {
    const chain = (...pems: readonly string[]) => chainProblem(pems.map(der));
    const { certificatePem } = pki.client;
    expect(chain(certificatePem, pki.ca.certificatePem)).toBeUndefined();
    expect(chain(certificatePem, costly.get('the longest accepted key') ?? '')).toBeUndefined();
    expect(chain(certificatePem, costly.get('a long key') ?? '')).toContain('16384 bits');
    expect(chain(costly.get('a long exponent') ?? '')).toContain('exponent');
    expect(chain(...new Array<string>(MAX_CHAIN).fill(certificatePem))).toBeUndefined();
    expect(chain(...new Array<string>(MAX_CHAIN + 1).fill(certificatePem))).toContain('certificates');
    expect(chainProblem([der(certificatePem), Uint8Array.of(0x30, 0)])).toContain('not valid DER');
  });
});

describe('A client with certificates that are costly to verify', () => {
  it.each(['a long key', 'a long exponent'])(
    'is refused with TLS 1.2 before the engine verifies anything: %s',
    async (what) => {
      const client = withChain(costly.get(what) ?? '');
      const { answer } = await runEap(pki, { version: 'TLSv1.2', client });
      expect(reasonOf(answer)).toBe('effort');
    },
  );

  it('is accepted with TLS 1.2 if its chain is of ordinary size', async () => {
    const client = withChain(pki.ca.certificatePem);
    expect(reasonOf((await runEap(pki, { version: 'TLSv1.2', client })).answer)).toBe('success');
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('is refused with %s if its flight is too long', async (version) => {
    const long = costly.get('a long key') ?? '';
    const serverOptions = { maxClientFlight: 12_288 };
    const client = withChain(...new Array<string>(13).fill(long));
    const { answer } = await runEap(pki, { version, client, serverOptions });
    expect(answer).toMatchObject({ type: 'failure', reason: 'fragments' });
    const short = withChain(costly.get('the longest accepted key') ?? '');
    expect(reasonOf((await runEap(pki, { version, client: short, serverOptions })).answer)).toBe('success');
  });
});
