import { connect } from 'node:net';
import { defaultSocket } from '../config/default-socket.js';
import { visibleLines } from '../system/terminal.js';
import { readable } from './readable.js';

/** How long the daemon may take to answer here, in milliseconds. After this time the whole program asks again. */
const LIMIT = 5_000;

/** Starts of an answer that has a body of JSON. */
const STATUS_OK = /^HTTP\/1\.1 200 /;
const JSON_BODY = /^content-type: application\/json\r?$/im;

/**
 * Prints the state of a running daemon, without the parsers of the command line and the configuration, which would take
 * most of the time. Resolves with whether it was printed; if not, the whole program handles the command line, and prints
 * what is wrong.
 */
export async function printStatus(name: string, prefix: string): Promise<boolean> {
  const asked = statusAsked(process.argv.slice(2), process.env, name, prefix);
  if (asked === undefined) return false;
  const value = await statusOf(asked.socket);
  if (value === undefined) return false;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
  process.stdout.write(`${visibleLines(asked.json ? JSON.stringify(value) : readable(value))}\n`);
  return true;
}

/**
 * Reads `status` with at most `--json` and one `--control.socket PATH`. Undefined: anything else, or a variable of the
 * environment that may name another socket.
 */
export function statusAsked(
  words: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  name: string,
  prefix: string,
): { readonly socket: string; readonly json: boolean } | undefined {
  const [command, ...flags] = words;
  if (command !== 'status' || Object.keys(environment).some((key) => key.startsWith(`${prefix}_`))) return undefined;
  const json = flags[0] === '--json';
  if (json) flags.shift();
  if (flags.length === 0) return { socket: defaultSocket(name), json };
  const [flag, path = ''] = flags;
  // The parser removes quotes, and takes what begins with a hyphen for a flag.
  if (flags.length !== 2 || flag !== '--control.socket' || !/^[^-'"]/.test(path)) return undefined;
  return { socket: path, json };
}

/** Asks without node:http, whose code takes longer to load than everything here. Undefined: no usable answer. */
function statusOf(path: string): Promise<unknown> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    const socket = connect({ path, timeout: LIMIT });
    socket.on('timeout', () => socket.destroy());
    // HTTP/1.0: the answer is not in chunks, and ends with the connection.
    socket.on('connect', () => socket.write('GET /status HTTP/1.0\r\n\r\n'));
    socket.on('data', (part) => parts.push(part));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(valueIn(Buffer.concat(parts).toString('utf8'))));
  });
}

/** The value of a whole answer in JSON. */
export function valueIn(answer: string): unknown {
  const end = answer.indexOf('\r\n\r\n');
  const head = answer.slice(0, Math.max(0, end));
  if (!STATUS_OK.test(head) || !JSON_BODY.test(head)) return undefined;
  try {
    return JSON.parse(answer.slice(end + 4));
  } catch {
    return undefined;
  }
}
