import { X509Certificate } from 'node:crypto';
import { dirname } from 'node:path';
import { datedCertificates, notices, noticeText } from '../tls/expiry.js';
import { NEW_TOKEN, readExisting } from '../web/token-file.js';
import { readWebTls, type WebSection } from '../web/web-files.js';
import type { Computer } from './computer.js';
import { error, type Finding, findingsOf, placed, warning } from './finding.js';
import { folderFindings, hiddenFindings } from './folders.js';

const TOKEN = 'control.web-token';
const CERTIFICATE = 'control.web-certificate';

type Needs = Pick<Computer, 'files' | 'user' | 'service' | 'host'>;

/** Checks the token and the certificate of the web page, if there is one. */
export async function webFindings(section: WebSection, computer: Needs): Promise<Finding[]> {
  if (section.web === undefined) return [];
  const named = [
    [TOKEN, section['web-token']],
    [CERTIFICATE, section['web-certificate']],
    ['control.web-key', section['web-key']],
  ] as const;
  const hidden = hiddenFindings(named, computer);
  if (hidden.length > 0) return hidden;
  return [...(await tokenFindings(section['web-token'], computer)), ...(await tlsFindings(section, computer))];
}

/** The daemon creates a token that does not exist. */
async function tokenFindings(path: string, computer: Needs): Promise<Finding[]> {
  const isThere = await computer.files.stat(path).then(
    () => true,
    ({ code }: NodeJS.ErrnoException) => code !== 'ENOENT',
  );
  if (!isThere) return folderFindings(TOKEN, dirname(path), computer, { isPrivate: false });
  if (!(await computer.files.may(path, 'read'))) {
    return [error(TOKEN, `${computer.user} may not read ${path}`, `chown ${computer.user} ${path}`)];
  }
  try {
    // Root checks the token of a daemon that runs as another user.
    const own = process.getuid?.();
    await readExisting(path, own === 0 ? undefined : own);
    return [];
  } catch (failure) {
    return findingsOf(failure, TOKEN, NEW_TOKEN);
  }
}

async function tlsFindings(section: WebSection, { host }: Needs): Promise<Finding[]> {
  let tls: Awaited<ReturnType<typeof readWebTls>>;
  try {
    tls = await readWebTls(section);
  } catch (failure) {
    return findingsOf(failure, CERTIFICATE, 'see docs/web.md');
  }
  const path = section['web-certificate'];
  if (!tls || path === undefined) return [];
  const ends = notices(datedCertificates(CERTIFICATE, path, tls.cert), host.wall()).map((notice) =>
    warning(CERTIFICATE, placed(noticeText(notice)).what, 'renew it, and restart the daemon'),
  );
  const certificate = new X509Certificate(tls.cert);
  const foreign = section['web-hosts'].filter((name) => certificate.checkHost(name) === undefined);
  return [
    ...ends,
    ...foreign.map((name) =>
      warning(
        CERTIFICATE,
        `${path} is not for ${name} of control.web-hosts`,
        'browsers warn: issue one with this name',
      ),
    ),
  ];
}
