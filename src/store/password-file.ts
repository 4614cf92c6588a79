import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CodedError } from '../errors/coded-error.js';

/** The fields of a password file's line that select it. */
export interface PasswordPlace {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** No password is available. The message states where it was looked up. */
export class PasswordError extends CodedError<'ERR_STORE_PASSWORD'> {
  override readonly name = 'PasswordError';

  constructor(message: string) {
    super('ERR_STORE_PASSWORD', message);
  }
}

/** A field up to a colon; `\:` and `\\` stand for a colon and a backslash. */
const FIELD = String.raw`((?:\\.|[^\\:])*):`;
const LINE = new RegExp(`^${FIELD.repeat(4)}(.*)$`);

/**
 * Reads the password from PostgreSQL's password file as libpq does: `PGPASSFILE`, or `~/.pgpass`, accessible only to
 * its owner. Lines are `host:port:database:user:password`; the first match is used; `*` matches everything. Rejects
 * with PasswordError.
 */
export async function passwordFromFile(place: PasswordPlace): Promise<string> {
  const path = process.env['PGPASSFILE'] || join(homedir(), '.pgpass');
  const wanted = 'the server requires a password, which neither the URL nor PGPASSWORD contains';
  let text: string;
  let mode: number;
  try {
    ({ mode } = await stat(path));
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new PasswordError(`${wanted}, ${code === 'ENOENT' ? `and there is no file ${path}` : `and: ${message}`}`);
  }
  if ((mode & 0o077) !== 0)
    throw new PasswordError(`${wanted}, and users other than its owner can use ${path}: chmod 600`);
  const password = passwordIn(text, place);
  if (password === undefined) throw new PasswordError(`${wanted}, and ${path} has no line for this database and user`);
  return password;
}

/** Finds the password in the text of a password file; undefined if no line matches. */
export function passwordIn(text: string, { host, port, database, user }: PasswordPlace): string | undefined {
  // As in libpq, a line for localhost also matches a UNIX socket.
  const hosts = host.startsWith('/') ? [host, 'localhost'] : [host];
  const accepted = [hosts, [String(port)], [database], [user]];
  for (const line of text.split(/\r?\n|\r/)) {
    if (line.startsWith('#')) continue;
    const fields = LINE.exec(line)?.slice(1).map(withoutBackslashes);
    const password = fields?.pop();
    if (password && fields?.every((field, i) => field === '*' || accepted[i]?.includes(field))) return password;
  }
  return undefined;
}

function withoutBackslashes(field: string): string {
  return field.replaceAll(/\\(.)/g, '$1');
}
