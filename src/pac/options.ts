import { z } from 'zod';
import { PANA_PORT } from '../protocol/pana/wire/ports.js';
import { reloadable } from '../runtime/config/reload.js';
import * as section from '../runtime/config/sections.js';

/** Configuration of `pana-pac`. */
export const pacSchema = z.strictObject({
  log: section.log,
  control: section.control('pana-pac'),
  pana: section.group({
    paa: reloadable(z.array(section.address()).default([]).describe('addresses of PAAs, tried in order')),
    'discovery-file': reloadable(
      section.fileName().optional().describe('file of further PAAs, which a DHCP client writes (RFC 5192)'),
    ),
    'default-router': reloadable(
      z.boolean().default(true).describe('if there is no PAA in paa or discovery-file, try the default router'),
    ),
    port: section.port().min(1).default(PANA_PORT).describe('UDP port of the PAA'),
    'local-address': section.address().optional().describe('our address; without it the route decides'),
    'local-port': section.port().default(0).describe('our UDP port; 0: any'),
    interface: z.string().min(1).default('eth0').describe('interface of the access link (MIP6_INTERFACE)'),
    'vendor-id': section.vendorId(),
    ...section.algorithms,
    initiate: z.boolean().default(true).describe('send PCI; false: wait on the local port until the PAA begins'),
    'piggyback-responses': z
      .boolean()
      .default(true)
      .describe('send EAP responses in PAN; false: in a PAR of their own'),
    'eap-reply-timeout': section.duration().default(1_000).describe('wait for EAP before an empty PAN is sent'),
    'progress-timeout': section.duration().default(60_000).describe('a phase without progress ends after this'),
    'pci-limit': section
      .duration()
      .default(0)
      .describe('how long one PAA is tried; 0: for ever, or 10s if there are several'),
    'ping-interval': section.duration().default(30_000).describe('ping after this time of silence; 0: never'),
    'reauthenticate-at': z
      .number()
      .min(0)
      .max(0.95)
      .default(0.75)
      .describe('part of the session lifetime after which to authenticate again; 0: left to the PAA'),
  }),
  eap: reloadable(
    section.group({
      identity: z.string().min(1).max(253).describe('identity sent in clear: @realm says no more than routing needs'),
      mtu: z.number().int().min(64).max(1400).default(1100).describe('octets of the largest EAP packet to send'),
    }),
  ),
  tls: reloadable(
    section.eapTls('1.3', 'lowest version of TLS; with 1.2 any PAA learns the name in our certificate', {
      certificate: section.fileName().describe('PEM file of our certificate'),
      key: section.fileName().describe('PEM file of our private key'),
      'server-name': section.identity().describe('name, or parent domain, that the AAA server certificate must have'),
    }),
  ),
  mobility: section.group({
    mode: z
      .enum(['off', 'wanted', 'required'])
      .default('wanted')
      .describe('Mobile IPv6 bootstrapping: off, wanted, or required: no PAA without it'),
    'home-agent': z.enum(['home', 'local', 'any']).default('home').describe('preferred home agent: home, local, any'),
    ike: z
      .array(z.enum(['ikev1', 'ikev2']))
      .min(1)
      .default(['ikev2', 'ikev1'])
      .describe('versions of IKE that our hook can set up; racoon: ikev1 alone'),
    'psk-root': z.enum(['msk', 'emsk']).default('msk').describe('key that the IKE key is derived from'),
  }),
  hooks: section.group({
    ...section.hooks('/var/db/pana-pac'),
    mn: z.string().min(1).optional().describe('program run on up, refresh, move, down and reconfigure'),
  }),
  stay: z.boolean().default(true).describe('start again when a session ends; false: exit'),
  retry: reloadable(
    section.group({
      first: section.duration().default(2_000).describe('wait before the first new start; it doubles'),
      longest: section.duration().default(300_000).describe('longest wait before a new start'),
    }),
  ),
  'key-log': section.keyLog(),
});

export type PacOptions = z.output<typeof pacSchema>;
