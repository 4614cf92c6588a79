import { OperatorError } from '../runtime/system/failure.js';
import { isPostgresUrl, storeName } from './backend.js';

/**
 * The valid values of `sslmode`. The driver would silently replace an unknown one by its own TLS settings, or by no
 * TLS.
 */
const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify'];

/** Modes that the driver treats as `verify-full`, with a warning on standard error that this will change. */
const VERIFYING = /([?&]sslmode=)(?:prefer|require|verify-ca)(?=&|#|$)/g;

/** The problem of a PostgreSQL URL or of the environment that completes it; undefined if there is none. */
export function urlProblem(url: string, environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const query = new URLSearchParams(queryOf(url));
  const given = query.getAll('sslmode').map((mode): [name: string, mode: string] => ['sslmode', mode]);
  const inherited = environment['PGSSLMODE'];
  if (given.length === 0 && inherited !== undefined && inherited !== '') given.push(['PGSSLMODE', inherited]);
  const unknown = given.find(([, mode]) => !SSL_MODES.includes(mode));
  if (unknown === undefined) return undefined;
  const [name, mode] = unknown;
  return `${name} ${JSON.stringify(mode)} is unknown: use verify-full (or its aliases verify-ca, require, prefer), no-verify or disable`;
}

/** Checks the location of a store without connecting to it. Throws OperatorError. */
export function checkStore(store: string, environment: Readonly<Record<string, string | undefined>>): void {
  const problem = isPostgresUrl(store) ? urlProblem(store, environment) : undefined;
  if (problem !== undefined) throw new OperatorError(`store: ${storeName(store)}: ${problem}`);
}

/**
 * Returns the URL with `verify-full` in place of the modes that the driver treats as such, which avoids its warning.
 */
export function forDriver(url: string): string {
  const asLibpq = new URLSearchParams(queryOf(url)).get('uselibpqcompat') === 'true';
  return asLibpq ? url : url.replaceAll(VERIFYING, '$1verify-full');
}

function queryOf(url: string): string {
  const [, query = ''] = /\?([^#]*)/.exec(url) ?? [];
  return query;
}
