import type { Argv } from 'yargs';
import { OperatorError } from '../runtime/system/failure.js';

/** The flags of `pana-mip6 load`. */
export function loadFlags(cli: Argv) {
  return cli
    .option('config', { alias: 'c', type: 'string', description: 'configuration file of a pana-pac, for all nodes' })
    .option('paa', { type: 'string', description: 'address of the PAA' })
    .option('port', { type: 'number', description: 'its UDP port [default: 716]' })
    .option('pki', {
      type: 'string',
      description: 'folder of ca.pem, NAME.pem and NAME-key.pem; each client certificate is a node',
    })
    .option('ca', { type: 'string', description: 'PEM file of the CA of the AAA server' })
    .option('certificate', { type: 'string', description: 'PEM file of one certificate for all nodes' })
    .option('key', { type: 'string', description: 'PEM file of its private key' })
    .option('server-name', { type: 'string', description: 'host name of the AAA server, or its parent domain' })
    .option('identity', { type: 'string', description: 'EAP identity [default: @ and the server name]' })
    .option('concurrency', { type: 'number', description: 'bootstraps in progress at all times [default: 1]' })
    .option('rate', { type: 'number', description: 'bootstraps that begin per second, whatever the PAA answers' })
    .option('count', { type: 'number', description: 'bootstraps in all' })
    .option('duration', { type: 'string', description: 'length of the run, such as 30s or 10m [default: 10s]' })
    .option('warm-up', { type: 'number', default: 0, description: 'bootstraps before the measurement' })
    .option('tls', { type: 'string', choices: ['1.2', '1.3'] as const, description: 'TLS version [default: 1.3]' })
    .option('resume', { type: 'number', default: 0, description: 'share of bootstraps that resume TLS, 0 to 1' })
    .option('stay', {
      type: 'string',
      default: '0',
      description: 'mean length of a session; 0: ended at once; end: until the end of the run',
    })
    .option('move-every', { type: 'string', default: '0', description: 'mean time between moves; 0: never' })
    .option('reauth-every', {
      type: 'string',
      default: '0',
      description: 'mean time between re-authentications; 0: as pana-pac does',
    })
    .option('vanish', {
      type: 'number',
      default: 0,
      description: 'share of sessions that a node leaves without a message, 0 to 1',
    })
    .option('soak', {
      type: 'boolean',
      default: false,
      description: 'sessions of 60s that move every 20s and re-authenticate every 30s; a tenth vanish, half resume',
    })
    .option('local', { type: 'string', description: 'local addresses and networks, in turn: 127.1.0.0/16' })
    .option('nodes', {
      type: 'number',
      description: 'maximum number of nodes; each has a socket and a session [default: see below]',
    })
    .option('timeout', { type: 'string', default: '30s', description: 'time limit of an attempt' })
    .option('retry', {
      type: 'boolean',
      description: 'try again if the AAA server is too busy, as pana-pac [default: with --concurrency]',
    })
    .option('daemon', {
      type: 'string',
      description: 'NAME=SOCKET, … : also show CPU and longest turn of daemons on this host',
    })
    .option('json', { type: 'boolean', default: false, description: 'print the result as JSON' })
    .option('quiet', { type: 'boolean', default: false, description: 'show no progress' })
    .example('pana-mip6 load --paa ::1 --pki pki --server-name home.example', 'one at a time, for ten seconds')
    .example('pana-mip6 load -c pana-pac.yaml --concurrency 16 --warm-up 2000', 'with the certificate of a pana-pac')
    .example('pana-mip6 load -c pana-pac.yaml --rate 100 --duration 5m --local 127.1.0.0/16', 'from many addresses')
    .example('pana-mip6 load -c pana-pac.yaml --count 1000 --concurrency 1000 --stay end', 'a thousand at once')
    .example('pana-mip6 load -c pana-pac.yaml --soak --rate 5 --duration 1h', 'as on a working day')
    .epilogue(
      'Nodes: as many as certificates, so that no two share one; without --stay, as many as bootstraps in progress.\n' +
        'The AAA server must know the certificates as subscribers, and the PAA must permit so many nodes at one\n' +
        'address (pana.limits.pci-per-address, half-open-per-address, sessions-per-subscriber).\n' +
        'Ctrl-C ends the sessions and prints the result; a second one ends at once.\n' +
        'Exit status 1: a bootstrap failed, or a session was lost.',
    );
}

export type LoadFlags = Awaited<ReturnType<typeof loadFlags>['argv']>;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const LONGEST = 30 * 24 * 3_600_000;

/** Milliseconds of `500ms`, `30s`, `5m` or `2h`. Throws OperatorError. */
export function durationOf(flag: string, text: string): number {
  const [, digits, unit = ''] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/.exec(text) ?? [];
  const milliseconds = text === '0' ? 0 : Number(digits ?? Number.NaN) * (UNITS[unit] ?? Number.NaN);
  if (milliseconds >= 0 && milliseconds <= LONGEST) return milliseconds;
  throw new OperatorError(`--${flag}: "${text}" is not a duration such as 500ms, 30s, 5m or 2h`);
}

/** A number within bounds. Throws OperatorError. */
export function numberOf(flag: string, value: number, least: number, most: number, isWhole: boolean): number {
  if (value >= least && value <= most && (!isWhole || Number.isInteger(value))) return value;
  throw new OperatorError(`--${flag}: ${value} is not a ${isWhole ? 'whole ' : ''}number from ${least} to ${most}`);
}
