import { z } from 'zod';
import { canonicalAddress, familyOf, parseAddress } from '../../protocol/bytes/address.js';
import { DEFAULT_VENDOR_ID } from '../../protocol/bytes/assigned-numbers.js';
import { DIAMETER_PORT, DIAMETER_TLS_PORT } from '../../protocol/diameter/wire/ports.js';
import { INTEGRITY, PRF } from '../../protocol/pana/wire/algorithms.js';
import { DEFAULT_POLICY } from '../tls/certificates/policy.js';
import { TLS_VERSIONS, type TlsSettings, type TlsVersion, tlsProblems } from '../tls/settings.js';
import { reloadable, reloadableEach } from './reload.js';

/** Milliseconds in each unit of a duration. */
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The longest duration in seconds: lifetimes have 32 bits in PANA and Diameter. */
const LONGEST = 0xffff_ffff;

/**
 * `500ms`, `30s`, `5m`, `2h`, `1d`, or a number of seconds; parsed to milliseconds. `least`: the shortest one, in
 * seconds.
 */
export const duration = (least = 0) =>
  z.union([z.string(), z.number()]).transform((value, context) => {
    const [, digits = '', unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(String(value)) ?? [];
    const milliseconds = Number(digits) * (UNITS[unit] ?? 1000);
    const refuse = (message: string) => {
      context.addIssue({ code: 'custom', message: `"${value}" ${message}` });
      return z.NEVER;
    };
    if (digits === '') return refuse('is not a duration such as 500ms, 30s, 5m or 2h');
    if (milliseconds < 1000 * least) return refuse(`is too short: at least ${least}s`);
    if (milliseconds > 1000 * LONGEST) return refuse(`is too long: at most ${LONGEST}s`);
    return milliseconds;
  });

/** A section. A missing section is treated as empty, so that the error names each missing key in it. */
export const group = <S extends z.ZodRawShape>(shape: S) => z.strictObject(shape).prefault({} as never);

export const MAX_PORT = 65_535;

export const port = () => z.number().int().min(0).max(MAX_PORT);
export const fileName = () => z.string().min(1);

/** Size of the largest EAP packet to send, in octets. */
export const eapMtu = () => z.number().int().min(64).max(1400);

/** Accepts a version without quotes, which YAML parses as a number. */
const versionText = (value: unknown) => (typeof value === 'number' ? value.toFixed(1) : value);

export const tlsVersion = () => z.preprocess(versionText, z.enum(['1.2', '1.3']));

/** A TLS version for EAP, including obsolete ones for old peers. */
const eapTlsVersion = () => z.preprocess(versionText, z.enum(TLS_VERSIONS));

/** Reports problems of combined TLS settings, and those that only the TLS engine detects. */
function tlsRules(settings: TlsSettings, context: z.RefinementCtx): void {
  for (const { key, message } of tlsProblems(settings)) context.addIssue({ code: 'custom', path: [key], message });
}

/** An IPv4 or IPv6 address; a link-local one includes the interface. */
export const address = () =>
  z
    .string()
    .refine((text) => /^[^%]+(%[^%]+)?$/.test(text) && familyOf(text.split('%', 1)[0] ?? '') !== undefined, {
      error: ({ input }) => `"${String(input)}" is not an IP address such as 2001:db8::1, fe80::1%eth0 or 192.0.2.1`,
    })
    .refine((text) => text.includes('%') || !/^fe[89ab].:/i.test(text), {
      error: ({ input }) => `"${String(input)}" is link-local and needs its interface, as in fe80::1%eth0`,
    })
    // The form in which sources of datagrams are reported, with which it is compared.
    .overwrite(canonicalAddress)
    .meta({ examples: ['2001:db8:a::1'] });

/** An address or a network. */
export const network = () =>
  z
    .string()
    .refine(
      (text) => {
        const [first = '', length, ...more] = text.split('/');
        const version = familyOf(first);
        if (version === undefined || more.length > 0) return false;
        return length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= (version === 4 ? 32 : 128));
      },
      { error: ({ input }) => `"${String(input)}" is not an IP address or a network such as 2001:db8:1::/64` },
    )
    .meta({ examples: ['2001:db8:ff::/64'] });

/** DiameterIdentity: an FQDN or a realm. */
export const identity = () =>
  z
    .string()
    .regex(/^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/, {
      error: ({ input }) => `"${String(input)}" is not a domain name such as aaa.home.example`,
    })
    .meta({ examples: ['aaa.home.example'] });

/** `2001:db8:1::/64` */
export const prefix64 = () =>
  z
    .string()
    .transform((text, context) => {
      const [first = '', length] = text.split('/');
      const octets = parseAddress(first);
      if (octets?.length === 16 && length === '64' && octets.subarray(8).every((octet) => octet === 0)) return octets;
      context.addIssue({
        code: 'custom',
        message: `"${text}" is not a /64 prefix with zeros behind it, such as 2001:db8:1::/64`,
      });
      return z.NEVER;
    })
    .meta({ examples: ['2001:db8:a::/64'] });

/** Only for labs: anyone who reads the file can forge messages with the keys in it. */
export const keyLog = () =>
  fileName()
    .optional()
    .describe('for labs only: write keys of PANA and of sealed assignments to this file, for "pana-mip6 decode --keys"')
    .meta({ examples: ['/tmp/pana.keys'] });

export const log = group({
  level: reloadable(
    z
      .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
      .default('info')
      .describe('events of this and higher levels are logged')
      .meta({ examples: ['debug'] }),
  ),
  format: z
    .enum(['auto', 'json', 'pretty', 'journal', 'plain'])
    .default('auto')
    .describe(
      'form of the log lines; plain has no times, and auto is pretty on a terminal, journal in the journal, json elsewhere',
    ),
});

export const vendorId = () =>
  z
    .number()
    .int()
    .min(1)
    .max(0xffff_ffff)
    .default(DEFAULT_VENDOR_ID)
    .describe('enterprise number of the mobility AVPs');

export const hooks = (stateDir: string) => ({
  'state-dir': z.string().min(1).default(stateDir).describe('folder that hooks write to (MIP6_STATE_DIR)'),
  timeout: duration()
    .default(30_000)
    .describe(
      'time limit of a hook; grows to at most four times this value while runs take more than half of the limit',
    ),
  parallel: z.number().int().min(1).max(256).default(8).describe('maximum number of concurrent hooks'),
});

/** Algorithm identifiers by their names in the configuration. */
const PRF_IDS = { sha256: PRF.HMAC_SHA2_256, sha1: PRF.HMAC_SHA1 } as const;
const INTEGRITY_IDS = { sha256: INTEGRITY.HMAC_SHA2_256_128, sha1: INTEGRITY.HMAC_SHA1_160 } as const;
const hash = z.enum(['sha256', 'sha1']);

export const algorithms = {
  prf: z
    .array(hash)
    .min(1)
    .default(['sha256', 'sha1'])
    .transform((names) => names.map((name) => PRF_IDS[name]))
    .describe('PRF algorithms in order of preference'),
  integrity: z
    .array(hash)
    .min(1)
    .default(['sha256', 'sha1'])
    .transform((names) => names.map((name) => INTEGRITY_IDS[name]))
    .describe('integrity algorithms in order of preference'),
  sa: z
    .enum(['required', 'optional'])
    .default('required')
    .describe('required: refuse sessions without a PANA SA; optional: also accept them'),
  encryption: z.enum(['off', 'wanted', 'required']).default('wanted').describe('whether to encrypt AVPs, RFC 6786'),
};

/** CRLs for the certificates of the other end. */
const crl = {
  crl: fileName()
    .optional()
    .describe('file of CRLs (PEM or DER), or folder of such files; reloaded when it changes')
    .meta({ examples: ['/etc/pana-mip6/pki/crl.pem'] }),
  'crl-expired': z
    .enum(['refuse', 'ignore'])
    .default('refuse')
    .describe('if a CRL has expired: refuse the certificates of its CA, or ignore the expiry'),
  'crl-missing': z
    .enum(['refuse', 'ignore'])
    .default('refuse')
    .describe('if crl has no CRL of a CA: refuse the certificates of that CA, or ignore it'),
};

const tlsKeys = {
  ...crl,
  ca: fileName()
    .describe('PEM file of the CAs that issue the certificates of the other end')
    .meta({ examples: ['/etc/pana-mip6/pki/ca.pem'] }),
  'key-passphrase-file': fileName()
    .optional()
    .describe('file with the passphrase of an encrypted key')
    .meta({ examples: ['/etc/pana-mip6/pki/passphrase'] }),
  ciphers: z
    .string()
    .min(1)
    .optional()
    .describe('cipher suites, in OpenSSL form')
    .meta({ examples: ['TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384'] }),
  curves: z
    .string()
    .min(1)
    .optional()
    .describe('key exchange groups, such as X25519:P-256')
    .meta({ examples: ['X25519:P-256'] }),
  'min-rsa-bits': z
    .number()
    .int()
    .min(1024)
    .max(16_384)
    .default(DEFAULT_POLICY.minRsaBits)
    .describe('minimum size in bits of RSA keys in certificates of the other end and its CAs'),
  'sha1-signatures': z
    .enum(['refuse', 'allow'])
    .default(DEFAULT_POLICY.sha1Signatures)
    .describe('refuse or allow certificates with SHA-1 signatures'),
  'extended-key-usage': z
    .enum(['required', 'if-present'])
    .default(DEFAULT_POLICY.extendedKeyUsage)
    .describe(
      'clientAuth for clients, serverAuth for servers: required, or if-present (checked only if the extension is present)',
    ),
};

/** TLS settings of an EAP-TLS peer or server. */
export const eapTls = <S extends z.ZodRawShape>(lowest: TlsVersion, about: string, shape: S) =>
  z
    .strictObject({
      ...tlsKeys,
      'min-version': eapTlsVersion().default(lowest).describe(about),
      'max-version': eapTlsVersion().default('1.3').describe('highest TLS version'),
      'extended-master-secret': z
        .enum(['required', 'wanted'])
        .default('required')
        .describe('extended master secret (RFC 7627) with TLS 1.2: required, or wanted (also accept peers without it)'),
      legacy: z
        .boolean()
        .default(false)
        .describe('allow min-version 1.0 and 1.1, for peers that support nothing newer'),
      ...shape,
    })
    .superRefine((settings, context) => tlsRules(settings as unknown as TlsSettings, context))
    .prefault({} as never);

/** A peer of a Diameter node. */
export const diameterPeer = z.strictObject({
  host: identity().describe('DiameterIdentity of the peer'),
  address: address().optional().describe('address to connect to; without it the peer has to connect'),
  addresses: z.array(address()).optional().describe('further addresses, tried in order'),
  from: z
    .array(network())
    .optional()
    .describe(
      'further addresses and networks from which it may connect without TLS; without any address: only loopback',
    ),
  port: port()
    .min(1)
    .optional()
    .describe(`its port; ${DIAMETER_PORT}, with TLS ${DIAMETER_TLS_PORT}`)
    .meta({ examples: [DIAMETER_PORT] }),
  tls: z
    .boolean()
    .default(false)
    .describe('connect to and accept this peer only with TLS and a certificate that contains its host name'),
  relay: z.boolean().default(false).describe('the peer is a relay or proxy, and may send requests of other hosts'),
  priority: z.number().int().min(0).max(65_535).default(0).describe('peers with a lower number are preferred'),
  weight: z.number().min(0.001).max(65_535).default(1).describe('share of the requests among peers of equal priority'),
});

/** TLS between Diameter nodes, or to a server of another protocol. `named`: the key of the name in the certificate. */
export const diameterTls = (ownPort = DIAMETER_TLS_PORT, named = 'diameter.host') =>
  z
    .strictObject({
      // The port is not reloadable, because it is already bound.
      ...reloadableEach({
        ...tlsKeys,
        certificate: fileName()
          .describe(
            `PEM file of the certificate of this node${named === 'diameter.host' ? ', which contains diameter.host' : ''}`,
          )
          .meta({ examples: ['/etc/pana-mip6/pki/aaa.pem'] }),
        key: fileName()
          .describe('PEM file of its key')
          .meta({ examples: ['/etc/pana-mip6/pki/aaa-key.pem'] }),
        'min-version': tlsVersion().default('1.2').describe('lowest TLS version'),
        'max-version': tlsVersion().default('1.3').describe('highest TLS version'),
      }),
      port: port().default(ownPort).describe('port to listen on (servers only)'),
    })
    .superRefine(tlsRules)
    .optional()
    .describe(
      'TLS for Diameter: {ca, certificate, key, crl, crl-expired, crl-missing, min-version, max-version, ciphers, port}',
    );

export const diameter = {
  host: identity().describe('DiameterIdentity of this node, such as aaa.home.example'),
  realm: identity().describe('realm of this node, such as home.example'),
  tls: diameterTls(),
  watchdog: duration(6).default(30_000).describe('watchdog interval Twinit (RFC 3539), at least 6s'),
  reconnect: duration().default(30_000).describe('longest wait between connection attempts (Tc)'),
  timeout: duration().default(10_000).describe('time limit of a connection attempt and of a capabilities exchange'),
};
