import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DecodeError } from '../../../protocol/bytes/decode-error.js';
import type { Certificate } from '../../../protocol/x509/certificate.js';
import { CrlKindError, readCrl } from '../../../protocol/x509/crl.js';
import { OperatorError } from '../../system/failure.js';
import { crlsOfFile } from './pem.js';
import { type CrlOfFile, CrlSignatureError, Revocation, type RevocationPolicy } from './revocation.js';

/** Maximum size of a CRL file in octets: about a million entries. */
const MAX_CRL_FILE = 64 * 1024 * 1024;

/** Maximum number of files that are read from a folder. */
const MAX_CRL_FILES = 1_000;

/** The CRL keys of a configuration section. */
export interface CrlSection {
  readonly crl?: string | undefined;
  readonly 'crl-expired': RevocationPolicy['expired'];
  readonly 'crl-missing': RevocationPolicy['missing'];
}

/**
 * Reads all CRLs of a file or folder and verifies those of known issuers. Returns undefined without `crl`. Throws
 * OperatorError with the configuration key, the file, and the problem.
 */
export async function readRevocation(
  { crl: path, 'crl-expired': expired, 'crl-missing': missing }: CrlSection,
  issuers: readonly Certificate[],
  section = 'tls',
): Promise<Revocation | undefined> {
  if (path === undefined) return undefined;
  const key = `${section}.crl`;
  const lists: CrlOfFile[] = [];
  for (const file of await filesOf(key, path)) lists.push(...(await readFileOfCrls(key, file)));
  if (lists.length === 0) throw new OperatorError(`${key}: ${path} contains no CRL`);
  const revocation = new Revocation(lists, { expired, missing });
  try {
    revocation.verify(issuers);
  } catch (error) {
    if (!(error instanceof CrlSignatureError)) throw error;
    throw new OperatorError(`${key}: ${error.message}`);
  }
  return revocation;
}

/** The files of `path`: the file itself, or all files of the folder except hidden ones. Throws OperatorError. */
async function filesOf(key: string, path: string): Promise<string[]> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => refuse(key, path, error));
  if (found.isFile()) return [path];
  if (!found.isDirectory()) throw new OperatorError(`${key}: ${path} is neither a file nor a folder`);
  const names = await readdir(path).catch((error: NodeJS.ErrnoException) => refuse(key, path, error));
  const files: string[] = [];
  for (const name of names.filter((one) => !one.startsWith('.')).sort()) {
    const file = join(path, name);
    const kind = await stat(file).catch((error: NodeJS.ErrnoException) => refuse(key, file, error));
    if (kind.isFile()) files.push(file);
  }
  if (files.length > MAX_CRL_FILES) {
    throw new OperatorError(`${key}: ${path} holds ${files.length} files: at most ${MAX_CRL_FILES} are read`);
  }
  return files;
}

async function readFileOfCrls(key: string, path: string): Promise<CrlOfFile[]> {
  const { size } = await stat(path).catch((error: NodeJS.ErrnoException) => refuse(key, path, error));
  if (size > MAX_CRL_FILE) {
    throw new OperatorError(`${key}: ${path} has ${size} octets: at most ${MAX_CRL_FILE} are read`);
  }
  const octets = await readFile(path).catch((error: NodeJS.ErrnoException) => refuse(key, path, error));
  try {
    const lists = crlsOfFile(octets).map((der) => ({ list: readCrl(der), path }));
    if (lists.length === 0) throw new OperatorError(`${key}: ${path} is not a CRL in PEM or DER`);
    return lists;
  } catch (error) {
    if (error instanceof CrlKindError) throw new OperatorError(`${key}: ${path}: ${error.message}`);
    if (error instanceof DecodeError)
      throw new OperatorError(`${key}: ${path} contains a malformed CRL: ${error.message}`);
    throw error;
  }
}

function refuse(key: string, path: string, error: NodeJS.ErrnoException): never {
  throw new OperatorError(`${key}: cannot read ${path}: ${error.code === 'ENOENT' ? 'no such file' : error.code}`);
}
