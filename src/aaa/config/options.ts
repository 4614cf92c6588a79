import { z } from 'zod';
import { DIAMETER_PORT } from '../../protocol/diameter/wire/ports.js';
import { MAX_FLIGHT } from '../../protocol/eap/fragments.js';
import { control } from '../../runtime/config/control-section.js';
import { reloadable } from '../../runtime/config/reload.js';
import * as section from '../../runtime/config/sections.js';
import { radius } from './radius.js';

/** Configuration of `pana-aaa`. */
export const aaaSchema = z.strictObject({
  log: section.log,
  control: control('pana-aaa'),
  store: z
    .string()
    .min(1)
    .default('/var/db/pana-aaa/store.db')
    .describe('store of subscribers and leases: a SQLite file, or postgres://…'),
  workers: z
    .number()
    .int()
    .min(0)
    .max(256)
    .optional()
    .describe('threads for TLS handshakes; default: number of cores less one; 0: handshakes run in the main thread')
    .meta({ examples: [2] }),
  diameter: section.group({
    ...section.diameter,
    peers: reloadable(
      z
        .array(section.diameterPeer)
        .default([])
        .describe(
          'Diameter peers that may connect (PAAs, agents): [{host, from}]; with address: the server connects to them',
        )
        .meta({ examples: [[{ host: 'paa.access.example', from: ['2001:db8:ff::2'] }]] }),
    ),
    realms: z
      .array(z.union([section.identity(), z.literal('*')]))
      .default([])
      .describe('further realms that the server serves; "*": any'),
    listen: z.array(section.address()).default([]).describe('addresses to listen on'),
    port: section.port().default(DIAMETER_PORT).describe('TCP port; 0: any free one'),
    plain: z.boolean().default(true).describe('also accept connections without TLS'),
    'vendor-id': section.vendorId(),
    'shared-store': z
      .boolean()
      .default(false)
      .describe('other servers share the store: do not bind sessions to this server (Session-Binding)'),
    'round-timeout': section.duration().default(60_000).describe('how long the server waits for the next EAP response'),
    conversations: z
      .number()
      .int()
      .min(1)
      .max(1_000_000)
      .default(10_000)
      .describe(
        'maximum number of EAP conversations; a further one replaces the oldest of the client with the most, unproven clients first',
      ),
  }),
  radius,
  tls: reloadable(
    section.eapTls('1.2', 'lowest TLS version', {
      certificate: section
        .fileName()
        .describe('PEM file of the server certificate')
        .meta({ examples: ['/etc/pana-mip6/pki/aaa.pem'] }),
      key: section
        .fileName()
        .describe('PEM file of the server key')
        .meta({ examples: ['/etc/pana-mip6/pki/aaa-key.pem'] }),
      'ticket-key-lifetime': section
        .duration(60)
        .default(12 * 3_600_000)
        .describe('how long a session ticket key is used, by all servers that share the store'),
    }),
  ),
  eap: section.group({
    mtu: section
      .eapMtu()
      .default(1400)
      .describe('size of the largest EAP packet in octets; Framed-MTU lowers it, and counts as 1100 if it is missing'),
    'client-flight': z
      .number()
      .int()
      .min(2048)
      .max(MAX_FLIGHT)
      .default(12_288)
      .describe('maximum size of a client TLS flight (mostly certificates) in octets; longer flights are refused'),
  }),
  session: section.group({
    lifetime: section.duration().default(3_600_000).describe('session lifetime, unless set for the subscriber'),
    outage: section
      .duration()
      .default(3_600_000)
      .describe(
        'while the store is unavailable, admit subscribers for this time after their last authentication; 0: never',
      ),
    grace: section.duration().default(60_000).describe('how much longer than its session a lease is kept'),
  }),
  history: section.group({
    keep: section
      .duration()
      .default(180 * 86_400_000)
      .describe('how long the history of leases and the audit trail are kept'),
  }),
  limits: section.group({
    'failures-per-subscriber': z
      .number()
      .int()
      .min(0)
      .default(10)
      .describe('after this number of refusals in a minute, refuse a certificate without checking it; 0: no limit'),
  }),
  mobility: section.group({
    'psk-root': z
      .enum(['msk', 'emsk'])
      .default('msk')
      .describe('key that IKE keys are derived from, msk or emsk, unless set for the subscriber'),
  }),
  hooks: section.group({
    ...section.hooks('/var/db/pana-aaa'),
    ha: z
      .string()
      .min(1)
      .optional()
      .describe('hook of the home agent, run on up, refresh and down')
      .meta({ examples: ['/usr/local/share/pana-mip6/hooks/ha-linux.sh'] }),
    services: z
      .string()
      .min(1)
      .optional()
      .describe('hook of Mobile IPv4 home agents and HIP rendezvous servers, run on up, refresh and down')
      .meta({ examples: ['/usr/local/etc/pana-mip6/services.sh'] }),
    probe: z
      .string()
      .min(1)
      .optional()
      .describe('hook that checks whether a home agent is alive, run on probe')
      .meta({ examples: ['/usr/local/share/pana-mip6/hooks/probe-ping.sh'] }),
    'probe-interval': section.duration(0.1).default(10_000).describe('interval between two probes of a home agent'),
    'probe-failures': z
      .number()
      .int()
      .min(1)
      .max(100)
      .default(3)
      .describe('consecutive failures after which a home agent counts as down'),
    wait: section.duration().default(500).describe('how long an answer waits for the hook; 0: does not wait'),
  }),
});

export type AaaOptions = z.output<typeof aaaSchema>;
