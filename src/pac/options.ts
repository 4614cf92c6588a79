import { z } from 'zod';
import { MAX_CANDIDATES } from '../protocol/attachment/candidates.js';
import { SERVICES } from '../protocol/mip6/services.js';
import { PANA_PORT } from '../protocol/pana/wire/ports.js';
import { control } from '../runtime/config/control-section.js';
import { refuseEncryption } from '../runtime/config/encryption.js';
import { reloadable } from '../runtime/config/reload.js';
import * as section from '../runtime/config/sections.js';

const schema = z.strictObject({
  log: section.log,
  control: control('pana-pac'),
  pana: section.group({
    paa: reloadable(z.array(section.address()).default([]).describe('PAA addresses, tried in order')),
    'discovery-file': reloadable(
      section
        .fileName()
        .optional()
        .describe('file of further PAA addresses, written by a DHCP client (RFC 5192)')
        .meta({ examples: ['/var/db/pana-pac/agents'] }),
    ),
    'default-router': reloadable(
      z.boolean().default(true).describe('try the default router if paa and discovery-file name no PAA'),
    ),
    candidates: reloadable(
      z
        .array(section.address())
        .max(MAX_CANDIDATES)
        .default([])
        .describe('PAAs of other networks to which the node may move: it authenticates there before (RFC 5873)')
        .meta({ examples: [['2001:db8:b::1']] }),
    ),
    port: section.port().min(1).default(PANA_PORT).describe('UDP port of the PAA'),
    'local-address': section.address().optional().describe('local address [default: chosen by the route to the PAA]'),
    'local-port': section.port().default(0).describe('local UDP port; 0: any free one'),
    interface: z
      .string()
      .min(1)
      .optional()
      .describe('interface of the access link, whose addresses are used [default: any but tunnels]')
      .meta({ examples: ['eth0'] }),
    'vendor-id': section.vendorId(),
    ...section.algorithms,
    initiate: z.boolean().default(true).describe('send PCI; false: wait on the local port for the PAA'),
    'piggyback-responses': z.boolean().default(true).describe('send EAP responses in PAN; false: in a separate PAR'),
    'eap-reply-timeout': section
      .duration()
      .default(1_000)
      .describe('how long to wait for EAP before sending an empty PAN'),
    'progress-timeout': section.duration().default(60_000).describe('a phase without progress ends after this time'),
    'pci-limit': section
      .duration()
      .default(0)
      .describe('how long one PAA is tried; 0: forever, or 10s if there are several'),
    'ping-interval': section.duration().default(30_000).describe('ping the PAA after this time of silence; 0: never'),
    'reauthenticate-at': z
      .number()
      .min(0)
      .max(0.95)
      .default(0.75)
      .describe('fraction of the session lifetime after which to re-authenticate; 0: left to the PAA'),
  }),
  eap: reloadable(
    section.group({
      identity: z
        .string()
        .min(1)
        .max(253)
        .describe('identity, sent in clear text; @realm reveals only what routing needs')
        .meta({ examples: ['@home.example'] }),
      mtu: section
        .eapMtu()
        .optional()
        .describe(
          'size of the largest EAP packet to send, in octets [default: what fits the MTU of pana.interface; 1100 if that is not known]',
        )
        .meta({ examples: [1100] }),
    }),
  ),
  tls: reloadable(
    section.eapTls('1.3', 'lowest TLS version; with 1.2 any PAA can read the name in the certificate of this node', {
      certificate: section
        .fileName()
        .describe('PEM file of the certificate of this node')
        .meta({ examples: ['/etc/pana-mip6/pki/mn1.pem'] }),
      key: section
        .fileName()
        .describe('PEM file of its private key')
        .meta({ examples: ['/etc/pana-mip6/pki/mn1-key.pem'] }),
      'server-name': section
        .identity()
        .describe('host name that the AAA server certificate must have, or its parent domain'),
    }),
  ),
  mobility: section.group({
    mode: z
      .enum(['off', 'wanted', 'required'])
      .default('wanted')
      .describe('Mobile IPv6 bootstrapping: off, wanted, or required (use only PAAs that offer it)'),
    services: z
      .array(z.enum(SERVICES))
      .max(SERVICES.length)
      .default([])
      .describe('other services to ask for: mip4 (Mobile IPv4), hip (a HIP rendezvous server)'),
    'home-agent': z.enum(['home', 'local', 'any']).default('home').describe('preferred home agent: home, local, any'),
    ike: z
      .array(z.enum(['ikev1', 'ikev2']))
      .min(1)
      .default(['ikev2', 'ikev1'])
      .describe('IKE versions that the hook can set up; racoon: only ikev1'),
    'home-address': z
      .enum(['pana', 'ikev2'])
      .default('pana')
      .describe(
        'how the node gets its home address: pana: by PANA, with the home agent; ikev2: from the home agent, after a second EAP-TLS authentication; needs home-agent home',
      ),
    'psk-root': z
      .enum(['msk', 'emsk'])
      .optional()
      .describe('key that the IKE key is derived from [default: msk; emsk if privacy is not off]')
      .meta({ examples: ['emsk'] }),
    privacy: z
      .enum(['off', 'wanted', 'required'])
      .default('off')
      .describe('hide home agent and home address from the access network: off, wanted, or required'),
    discovery: z
      .enum(['pana', 'dns', 'dhcpv6'])
      .default('pana')
      .describe(
        'where to find a home agent that PANA does not assign: pana: nowhere; dns: by SRV records if no PAA answers; dhcpv6: in home-agent-file',
      ),
    'dns-after': section
      .duration()
      .default(10_000)
      .describe('how long no PAA must have answered before DNS is asked for a home agent'),
    'dns-domain': section
      .identity()
      .optional()
      .describe('domain of the home network, in which _mip6._ipv6 is looked up [default: the realm of eap.identity]')
      .meta({ examples: ['home.example'] }),
    'dns-servers': z
      .array(section.address())
      .max(8)
      .default([])
      .describe('DNS servers for this; empty: those of the system'),
    'home-agent-file': section
      .fileName()
      .default('/var/db/pana-pac/home-agents')
      .describe('file of home network information, written by a DHCPv6 client (RFC 6610)'),
  }),
  hooks: section.group({
    ...section.hooks('/var/db/pana-pac'),
    mn: z
      .string()
      .min(1)
      .optional()
      .describe('hook of the mobile node, run on up, refresh, move, down and reconfigure')
      .meta({ examples: ['/usr/local/share/pana-mip6/hooks/mn-linux.sh'] }),
    services: z
      .string()
      .min(1)
      .optional()
      .describe('hook of the services in mobility.services, run on up, refresh, move and down')
      .meta({ examples: ['/usr/local/etc/pana-mip6/services.sh'] }),
  }),
  stay: z.boolean().default(true).describe('start a new session when a session ends; false: exit'),
  retry: reloadable(
    section.group({
      first: section.duration().default(2_000).describe('wait before the first new attempt; doubles each time'),
      longest: section.duration().default(300_000).describe('longest wait before a new attempt'),
    }),
  ),
  'key-log': section.keyLog(),
});

/** Configuration of `pana-pac`. */
export const pacSchema = schema.superRefine(({ mobility, pana }, context) => {
  refuseEncryption(pana, context);
  const { privacy, 'home-agent': where, 'psk-root': root, discovery } = mobility;
  if (privacy === 'off') return;
  const refuse = (key: keyof typeof mobility, message: string) =>
    context.addIssue({ code: 'custom', path: ['mobility', key], message });
  if (root === 'msk')
    refuse('psk-root', `msk: the access network has the MSK; mobility.privacy: ${privacy} needs emsk`);
  if (where === 'local') {
    refuse('home-agent', `local: the access network knows its own home agent; mobility.privacy: ${privacy} hides none`);
  }
  if (mobility.services.length > 0) {
    const message = `the access network sees the servers of services; mobility.privacy: ${privacy} hides none`;
    refuse('services', message);
  }
  if (privacy === 'required' && discovery !== 'pana') {
    refuse('discovery', `${discovery}: the access network sees this home agent; mobility.privacy: required hides none`);
  }
});

export type PacOptions = z.output<typeof pacSchema>;

/** The root of the IKE key. A sealed assignment is of no use if the access network can compute the key. */
export function pskRootOf({ 'psk-root': root, privacy }: PacOptions['mobility']): 'msk' | 'emsk' {
  return root ?? (privacy === 'off' ? 'msk' : 'emsk');
}
