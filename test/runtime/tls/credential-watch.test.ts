import { expect, it } from 'vitest';
import { credentialWarnings } from '../../../src/runtime/tls/credential-watch.js';
import { revocationOf } from '../eap/revocation-of.js';
import { Authority } from './certificates/authority.js';

it('credentialWarnings names each CRL of a CA that is not configured', async () => {
  const [root, other] = [await Authority.root('root'), await Authority.root('other')];
  const issued = await root.issue({ subject: 'CN=aaa.home.example' });
  const revocation = revocationOf((await root.crl()) + (await other.crl()));
  revocation.verify([root.certificate]);
  const files = {
    ca: 'ca.pem',
    certificate: 'aaa.pem',
    key: 'aaa-key.pem',
    crl: 'crl.pem',
    'min-version': '1.2',
    'max-version': '1.3',
    'min-rsa-bits': 2048,
    'sha1-signatures': 'refuse',
    'extended-key-usage': 'required',
  } as const;
  const used = { section: 'tls', files, caPem: root.certificatePem, ...issued, revocation, roles: [] } as const;
  const warnings = credentialWarnings([used], Date.now()).filter((text) => text.startsWith('tls.crl: '));
  expect(warnings).toEqual([
    'tls.crl: crl.pem: the CRL of O=Test, CN=other cannot be verified, since that CA is not in tls.ca',
  ]);
});
