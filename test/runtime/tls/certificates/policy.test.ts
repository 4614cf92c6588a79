import { expect, it } from 'vitest';
import type { Certificate } from '../../../../src/protocol/x509/certificate.js';
import { DEFAULT_POLICY, weakness } from '../../../../src/runtime/tls/certificates/policy.js';

/** The weakness of a trust anchor with an RSA key of this size and exponent. */
function weaknessOf(bits: number, exponent: bigint): string | undefined {
  const anchor = { subject: { text: 'CN=ca' }, keyKind: { type: 'rsa', bits, exponent } } as unknown as Certificate;
  return weakness([anchor], DEFAULT_POLICY)?.detail;
}

it.each([3n, 17n, 65_537n])('An RSA key with the exponent %s is accepted', (exponent) => {
  expect(weaknessOf(DEFAULT_POLICY.minRsaBits, exponent)).toBeUndefined();
});

it.each([-1n, 0n, 1n, 2n, 4n, 65_536n])('An RSA key with the exponent %s is weak', (exponent) => {
  expect(weaknessOf(DEFAULT_POLICY.minRsaBits, exponent)).toContain(`exponent ${exponent}`);
});

it('An RSA key with fewer bits than the policy wants is weak', () => {
  expect(weaknessOf(DEFAULT_POLICY.minRsaBits - 1, 65_537n)).toContain(`less than ${DEFAULT_POLICY.minRsaBits}`);
});
