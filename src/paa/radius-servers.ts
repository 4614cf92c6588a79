import { z } from 'zod';
import { RADIUS_ACCOUNTING_PORT, RADIUS_PORT, RADSEC_PORT } from '../protocol/radius/wire/ports.js';
import * as section from '../runtime/config/sections.js';

/** A server in `radius.servers`. */
export const radiusServer = z.strictObject({
  address: section.address().describe('its address'),
  certificate: section
    .identity()
    .optional()
    .describe('dNSName in its certificate: RADIUS over TLS (RadSec), with radius.tls; without it UDP')
    .meta({ examples: ['aaa.home.example'] }),
  port: section
    .port()
    .min(1)
    .optional()
    .describe(`its port of authentication; of all packets over TLS [default: ${RADIUS_PORT}, over TLS ${RADSEC_PORT}]`)
    .meta({ examples: [RADIUS_PORT] }),
  accounting: z.boolean().default(true).describe('over TLS: whether accounting goes to this server'),
  'accounting-port': section
    .port()
    .min(1)
    .optional()
    .describe(`UDP: its port of accounting, such as ${RADIUS_ACCOUNTING_PORT}; without it no accounting`)
    .meta({ examples: [RADIUS_ACCOUNTING_PORT] }),
  'secret-file': section
    .fileName()
    .optional()
    .describe('UDP: file with the shared secret in its first line, which only its owner and group can read')
    .meta({ examples: ['/etc/pana-mip6/radius-secret'] }),
  'status-server': z.boolean().default(true).describe('whether the server answers Status-Server (RFC 5997)'),
});

/** A server over TLS is known by its certificate, and one over UDP by its secret. */
export function serverRules(
  { servers }: { readonly servers: readonly z.output<typeof radiusServer>[] },
  context: z.RefinementCtx,
): void {
  for (const [i, server] of servers.entries()) {
    const refuse = (key: string, message: string, isMissing = false) =>
      context.addIssue({
        code: 'custom',
        path: ['radius', 'servers', i, key],
        message,
        ...(isMissing ? { params: { isMissing } } : {}),
      });
    if (server.certificate === undefined) {
      if (server['secret-file'] === undefined) refuse('secret-file', 'missing', true);
      continue;
    }
    for (const key of ['secret-file', 'accounting-port'] as const) {
      if (server[key] !== undefined)
        refuse(key, 'a server with a certificate has none: RadSec has one port and no secret');
    }
  }
}
