import { readCrl } from '../../../src/protocol/x509/crl.js';
import { crlsOfFile } from '../../../src/runtime/tls/certificates/pem.js';
import { Revocation, type RevocationPolicy } from '../../../src/runtime/tls/certificates/revocation.js';

/** The CRLs of a PEM text with a policy; by default missing and expired CRLs are refused. */
export function revocationOf(pem: string, policy: Partial<RevocationPolicy> = {}): Revocation {
  const lists = crlsOfFile(Buffer.from(pem)).map((der) => ({ list: readCrl(der), path: 'crl.pem' }));
  return new Revocation(lists, { expired: 'refuse', missing: 'refuse', ...policy });
}
