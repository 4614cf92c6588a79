import { z } from 'zod';
import { DIAMETER_PORT } from '../../protocol/diameter/wire/ports.js';
import { MAX_FLIGHT } from '../../protocol/eap/fragments.js';
import { reloadable } from '../../runtime/config/reload.js';
import * as section from '../../runtime/config/sections.js';

/** Configuration of `pana-aaa`. */
export const aaaSchema = z.strictObject({
  log: section.log,
  control: section.control('pana-aaa'),
  store: z
    .string()
    .min(1)
    .default('/var/db/pana-aaa/store.db')
    .describe('SQLite file of subscribers and leases, or postgres://…'),
  diameter: section.group({
    ...section.diameter,
    peers: reloadable(
      z
        .array(section.diameterPeer)
        .default([])
        .describe(
          'Diameter peers that may connect (PAAs, agents): [{host, from}]; with address: the server connects to them',
        ),
    ),
    realms: z
      .array(z.union([section.identity(), z.literal('*')]))
      .default([])
      .describe('further realms that are served; "*": any'),
    listen: z.array(section.address()).default([]).describe('addresses to take connections on'),
    port: section.port().default(DIAMETER_PORT).describe('TCP port; 0: any free one'),
    plain: z.boolean().default(true).describe('take connections without TLS too'),
    'vendor-id': section.vendorId(),
    'shared-store': z
      .boolean()
      .default(false)
      .describe('other servers have the same store: sessions are not bound to this one (Session-Binding)'),
    'round-timeout': section.duration().default(60_000).describe('how long the server waits for the next EAP response'),
    conversations: z
      .number()
      .int()
      .min(1)
      .max(1_000_000)
      .default(10_000)
      .describe(
        'EAP conversations at once; one more closes the oldest of the client that has the most, unproven clients first',
      ),
  }),
  tls: reloadable(
    section.eapTls('1.2', 'lowest version of TLS', {
      certificate: section.fileName().describe('PEM file of the server certificate'),
      key: section.fileName().describe('PEM file of the server key'),
      'ticket-key-lifetime': section
        .duration()
        .default(12 * 3_600_000)
        .describe('how long one key makes session tickets, for all servers of the store'),
    }),
  ),
  eap: section.group({
    mtu: z
      .number()
      .int()
      .min(64)
      .max(1400)
      .default(1100)
      .describe('octets of the largest EAP packet; Framed-MTU lowers it'),
    'client-flight': z
      .number()
      .int()
      .min(2048)
      .max(MAX_FLIGHT)
      .default(12_288)
      .describe(
        'octets of the longest TLS flight of a client, which is mostly its certificates; longer ones are refused',
      ),
  }),
  session: section.group({
    lifetime: section.duration().default(3_600_000).describe('session lifetime, unless the subscriber has its own'),
    history: section
      .duration()
      .default(180 * 86_400_000)
      .describe('how long the history of home addresses is kept'),
    outage: section
      .duration()
      .default(3_600_000)
      .describe(
        'while the store is lost, how long after its last authentication a subscriber gets access; 0: no access',
      ),
    grace: section.duration().default(60_000).describe('how much longer than its session a lease lives'),
  }),
  limits: section.group({
    'failures-per-subscriber': z
      .number()
      .int()
      .min(0)
      .default(10)
      .describe('refusals of a certificate in a minute until it is refused without a check; 0: no limit'),
  }),
  mobility: section.group({
    'psk-root': z
      .enum(['msk', 'emsk'])
      .default('msk')
      .describe('key that IKE keys are derived from, msk or emsk, unless the subscriber has its own'),
  }),
  hooks: section.group({
    ...section.hooks('/var/db/pana-aaa'),
    ha: z.string().min(1).optional().describe('home agent, run on up, refresh and down'),
    probe: z.string().min(1).optional().describe('asks whether a home agent is alive, run on probe'),
    'probe-interval': section.duration().default(10_000).describe('how often each home agent is asked'),
    'probe-failures': z
      .number()
      .int()
      .min(1)
      .max(100)
      .default(3)
      .describe('failures in a row until a home agent counts as down'),
    wait: section.duration().default(500).describe('how long an answer waits for the hook; 0: not at all'),
  }),
});

export type AaaOptions = z.output<typeof aaaSchema>;
