import { readServerFiles } from '../tls/files.js';

/** The keys of the section `control` that concern the web page. */
export interface WebSection {
  readonly web?: string | undefined;
  readonly 'web-token': string;
  readonly 'web-hosts': readonly string[];
  readonly 'web-certificate'?: string | undefined;
  readonly 'web-key'?: string | undefined;
}

/** Reads the certificate and key of the page; undefined: none is configured. Rejects with OperatorError. */
export async function readWebTls(section: WebSection): Promise<{ cert: string; key: string } | undefined> {
  const { 'web-certificate': certificate, 'web-key': key } = section;
  if (certificate === undefined || key === undefined) return undefined;
  const { certificatePem, keyPem } = await readServerFiles(
    { name: 'control.web-certificate', path: certificate },
    { name: 'control.web-key', path: key },
  );
  return { cert: certificatePem, key: keyPem };
}
