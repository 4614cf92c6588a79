import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { Secret } from '../../protocol/bytes/secret.js';
import { OperatorError } from '../system/failure.js';

/** The shared secret of RadSec (RFC 6614 2.3), which everybody knows. */
const RADSEC = 'radsec';

/** Secrets shorter than this, in octets, can be found by trying (RFC 2865 3). */
export const SHORT_SECRET = 16;

/** Maximum size of a file with a secret in octets. */
const MAX_FILE = 4_096;

/** Permission bits that let everybody read or change a file. A group may read, for daemons that do not run as root. */
const EVERYBODY = 0o007;

/**
 * Reads the shared secret of RADIUS over UDP: the first line of a file that only its owner and group may access. `key`:
 * the configuration key that names the file. Throws OperatorError: there is no such file, everybody can access it, or it
 * has no secret that protects anything.
 */
export async function readRadiusSecret(key: string, path: string): Promise<Secret> {
  const octets = await readPrivate(key, path);
  const end = octets.findIndex((octet) => octet === 0x0a || octet === 0x0d);
  const secret = Secret.copyOf(end < 0 ? octets : octets.subarray(0, end));
  octets.fill(0);
  const problem = secretProblem(secret);
  if (problem === undefined) return secret;
  secret.wipe();
  throw new OperatorError(`${key}: ${path} ${problem}`, { remedy: `openssl rand -hex 16 > ${path}` });
}

function secretProblem(secret: Secret): string | undefined {
  if (secret.length === 0) return 'has no secret in its first line';
  return secret.use((octets) => Buffer.from(octets).toString('latin1') === RADSEC)
    ? 'has the secret "radsec", which everybody knows'
    : undefined;
}

async function readPrivate(key: string, path: string): Promise<Uint8Array> {
  try {
    // Not blocked by a FIFO.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const status = await file.stat();
      if (!status.isFile()) throw new OperatorError(`${key}: ${path} is not a regular file`);
      if ((status.mode & EVERYBODY) !== 0) {
        throw new OperatorError(`${key}: every user of this host can access ${path}`, { remedy: `chmod o= ${path}` });
      }
      if (status.size > MAX_FILE) throw new OperatorError(`${key}: ${path} has more than ${MAX_FILE} octets`);
      const octets = Buffer.alloc(MAX_FILE);
      const { bytesRead } = await file.read(octets, 0, MAX_FILE, 0);
      return octets.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    const { code = '' } = error as NodeJS.ErrnoException;
    throw new OperatorError(`${key}: cannot read ${path}: ${code === 'ENOENT' ? 'no such file' : code}`);
  }
}
