import { z } from 'zod';
import { familyOf } from '../../protocol/bytes/address.js';
import { isLoopback } from '../../protocol/bytes/address-set.js';
import { defaultSocket } from './default-socket.js';
import { fileName, group, identity, MAX_PORT } from './sections.js';

/** Size of `sun_path` in octets without its NUL (unix(7) on Linux; FreeBSD, macOS). */
const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;

/** An IP address and a port, such as `127.0.0.1:9180` or `[::1]:9180`; undefined: something else. */
export function placeOf(text: string): { readonly host: string; readonly port: number } | undefined {
  const [, host = '', port = ''] = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/.exec(text) ?? [];
  const bare = host.replaceAll(/[[\]]/g, '');
  const isAddress = familyOf(bare) === (host.startsWith('[') ? 6 : 4);
  return isAddress && Number(port) <= MAX_PORT ? { host: bare, port: Number(port) } : undefined;
}

interface WebSettings {
  readonly web?: string | undefined;
  readonly 'web-certificate'?: string | undefined;
  readonly 'web-key'?: string | undefined;
}

/** Without TLS, the token of an operator must not leave this host. */
function webRules(settings: WebSettings, context: z.RefinementCtx): void {
  const { web, 'web-certificate': certificate, 'web-key': key } = settings;
  if ((certificate === undefined) !== (key === undefined)) {
    const missing = certificate === undefined ? 'web-certificate' : 'web-key';
    context.addIssue({ code: 'custom', path: [missing], message: 'web-certificate and web-key need each other' });
  }
  const place = web === undefined ? undefined : placeOf(web);
  if (place && certificate === undefined && !isLoopback(place.host)) {
    const message = `${web} is not a loopback address: without web-certificate and web-key only 127.0.0.1 or [::1]`;
    context.addIssue({ code: 'custom', path: ['web'], message });
  }
}

const controlKeys = (name: string) => ({
  socket: z
    .string()
    .min(1)
    .refine((path) => Buffer.byteLength(path) <= MAX_SOCKET_PATH, {
      error: `the path of a UNIX socket must not exceed ${MAX_SOCKET_PATH} octets on this system`,
    })
    .default(defaultSocket(name))
    .describe('UNIX socket for status and commands'),
  group: z
    .string()
    .min(1)
    .optional()
    .describe('group whose members may use the socket, too; without it only the user of the daemon and root')
    .meta({ examples: ['pana-operators'] }),
  metrics: z
    .string()
    .refine((text) => Number(/^.+:(\d{1,5})$/.exec(text)?.[1]) <= MAX_PORT, {
      error: 'must be an address and a port, such as 127.0.0.1:9108 or [::1]:9108',
    })
    .optional()
    .describe('address:port for /metrics and /healthz over TCP')
    .meta({ examples: ['127.0.0.1:9108'] }),
});

/** The control socket of a daemon without a web page. */
export const plainControl = (name: string) => group(controlKeys(name));

/** The control socket and web page of a daemon. */
export const control = (name: string) =>
  z
    .strictObject({
      ...controlKeys(name),
      web: z
        .string()
        .refine((text) => placeOf(text) !== undefined, {
          error: 'must be an IP address and a port, such as 127.0.0.1:9180 or [::1]:9180',
        })
        .optional()
        .describe('address:port of the web page; only loopback without web-certificate and web-key')
        .meta({ examples: ['127.0.0.1:9180'] }),
      'web-token': fileName()
        .default(`/var/db/${name}/web-token`)
        .describe('file with the token for a login at the web page; the daemon creates it with mode 0600'),
      'web-hosts': z
        .array(identity())
        .default([])
        .describe('host names of the web page, beside its address; other names are refused')
        .meta({ examples: [['paa.access.example']] }),
      'web-certificate': fileName()
        .optional()
        .describe('PEM file of the certificate of the web page')
        .meta({ examples: ['/etc/pana-mip6/web.pem'] }),
      'web-key': fileName()
        .optional()
        .describe('PEM file of its key')
        .meta({ examples: ['/etc/pana-mip6/web-key.pem'] }),
    })
    .superRefine(webRules)
    .prefault({} as never);
