import type { z } from 'zod';
import { SERVICE_POLICIES } from '../protocol/home/records.js';
import type { Zod } from './operation.js';
import { isUnstorable, MAX_TEXT, UNSTORABLE } from './text-checks.js';

/** Maximum number of rows in one part of an import. */
export const MAX_ROWS = 10_000;

/** Maximum number of names or serial numbers in one query. */
export const MAX_LIST = 1_000;

/** Maximum number of items in a page. */
const MAX_LIMIT = 1_000_000;

/** A text that both databases can store. */
export const text = (z: Zod) =>
  z
    .string()
    .max(MAX_TEXT)
    .refine((value) => !isUnstorable(value), UNSTORABLE);

export const whole = (z: Zod) => z.number().int();

/** The position and length of a page of a list. */
export const page = (z: Zod) => ({ from: text(z).optional(), limit: whole(z).min(1).max(MAX_LIMIT).optional() });

/** IKE versions in order of preference. */
export const ike = (z: Zod) =>
  z
    .array(z.enum(['ikev1', 'ikev2']))
    .min(1)
    .max(2)
    .readonly();

const pskRoot = (z: Zod) => z.enum(['msk', 'emsk']);
const sessions = (z: Zod) => z.enum(['one', 'replace']);
const privacy = (z: Zod) => z.enum(['optional', 'required']);
const services = (z: Zod) => z.enum(SERVICE_POLICIES);

/** A new subscriber. Its operation validates lifetimes, addresses and fingerprints. */
export const subscriberInput = (z: Zod) =>
  z.strictObject({
    nai: text(z),
    enabled: z.boolean(),
    mip6: z.boolean(),
    localHomeAgent: z.boolean(),
    // Absent in requests of an older command.
    ikev2HomeAddress: z.boolean().optional(),
    pskRoot: pskRoot(z).optional(),
    homeAgent: text(z).optional(),
    homeAddress: text(z).optional(),
    sessionLifetime: z.number().optional(),
    certificateName: text(z).optional(),
    certificateSha256: text(z).optional(),
    sessions: sessions(z),
    // Absent in requests of an older command.
    privacy: privacy(z).optional(),
    services: services(z).optional(),
    // Present in records that came from the store; ignored.
    takeovers: z.number().optional(),
  });

export type SubscriberInput = z.output<ReturnType<typeof subscriberInput>>;

/** The changes of a subscriber; null resets a setting. */
export const subscriberChange = (z: Zod) =>
  z.strictObject({
    enabled: z.boolean().optional(),
    mip6: z.boolean().optional(),
    localHomeAgent: z.boolean().optional(),
    ikev2HomeAddress: z.boolean().optional(),
    sessions: sessions(z).optional(),
    privacy: privacy(z).optional(),
    services: services(z).optional(),
    pskRoot: pskRoot(z).nullable().optional(),
    homeAgent: text(z).nullable().optional(),
    homeAddress: text(z).nullable().optional(),
    sessionLifetime: z.number().nullable().optional(),
    certificateName: text(z).nullable().optional(),
    certificateSha256: text(z).nullable().optional(),
  });
