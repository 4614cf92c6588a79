import { OperatorError } from '../runtime/system/failure.js';
import { isPostgresUrl, storeName } from './backend.js';

/** What `sslmode` may be: the driver takes an unknown one for TLS of its own choice, or for none. */
const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify'];

/** Modes that the driver takes for `verify-full`, with a warning on standard error that they will mean less one day. */
const VERIFYING = /([?&]sslmode=)(?:prefer|require|verify-ca)(?=&|#|$)/g;

/** What is wrong with the URL of a PostgreSQL database, or with the environment that completes it; undefined: nothing. */
export function urlProblem(url: string, environment: NodeJS.ProcessEnv): string | undefined {
  const query = new URLSearchParams(queryOf(url));
  const given = query.getAll('sslmode').map((mode): [name: string, mode: string] => ['sslmode', mode]);
  const inherited = environment['PGSSLMODE'];
  if (given.length === 0 && inherited !== undefined && inherited !== '') given.push(['PGSSLMODE', inherited]);
  const unknown = given.find(([, mode]) => !SSL_MODES.includes(mode));
  if (unknown === undefined) return undefined;
  const [name, mode] = unknown;
  return `there is no ${name} ${JSON.stringify(mode)}: verify-full (also said as verify-ca, require or prefer), no-verify or disable`;
}

/** Looks at where a store is to be, and asks nobody. Throws OperatorError. */
export function checkStore(store: string, environment: NodeJS.ProcessEnv): void {
  const problem = isPostgresUrl(store) ? urlProblem(store, environment) : undefined;
  if (problem !== undefined) throw new OperatorError(`store: ${storeName(store)}: ${problem}`);
}

/** The same URL, for the driver: all modes that it takes for `verify-full` are called so. */
export function forDriver(url: string): string {
  const asLibpq = new URLSearchParams(queryOf(url)).get('uselibpqcompat') === 'true';
  return asLibpq ? url : url.replaceAll(VERIFYING, '$1verify-full');
}

function queryOf(url: string): string {
  const [, query = ''] = /\?([^#]*)/.exec(url) ?? [];
  return query;
}
