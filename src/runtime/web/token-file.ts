import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OperatorError } from '../system/failure.js';
import { makeFolder } from '../system/folder.js';

/** Octets of a new token. */
const TOKEN_OCTETS = 32;

/** Shortest token that an operator may write, in characters. */
const SHORTEST = 32;

/** What to do about a token that cannot be used. */
export const NEW_TOKEN = 'remove the file, and the daemon writes a new one when it starts';

/** Largest file that is read, in octets. */
const MAX_FILE = 4096;

/**
 * Reads the token with which operators log in to the web page. Creates the file, readable by its owner only, if it does
 * not exist. `random`: a secure generator. Rejects with OperatorError if others can read or write the file, if it belongs
 * to another user, or if the token is short.
 */
export async function readToken(path: string, random: (octets: number) => Uint8Array): Promise<string> {
  await makeFolder(dirname(path), 0o700);
  const create = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const created = await open(path, create, 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') return undefined;
    throw new OperatorError(`control.web-token: cannot create ${path}: ${error.code}`);
  });
  if (created) {
    try {
      await created.writeFile(`${Buffer.from(random(TOKEN_OCTETS)).toString('base64url')}\n`);
      await created.sync();
    } finally {
      await created.close();
    }
  }
  return readExisting(path, process.getuid?.());
}

/** Reads an existing token. Rejects as `readToken` does. `own`: the user who must have it; undefined: any. */
export async function readExisting(path: string, own: number | undefined): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      const why = error.code === 'ELOOP' ? 'it is a symbolic link' : error.code;
      throw new OperatorError(`control.web-token: cannot read ${path}: ${why}`);
    },
  );
  try {
    const found = await file.stat();
    if (!found.isFile()) throw new OperatorError(`control.web-token: ${path} is not a file`);
    if ((found.mode & 0o077) !== 0) {
      const remedy = `chmod 600 ${path}, and write a new token`;
      throw new OperatorError(`control.web-token: others can read ${path}`, { remedy });
    }
    if (own !== undefined && found.uid !== own && found.uid !== 0) {
      throw new OperatorError(`control.web-token: ${path} belongs to another user (uid ${found.uid})`);
    }
    if (found.size > MAX_FILE) throw new OperatorError(`control.web-token: ${path} is longer than ${MAX_FILE} octets`);
    const token = (await file.readFile('utf8')).trim();
    if (!/^[!-~]*$/.test(token)) throw new OperatorError(`control.web-token: ${path} must hold one word of ASCII`);
    if (token.length < SHORTEST) {
      const remedy = NEW_TOKEN;
      throw new OperatorError(`control.web-token: the token in ${path} has less than ${SHORTEST} characters`, {
        remedy,
      });
    }
    return token;
  } finally {
    await file.close();
  }
}
