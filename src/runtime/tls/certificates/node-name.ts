import { X509Certificate } from 'node:crypto';
import { checkName } from '../../../protocol/mip6/names.js';
import { readCertificate } from '../../../protocol/x509/certificate.js';

/** The name of a node in its certificate: the rfc822Name, else the UPN. Undefined: none that may reach a hook. */
export function nodeName(pem: string | undefined): string | undefined {
  const [leaf] = pem?.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/) ?? [];
  if (leaf === undefined) return undefined;
  const { emails, upns } = readCertificate(new Uint8Array(new X509Certificate(leaf).raw)).alternativeNames;
  return [...emails, ...upns].find((name) => checkName(name) === undefined);
}
