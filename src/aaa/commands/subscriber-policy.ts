import { closest, distance } from 'fastest-levenshtein';
import { z } from 'zod';
import { plainSubscriber, SERVICE_POLICIES, type Subscriber } from '../../protocol/home/records.js';
import * as section from '../../runtime/config/sections.js';
import type { SubscriberChange } from '../../store/records.js';

/** Formats of a file of subscribers. */
export const FORMATS = ['csv', 'yaml'] as const;
export type Format = (typeof FORMATS)[number];

/** The settings of a subscriber, by the names of flags, CSV columns and YAML keys. */
const flag = () =>
  z.union([z.boolean(), z.stringbool({ truthy: ['yes', 'true', '1', 'on'], falsy: ['no', 'false', '0', 'off'] })], {
    error: ({ input }) => `"${String(input)}" is not yes or no`,
  });
const word = () => z.preprocess((value) => (typeof value === 'number' ? String(value) : value), z.string());
const choice = <const W extends readonly string[]>(words: W) =>
  z.enum(words, { error: ({ input }) => `"${String(input)}" is not ${words.join(' or ')}` });

const policy = z.strictObject({
  nai: word(),
  enabled: flag().optional(),
  mip6: flag().optional(),
  'local-home-agent': flag().optional(),
  'ikev2-home-address': flag().optional(),
  'home-agent': word().optional(),
  'home-address': word().optional(),
  'psk-root': choice(['msk', 'emsk']).optional(),
  lifetime: section.duration().optional(),
  'certificate-name': word().optional(),
  'certificate-sha256': word().optional(),
  sessions: choice(['one', 'replace']).optional(),
  privacy: choice(['optional', 'required']).optional(),
  services: choice(SERVICE_POLICIES).optional(),
});

export type Policy = z.input<typeof policy>;
export type PolicyKey = keyof Policy;

/** Names of the settings, in the order of the CSV columns. */
export const POLICY_KEYS = Object.keys(policy.shape) as PolicyKey[];

/** Error for an unknown column, with a suggestion. */
export function unknownKey(key: string): string {
  const near = closest(key, POLICY_KEYS);
  const meant =
    distance(key, near) <= Math.max(2, key.length / 3)
      ? `did you mean "${near}"?`
      : `known are ${POLICY_KEYS.join(', ')}`;
  return `unknown "${key}"; ${meant}`;
}

export type Read = { readonly subscriber: Omit<Subscriber, 'takeovers'> } | { readonly problem: string };

/** Parses the values of a row. An empty value means the default. */
export function readSubscriber(values: Readonly<Record<string, unknown>>): Read {
  const given = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== '' && value !== null));
  const read = policy.safeParse(given);
  if (!read.success) return { problem: read.error.issues.map(explain).join('; ') };
  const { nai, ...rest } = read.data;
  return { subscriber: { ...plainSubscriber(nai), ...changeOf(rest) } };
}

/** Parses the changes of the flags. An empty value resets a setting. */
export function readChange(values: Readonly<Record<string, unknown>>): SubscriberChange | { readonly problem: string } {
  const named = Object.entries(values).filter(([, value]) => value !== undefined);
  const read = policy.omit({ nai: true }).safeParse(Object.fromEntries(named.filter(([, value]) => value !== '')));
  if (!read.success) return { problem: read.error.issues.map((issue) => `--${explain(issue)}`).join('\n') };
  const back = named.flatMap(([key, value]) => (value === '' ? [[FIELDS[key] ?? key, null]] : []));
  return { ...changeOf(read.data), ...Object.fromEntries(back) };
}

const FIELDS: Readonly<Record<string, keyof SubscriberChange>> = {
  'home-agent': 'homeAgent',
  'home-address': 'homeAddress',
  'psk-root': 'pskRoot',
  lifetime: 'sessionLifetime',
  'certificate-name': 'certificateName',
  'certificate-sha256': 'certificateSha256',
};

/** Fields of a subscriber, without the unset ones. */
type Fields = { readonly [K in keyof Omit<Subscriber, 'nai' | 'takeovers'>]?: NonNullable<Subscriber[K]> };

function changeOf(read: Omit<z.output<typeof policy>, 'nai'>): Fields {
  const { enabled, mip6, sessions, privacy, services, lifetime } = read;
  return definite({
    enabled,
    mip6,
    localHomeAgent: read['local-home-agent'],
    ikev2HomeAddress: read['ikev2-home-address'],
    homeAgent: read['home-agent'],
    homeAddress: read['home-address'],
    pskRoot: read['psk-root'],
    sessionLifetime: lifetime === undefined ? undefined : Math.ceil(lifetime / 1000),
    certificateName: read['certificate-name'],
    certificateSha256: read['certificate-sha256'],
    sessions,
    privacy,
    services,
  }) as Fields;
}

/** The inverse of `readSubscriber`: formats a subscriber as a row. */
export function policyOf(subscriber: Subscriber): Policy {
  const { nai, enabled, mip6, localHomeAgent, ikev2HomeAddress, homeAgent, homeAddress, sessions, privacy } =
    subscriber;
  const { services } = subscriber;
  return {
    nai,
    enabled: enabled ? 'yes' : 'no',
    mip6: mip6 ? 'yes' : 'no',
    'local-home-agent': localHomeAgent ? 'yes' : 'no',
    'ikev2-home-address': ikev2HomeAddress ? 'yes' : 'no',
    ...definite({
      'home-agent': homeAgent,
      'home-address': homeAddress,
      'psk-root': subscriber.pskRoot,
      lifetime: subscriber.sessionLifetime,
      'certificate-name': subscriber.certificateName,
      'certificate-sha256': subscriber.certificateSha256,
    }),
    sessions,
    privacy,
    services,
  };
}

/** Removes undefined fields. */
function definite<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}

function explain(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return issue.keys.map(unknownKey).join('; ');
  const name = issue.path.join('.');
  if (issue.code === 'invalid_type' && issue.input === undefined) return `${name} is missing`;
  return `${name}: ${issue.message}`;
}
