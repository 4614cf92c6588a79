import { z } from 'zod';
import {
  RADIUS_ACCOUNTING_PORT as ACCOUNTING_PORT,
  RADIUS_DYNAMIC_PORT as DYNAMIC_PORT,
  RADIUS_PORT,
  RADSEC_PORT,
} from '../../protocol/radius/wire/ports.js';
import { reloadable } from '../../runtime/config/reload.js';
import * as section from '../../runtime/config/sections.js';

interface ClientSettings {
  readonly name: string;
  readonly from: readonly string[];
  readonly 'secret-file'?: string | undefined;
  readonly certificate?: string | undefined;
  readonly dae?: { readonly address?: string | undefined; readonly over: 'udp' | 'radsec' } | undefined;
}

/** Names must be unique, because sessions belong to them; a network of two clients would have two secrets. */
function clientRules(clients: readonly ClientSettings[], context: z.RefinementCtx): void {
  const names = new Set<string>();
  const networks = new Map<string, string>();
  const certificates = new Set<string>();
  for (const [i, { name, from, certificate, 'secret-file': file, dae }] of clients.entries()) {
    const refuse = (key: string, message: string) => context.addIssue({ code: 'custom', path: [i, key], message });
    if (from.length > 0 && file === undefined) refuse('secret-file', `${name} has addresses, but no secret for UDP`);
    if (from.length === 0 && file !== undefined) refuse('from', `${name} has a secret for UDP, but no address`);
    if (from.length === 0 && certificate === undefined)
      refuse('from', `${name} has neither an address nor a certificate`);
    if (dae?.over === 'radsec' && certificate === undefined)
      refuse('dae', `${name} has no certificate, so that it has no RadSec connections`);
    if (dae?.over === 'udp' && dae.address === undefined) refuse('dae', `${name}: address is missing`);
    if (dae?.over === 'udp' && file === undefined) refuse('dae', `${name} has no secret for UDP: set over: radsec`);
    if (certificate !== undefined) {
      if (certificates.has(certificate.toLowerCase()))
        refuse('certificate', `two clients have the name ${certificate}`);
      certificates.add(certificate.toLowerCase());
    }
    if (names.has(name.toLowerCase())) refuse('name', `two clients have the name ${name}`);
    names.add(name.toLowerCase());
    for (const network of from) {
      const other = networks.get(network.toLowerCase());
      if (other !== undefined) refuse('from', `${network} belongs to ${other}, too`);
      networks.set(network.toLowerCase(), name);
    }
  }
}

const client = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
      error: ({ input }) => `"${String(input)}" is not a name such as ap1 or ha1.home.example`,
    })
    .describe('name of the client in sessions, log and metrics; that of a home agent is its name in the store')
    .meta({ examples: ['ap1'] }),
  from: z
    .array(section.network())
    .default([])
    .describe('its source addresses and networks; the narrowest network of all clients decides'),
  'secret-file': section
    .fileName()
    .optional()
    .describe('file with the shared secret in its first line, readable by the user of the daemon only; not for RadSec')
    .meta({ examples: ['/etc/pana-mip6/radius/ap1.secret'] }),
  certificate: section
    .identity()
    .optional()
    .describe('dNSName in the certificate of the client, by which it is known over RadSec')
    .meta({ examples: ['ap1.access.example'] }),
  'home-agent': z
    .boolean()
    .default(false)
    .describe('the client is the home agent of this name: it gets the home address as Framed-IPv6-Address'),
  'extended-master-secret': z
    .enum(['required', 'wanted'])
    .optional()
    .describe('extended master secret (RFC 7627) with TLS 1.2 of nodes behind this client [default: as tls says]')
    .meta({ examples: ['wanted'] }),
  dae: z
    .strictObject({
      address: section.address().optional().describe('its address; not with over: radsec'),
      port: section.port().min(1).default(DYNAMIC_PORT).describe('its UDP port'),
      over: z
        .enum(['udp', 'radsec'])
        .default('udp')
        .describe('radsec: requests go over a connection that the client has opened'),
    })
    .optional()
    .describe('where the client accepts Disconnect-Requests and CoA-Requests (RFC 5176); without it: nowhere'),
});

/** The section `radius` of `pana-aaa`. */
export const radius = section.group({
  listen: z.array(section.address()).default([]).describe('addresses to listen on for RADIUS over UDP'),
  port: section.port().default(RADIUS_PORT).describe('UDP port for authentication; 0: any free one'),
  tls: section
    .diameterTls(RADSEC_PORT, 'radius.listen')
    .describe('RadSec, RADIUS over TLS, on the same addresses: {ca, certificate, key, crl, min-version, port, …}'),
  'accounting-port': section.port().default(ACCOUNTING_PORT).describe('UDP port for accounting; 0: any free one'),
  clients: reloadable(
    z
      .array(client)
      .superRefine(clientRules)
      .default([])
      .describe('RADIUS clients (access points, home agents, proxies): [{name, from, secret-file}]')
      .meta({
        examples: [[{ name: 'ap1', from: ['2001:db8:ff::/64'], 'secret-file': '/etc/pana-mip6/radius/ap1.secret' }]],
      }),
  ),
});

export type RadiusSection = z.output<typeof radius>;
