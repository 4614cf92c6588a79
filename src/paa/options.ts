import { basename, resolve } from 'node:path';
import { z } from 'zod';
import { PANA_PORT } from '../protocol/pana/wire/ports.js';
import { MRD } from '../protocol/radius/client/retransmission.js';
import { RADIUS_DYNAMIC_PORT, RADSEC_PORT } from '../protocol/radius/wire/ports.js';
import { control } from '../runtime/config/control-section.js';
import { refuseEncryption } from '../runtime/config/encryption.js';
import { reloadable, reloadableEach } from '../runtime/config/reload.js';
import * as section from '../runtime/config/sections.js';
import { radiusServer, serverRules } from './radius-servers.js';

/** Session identifiers begin with the NAS-Identifier, and must fit into Acct-Session-Id. */
const MAX_NAS = 200;

const limit = (most: number) => z.number().int().min(1).max(most);

/** The protocol-dependent keys that may be missing: [section, key]. */
const REQUIRED = {
  diameter: [
    ['diameter', 'host'],
    ['diameter', 'realm'],
    ['diameter', 'peers'],
  ],
  radius: [
    ['nas', 'identifier'],
    ['radius', 'servers'],
  ],
} as const;

/** A relay in `pana.relays`. */
const relay = z
  .strictObject({
    address: section.address().describe('its address'),
    ep: z
      .string()
      .min(1)
      .optional()
      .describe('hook of the enforcement point on its link; without it the PAA does not permit its clients')
      .meta({ examples: ['/usr/local/share/pana-mip6/hooks/ep-ssh.sh'] }),
    'state-dir': section
      .fileName()
      .optional()
      .describe('folder of this hook, with its hooks.conf; required with ep, another one for each relay')
      .meta({ examples: ['/var/db/pana-paa/relay1'] }),
    interface: z.string().min(1).default('eth0').describe('interface of its access link (MIP6_INTERFACE)'),
  })
  .refine(({ ep, 'state-dir': folder }) => ep === undefined || folder !== undefined, {
    message: 'missing',
    path: ['state-dir'],
    params: { isMissing: true },
  });

/** Configuration of `pana-paa`. */
const schema = z.strictObject({
  log: section.log,
  aaa: z.enum(['diameter', 'radius']).default('diameter').describe('the protocol to the AAA servers'),
  control: control('pana-paa'),
  pana: section.group({
    listen: z.array(section.address()).min(1).describe('addresses to listen on, each with its own socket'),
    port: section.port().default(PANA_PORT).describe('UDP port; 0: any free one'),
    interface: z.string().min(1).default('eth0').describe('interface of the access link (MIP6_INTERFACE)'),
    relays: z
      .array(relay)
      .default([])
      .describe('PANA relays (RFC 6345) whose clients are served: [{address, ep, state-dir, interface}]')
      .meta({ examples: [[{ address: '2001:db8:a:1::1' }]] }),
    'vendor-id': section.vendorId(),
    ...reloadableEach(section.algorithms),
    peers: reloadable(
      z
        .enum(['current', 'legacy'])
        .default('current')
        .describe(
          'legacy, for strict old clients: offer SHA-1 first, and send no vendor AVP before a client asks for one',
        ),
    ),
    'optimised-start': reloadable(
      z.boolean().default(false).describe('request the EAP identity in PAR[S], which saves one round trip'),
    ),
    'identity-request': reloadable(
      z
        .enum(['paa', 'server'])
        .default('paa')
        .describe(
          'who requests the EAP identity; server: an empty EAP-Payload goes to the first realm of diameter.routes, or to diameter.realm if there is none',
        ),
    ),
    'ip-reconfiguration': reloadable(
      z.boolean().default(false).describe('tell authorized clients to get another IP address (I bit)'),
    ),
    'progress-timeout': reloadable(
      section.duration().default(60_000).describe('a phase without progress ends after this time'),
    ),
    'session-lifetime': reloadable(
      section.duration().default(3_600_000).describe('session lifetime if the AAA server sets none'),
    ),
    'lifetime-grace': section
      .duration()
      .default(2_000)
      .describe('how much longer a session is kept than the lifetime announced to the client'),
    'ping-interval': reloadable(
      section.duration().default(0).describe('ping a client after this time of silence; 0: never'),
    ),
    'reauthenticate-at': reloadable(
      z
        .number()
        .min(0)
        .max(0.95)
        .default(0.9)
        .describe(
          'fraction of the session lifetime after which the PAA re-authenticates the client; 0: left to the client',
        ),
    ),
    'pre-authentication': reloadable(
      section.group({
        allow: z
          .boolean()
          .default(false)
          .describe('let nodes authenticate here while they are still in another network (RFC 5873)'),
        from: z
          .array(section.network())
          .default([])
          .describe('addresses and networks from which they may, such as those of the neighbours; none: from anywhere'),
        lifetime: section
          .duration()
          .default(600_000)
          .describe('longest lifetime of a session whose node has not come; the node can prolong it'),
        sessions: limit(1_000_000).default(1_000).describe('sessions whose node has not come, in total'),
      }),
    ),
    limits: reloadable(
      section.group({
        'pci-per-address': limit(1000).default(5).describe('PCIs answered per second and address'),
        'pci-per-network': limit(100_000)
          .default(500)
          .describe('PCIs answered per second and network (/64, or /24 of IPv4)'),
        pci: limit(100_000)
          .default(4_000)
          .describe(
            'PCIs answered per second in total; half of them are reserved for networks and addresses that were quiet',
          ),
        'half-open-per-address': limit(1000).default(8).describe('half-open sessions per address'),
        'half-open-per-network': limit(100_000)
          .default(2_000)
          .describe('half-open sessions per network (/64, or /24 of IPv4)'),
        'half-open': limit(100_000).default(4_000).describe('half-open sessions in total'),
        'sessions-per-subscriber': limit(10_000)
          .default(4)
          .describe('sessions per subscriber (User-Name from the AAA server); a further one ends the oldest'),
        sessions: limit(10_000_000).default(100_000).describe('sessions in total'),
      }),
    ),
  }),
  mobility: reloadable(
    section.group({
      offer: z.boolean().default(true).describe('offer Mobile IPv6 bootstrapping to clients'),
      services: z
        .boolean()
        .default(true)
        .describe('offer to forward Mobile IPv4 and HIP assignments too; needs mobility.offer'),
    }),
  ),
  'local-home-agent': reloadable(
    z
      .strictObject({
        address: section.address().describe('IPv6 address of the local home agent'),
        host: section.identity().describe('its name'),
        prefix: section.prefix64().describe('home link prefix, such as 2001:db8:a::/64'),
        capacity: limit(1_000_000).default(1_000).describe('maximum number of home addresses assigned'),
        ike: z
          .enum(['ikev1', 'ikev2'])
          .default('ikev2')
          .describe('IKE version that its hook sets up (ikev1 for racoon)'),
      })
      .optional()
      .describe('home agent in this access network: {address, host, prefix, capacity, ike}'),
  ),
  diameter: section.group({
    ...section.diameter,
    host: section.diameter.host.optional().describe('DiameterIdentity of this node; required unless aaa is radius'),
    realm: section.diameter.realm.optional().describe('realm of this node; required unless aaa is radius'),
    tls: reloadable(section.diameter.tls),
    peers: reloadable(
      z
        .array(section.diameterPeer)
        .default([])
        .describe('Diameter peers: [{host, address, port}]; required unless aaa is radius')
        .meta({ examples: [[{ host: 'aaa.home.example', address: '2001:db8:ff::3' }]] }),
    ),
    routes: reloadable(
      z
        .array(
          z.strictObject({
            realm: z
              .string()
              .min(1)
              .describe('realm of the users, or *: every other realm')
              .meta({ examples: ['home.example'] }),
            peers: z.array(section.identity()).min(1).describe('host names of peers that serve it'),
          }),
        )
        .default([])
        .describe(
          'peers of each realm, in order of preference: [{realm, peers}]; without routes every peer serves every realm',
        )
        .meta({ examples: [[{ realm: 'home.example', peers: ['aaa.home.example'] }]] }),
    ),
    'request-timeout': section.duration().default(10_000).describe('how long the PAA waits for an answer'),
  }),
  dhcpv6: section.group({
    relay: section.group({
      servers: z
        .array(section.address())
        .default([])
        .describe('DHCPv6 servers to relay to, for home agents by DHCPv6 (RFC 6611); none: no relay agent')
        .meta({ examples: [['2001:db8:f::2']] }),
      interface: z
        .string()
        .min(1)
        .optional()
        .describe('interface of the access link [default: pana.interface]')
        .meta({ examples: ['eth1'] }),
      'link-address': section
        .address()
        .optional()
        .describe(
          'link-address of Relay-forward, from which servers choose the subnet [default: a global address of the interface]',
        ),
      relays: z.array(section.address()).default([]).describe('addresses of relay agents behind this one'),
    }),
  }),
  radius: section.group({
    servers: reloadable(
      z
        .array(radiusServer)
        .default([])
        .describe(
          'RADIUS servers in order of preference: [{address, port, accounting-port, secret-file, certificate, status-server}]; required if aaa is radius',
        )
        .meta({ examples: [[{ address: '2001:db8:ff::3', 'secret-file': '/etc/pana-mip6/radius-secret' }]] }),
    ),
    tls: reloadable(
      section
        .diameterTls(RADSEC_PORT, 'radius.servers')
        .describe(
          'TLS of servers with a certificate: {ca, certificate, key, crl, crl-expired, crl-missing, min-version, max-version, ciphers}',
        ),
    ),
    source: section
      .address()
      .optional()
      .describe('local address of requests, and the NAS address in them [default: by the route]'),
    'request-timeout': section
      .duration(2)
      .default(MRD)
      .describe('how long a request is retransmitted (MRD, RFC 5080), at least 2s'),
    watchdog: section
      .duration(6)
      .default(30_000)
      .describe('interval of Status-Server to a server that is idle (Tw, RFC 5997), at least 6s'),
    'interim-interval': reloadable(
      section.duration().default(0).describe('interval of accounting updates if the server sets none; 0: never'),
    ),
    'port-type': z.number().int().min(0).max(0xffff).default(15).describe('NAS-Port-Type; 15: Ethernet'),
    dae: section.group({
      listen: z
        .array(section.address())
        .default([])
        .describe('addresses for Disconnect-Request and CoA-Request of the servers (RFC 5176)')
        .meta({ examples: [['2001:db8:a::1']] }),
      port: section.port().default(RADIUS_DYNAMIC_PORT).describe('UDP port; 0: any free one'),
    }),
  }),
  nas: section.group({
    identifier: z
      .string()
      .min(1)
      .max(253)
      .optional()
      .describe('NAS-Identifier; required, as a domain name, if aaa is radius [default: diameter.host]')
      .meta({ examples: ['paa1.access.example'] }),
    'framed-mtu': z
      .number()
      .int()
      .min(256)
      .max(1400)
      .optional()
      .describe(
        'size of the largest EAP packet to clients in octets; 1100 fits the IPv6 minimum MTU of 1280 [default: what fits the MTU of pana.interface; 1100 if that is not known]',
      )
      .meta({ examples: [1100] }),
  }),
  hooks: section.group({
    ...section.hooks('/var/db/pana-paa'),
    ep: z
      .string()
      .min(1)
      .optional()
      .describe('hook of the enforcement point, run on start, permit, move, revoke, check and stop')
      .meta({ examples: ['/usr/local/share/pana-mip6/hooks/ep-nft.sh'] }),
    'ep-batch': z
      .boolean()
      .default(false)
      .describe('run hooks.ep once for all pending events, which it reads from standard input'),
    'ep-check-interval': section
      .duration()
      .default(0)
      .describe('how often hooks.ep runs on check; if it fails, start runs again; 0: never'),
    wait: section
      .duration()
      .default(0)
      .describe('how long the success (PAR[C]) waits for permit; 0: run permit after PAN[C], which proves the key')
      .meta({ examples: ['500ms'] }),
    ha: z
      .string()
      .min(1)
      .optional()
      .describe('hook of the local home agent, run on up, refresh and down')
      .meta({ examples: ['/usr/local/share/pana-mip6/hooks/ha-linux.sh'] }),
  }),
  'key-log': section.keyLog(),
});

/** Hooks of the packet filter of the host on which they run. */
const FILTERS_OF_HOST = ['ep-nft.sh', 'ep-ip6tables.sh', 'ep-pf.sh'];

/** Each enforcement point has a folder of its own, and that of a relay is not on this host. */
function relayRules({ pana, hooks }: z.output<typeof schema>, context: z.RefinementCtx): void {
  const addresses = new Set<string>();
  const folders = new Set([resolve(hooks['state-dir'])]);
  for (const [i, { address, ep, 'state-dir': folder }] of pana.relays.entries()) {
    const refuse = (key: string, message: string) =>
      context.addIssue({ code: 'custom', path: ['pana', 'relays', i, key], message });
    if (addresses.has(address)) refuse('address', `${address} is listed twice`);
    addresses.add(address);
    if (ep === undefined) continue;
    const name = basename(ep);
    if (FILTERS_OF_HOST.includes(name)) {
      refuse('ep', `${name} changes the packet filter of this host, not that of the relay: use ep-ssh.sh`);
    }
    if (folder === undefined) continue;
    if (folders.has(resolve(folder))) refuse('state-dir', `${folder} is the folder of another hook: name another one`);
    folders.add(resolve(folder));
  }
}

export const paaSchema = schema.superRefine((options, context) => {
  relayRules(options, context);
  refuseEncryption(options.pana, context);
  for (const path of REQUIRED[options.aaa]) {
    const [name, key] = path;
    const value = (options[name] as Readonly<Record<string, unknown>>)[key];
    if (value !== undefined && !(Array.isArray(value) && value.length === 0)) continue;
    context.addIssue({ code: 'custom', path: [...path], message: 'missing', params: { isMissing: true } });
  }
  serverRules(options.radius, context);
  const { identifier } = options.nas;
  if (
    options.aaa !== 'radius' ||
    identifier === undefined ||
    section.identity().max(MAX_NAS).safeParse(identifier).success
  )
    return;
  const message = `"${identifier}" is not a domain name of up to ${MAX_NAS} characters`;
  context.addIssue({ code: 'custom', path: ['nas', 'identifier'], message });
});

export type PaaOptions = z.output<typeof paaSchema>;
