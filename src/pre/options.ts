import { z } from 'zod';
import { familyOf, isLinkLocal, parseAddress } from '../protocol/bytes/address.js';
import { withoutScope } from '../protocol/pana/agent/relays.js';
import { PANA_PORT } from '../protocol/pana/wire/ports.js';
import { isUnicast } from '../protocol/pana/wire/relayed.js';
import { plainControl } from '../runtime/config/control-section.js';
import { reloadable } from '../runtime/config/reload.js';
import * as section from '../runtime/config/sections.js';

/** The PAA sends to the port from which it heard the relay last. */
const SOURCE_PORT = 7160;

const limit = (most: number) => z.number().int().min(1).max(most);

/**
 * An address of one host. A relay answers from an address of `listen`, and could not send to a link-local client from
 * all of them (`::`).
 */
const hostAddress = () =>
  section.address().refine((text) => isUnicast(parseAddress(withoutScope(text)) ?? new Uint8Array(16)), {
    error: ({ input }) => `"${String(input)}" is not the address of one host`,
  });

/** A PRY does not tell to which of them a client has sent, so they must differ in family or scope. */
function distinguishable(addresses: readonly string[], context: z.RefinementCtx): void {
  const kinds = new Map<string, string>();
  for (const [i, address] of addresses.entries()) {
    const kind = !address.includes(':') ? 'IPv4' : isLinkLocal(address) ? 'link-local' : 'global IPv6';
    const other = kinds.get(kind);
    kinds.set(kind, address);
    if (other === undefined) continue;
    const message = `${other} and ${address} are both ${kind} addresses: a relay has at most one of each kind`;
    context.addIssue({ code: 'custom', path: [i], message });
  }
}

const schema = z.strictObject({
  log: section.log,
  control: plainControl('pana-pre'),
  relay: section.group({
    listen: z
      .array(hostAddress())
      .min(1)
      .superRefine(distinguishable)
      .describe('addresses on the access link: at most one IPv4, one link-local and one global IPv6 address')
      .meta({ examples: [['2001:db8:b::1', 'fe80::1%eth1']] }),
    port: section.port().default(PANA_PORT).describe('UDP port for clients; 0: any free one'),
    paa: hostAddress()
      .describe('address of the PAA')
      .meta({ examples: ['2001:db8:a::1'] }),
    'paa-port': section.port().min(1).default(PANA_PORT).describe('its UDP port'),
    source: hostAddress()
      .optional()
      .describe('local address towards the PAA, which must be in its pana.relays [default: by the route]')
      .meta({ examples: ['2001:db8:b::1'] }),
    'source-port': section
      .port()
      .default(SOURCE_PORT)
      .describe('local port towards the PAA; it stays the same, so that a restart loses no client; 0: any free one'),
    limits: reloadable(
      section.group({
        'pci-per-address': limit(1000).default(5).describe('PCIs relayed per second and address'),
        'pci-per-network': limit(100_000)
          .default(500)
          .describe('PCIs relayed per second and network (/64, or /24 of IPv4)'),
        pci: limit(100_000).default(1_000).describe('PCIs relayed per second in total'),
        'messages-per-address': limit(60_000)
          .default(100)
          .describe('other messages relayed per second from an address, and to it'),
        messages: limit(1_000_000)
          .default(1_000)
          .describe('other messages relayed per second in total of clients that have not proven their address'),
      }),
    ),
  }),
});

/** Configuration of `pana-pre`. */
export const preSchema = schema.superRefine(({ relay }, context) => {
  const { listen, port, paa, source } = relay;
  const refuse = (key: string, message: string) => context.addIssue({ code: 'custom', path: ['relay', key], message });
  if (source !== undefined && familyOf(withoutScope(source)) !== familyOf(withoutScope(paa))) {
    refuse('source', `${source} cannot send to ${paa}: one is an IPv4, the other an IPv6 address`);
  }
  if (listen.includes(paa) && port === relay['paa-port']) {
    refuse('paa', `${paa} is an address of this relay: name the address of the PAA`);
  }
});

export type PreOptions = z.output<typeof preSchema>;
