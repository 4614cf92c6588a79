import { table } from '../../runtime/cli/cli.js';
import type { Way } from './options.js';
import type { Messages } from './way-servers.js';
import { DNS_AFTER, type WayResult } from './ways.js';

/** What names the home agent, and what delivers the home address. */
const ABOUT: Readonly<Record<Way, readonly [string, string]>> = {
  pana: ['PANA', 'PANA'],
  ikev2: ['PANA', 'IKEv2, EAP-TLS'],
  dns: ['DNS', 'IKEv2, EAP-TLS'],
  dhcpv6: ['DHCPv6', 'IKEv2, EAP-TLS'],
};

const MARKS = { yes: 'yes', no: 'NO', skipped: '-' } as const;

/** The ways side by side. */
export function waysReport(results: readonly WayResult[]): string {
  const heads = [
    'WAY',
    'HOME AGENT',
    'HOME ADDRESS',
    'WORKS',
    'AGENT KNOWN',
    'TO IKE',
    'IKE_SA',
    'TRAFFIC',
    'MESSAGES',
    'IKE',
  ];
  const rows = results.map((each) => [
    each.way,
    ...ABOUT[each.way],
    MARKS[each.result],
    ...[each.agentKnown, each.ikeBegins, each.ike, each.traffic].map(time),
    messages(each.access),
    messages(each.ikeMessages),
  ]);
  const notes = results.flatMap(({ way, detail }) => (detail === undefined ? [] : [`${way}: ${detail}`]));
  const about = [
    'AGENT KNOWN, TRAFFIC: since the first message of the node. MESSAGES: of PANA, DNS or DHCPv6 on the access link, before IKE.',
    ...(results.some(({ way }) => way === 'dns')
      ? [`dns: without the ${DNS_AFTER} ms in which a PAA may answer.`]
      : []),
  ];
  return [table(heads, rows), '', ...about, ...notes].join('\n');
}

function time(milliseconds: number | undefined): string {
  return milliseconds === undefined ? '' : `${Math.round(milliseconds)} ms`.padStart(7);
}

function messages(given: Messages | undefined): string {
  if (!given) return '';
  return given.octets === undefined ? `${given.count}` : `${given.count} (${given.octets} octets)`;
}
