import { z } from 'zod';
import type { OperationName, operations } from './operations.js';
import { StoreError } from './records.js';

type ArgumentsOf<N extends OperationName> = Parameters<(typeof operations)[N]>[1];

/** Characters of a text at most: a Session-Id may be long, an address or a name is not. */
const MAX_TEXT = 4_096;

/** Rows of a part of an import at most. */
const MAX_ROWS = 10_000;

/** Names or serial numbers in one question at most. */
const MAX_LIST = 1_000;

/** Items of a page at most. */
const MAX_LIMIT = 1_000_000;

/** PostgreSQL has no NUL in a text, and UTF-8 no half of a pair of surrogates. */
const UNFIT = /\0|\p{Surrogate}/u;

/** What any database can keep. */
const text = () =>
  z
    .string()
    .max(MAX_TEXT)
    .refine((value) => !UNFIT.test(value), 'a text has no NUL and no half characters');

const whole = () => z.number().int();
const optional = <T extends z.ZodType>(type: T) => type.optional();
const changeable = <T extends z.ZodType>(type: T) => type.nullable().optional();

/** Milliseconds since 1970; a duration need not be whole. */
const time = () => whole();
const duration = () => z.number();
const limit = () => whole().min(1).max(MAX_LIMIT);
const pskRoot = () => z.enum(['msk', 'emsk']);
const sessions = () => z.enum(['one', 'replace']);
const ike = () =>
  z
    .array(z.enum(['ikev1', 'ikev2']))
    .min(1)
    .max(2);

const policy = {
  nai: text(),
  enabled: z.boolean(),
  mip6: z.boolean(),
  localHomeAgent: z.boolean(),
  pskRoot: optional(pskRoot()),
  homeAgent: optional(text()),
  homeAddress: optional(text()),
  // Its operation says what is a lifetime, a capacity, a weight.
  sessionLifetime: optional(z.number()),
  certificateName: optional(text()),
  certificateSha256: optional(text()),
  sessions: sessions(),
};

const subscriberChange = z.strictObject({
  enabled: optional(z.boolean()),
  mip6: optional(z.boolean()),
  localHomeAgent: optional(z.boolean()),
  sessions: optional(sessions()),
  pskRoot: changeable(pskRoot()),
  homeAgent: changeable(text()),
  homeAddress: changeable(text()),
  sessionLifetime: changeable(z.number()),
  certificateName: changeable(text()),
  certificateSha256: changeable(text()),
});

/** What a caller may leave in from a record that it was given; it is not looked at. */
const ignored = () => z.number().optional();

const page = { from: optional(text()), limit: optional(limit()) };

/** The arguments of each operation. Unknown keys are refused. */
const SCHEMAS = {
  findSubscriber: z.strictObject({ names: z.array(text()).max(MAX_LIST), sha256: text(), sessionId: text() }),
  addSubscriber: z.strictObject({ subscriber: z.strictObject({ ...policy, takeovers: ignored() }) }),
  changeSubscriber: z.strictObject({ nai: text(), change: subscriberChange }),
  listSubscribers: z.strictObject({
    match: optional(text()),
    homeAgent: optional(text()),
    enabled: optional(z.boolean()),
    ...page,
  }),
  showSubscriber: z.strictObject({ nai: text() }),
  removeSubscriber: z.strictObject({ nai: text() }),
  addHomeAgent: z.strictObject({
    agent: z.strictObject({
      name: text(),
      address: text(),
      host: text(),
      prefix: text(),
      capacity: z.number(),
      weight: z.number(),
      target: optional(text()),
      ike: ike(),
    }),
  }),
  changeHomeAgent: z.strictObject({
    name: text(),
    change: z.strictObject({
      capacity: optional(z.number()),
      weight: optional(z.number()),
      target: optional(text()),
      ike: optional(ike()),
      state: optional(z.enum(['up', 'draining', 'down'])),
    }),
  }),
  removeHomeAgent: z.strictObject({ name: text(), force: z.boolean() }),
  probedHomeAgent: z.strictObject({ name: text(), alive: z.boolean(), by: text(), trust: duration() }),
  listHomeAgents: z.strictObject({}),
  bootstrap: z.strictObject({
    nai: text(),
    sessionId: text(),
    origin: text(),
    originRealm: optional(text()),
    originState: optional(whole()),
    certificate: optional(text()),
    wish: optional(z.enum(['home', 'local', 'any'])),
    local: optional(z.strictObject({ homeAgent: text(), homeAddress: text() })),
    sessionLifetime: duration(),
    leaseLifetime: duration(),
    now: optional(time()),
  }),
  listLeases: z.strictObject({ of: optional(text()), homeAgent: optional(text()), ...page }),
  showLease: z.strictObject({ of: text() }),
  releaseLease: z.strictObject({ of: text(), force: z.boolean() }),
  leaseOf: z.strictObject({ nai: text() }),
  leaseHistory: z.strictObject({ of: optional(text()), at: optional(time()), ...page }),
  forgetHistory: z.strictObject({ age: duration(), limit: limit(), now: optional(time()) }),
  expire: z.strictObject({ limit: limit(), now: optional(time()) }),
  originOfSession: z.strictObject({ sessionId: text() }),
  endSession: z.strictObject({ sessionId: text(), origin: optional(text()), now: optional(time()) }),
  listSessions: z.strictObject({
    of: optional(text()),
    homeAgent: optional(text()),
    paa: optional(text()),
    certificates: optional(z.array(text()).max(MAX_LIST)),
    certificateIssuer: optional(text()),
    disabled: optional(z.boolean()),
    ...page,
  }),
  endSessionsOf: z.strictObject({ origin: text(), before: whole(), leasesFor: duration() }),
  stageImport: z.strictObject({
    importId: text(),
    rows: z
      .array(z.strictObject({ line: whole(), subscriber: z.strictObject({ ...policy, takeovers: ignored() }) }))
      .max(MAX_ROWS),
  }),
  checkImport: z.strictObject({ importId: text(), update: z.boolean() }),
  finishImport: z.strictObject({ importId: text(), update: z.boolean(), source: optional(text()) }),
  abandonImport: z.strictObject({ importId: optional(text()), age: optional(duration()) }),
  statistics: z.strictObject({}),
  listAudit: z.strictObject({ of: optional(text()), ...page }),
  audit: z.strictObject({ who: text(), what: text(), detail: z.string() }),
  ticketKey: z.strictObject({ every: duration() }),
  rotateSecret: z.strictObject({}),
} as const satisfies Record<OperationName, z.ZodType>;

type None<T extends never> = T;
type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;
type DeepRequired<T> = T extends object ? { readonly [K in keyof T]-?: DeepRequired<Exclude<T[K], undefined>> } : T;
type Schema<N extends OperationName> = z.input<(typeof SCHEMAS)[N]>;

/** Whether a schema takes all that an operation does, and knows each of its keys. */
type IsWhole<N extends OperationName> =
  object extends ArgumentsOf<N>
    ? true
    : ArgumentsOf<N> extends DeepReadonly<Schema<N>>
      ? DeepRequired<Schema<N>> extends DeepRequired<ArgumentsOf<N>>
        ? true
        : false
      : false;

/** Operations with a schema that is not whole: does not compile unless there is none. */
export type Partly = None<{ [N in OperationName]: IsWhole<N> extends true ? never : N }[OperationName]>;

/** Problems that are told at once. */
const MAX_PROBLEMS = 5;

/** The arguments of an operation, whoever asks for it. Throws StoreError with what is wrong where. */
export function argumentsOf(operation: OperationName, given: unknown): unknown {
  const parsed = SCHEMAS[operation].safeParse(given);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'arguments'}: ${message}`);
  throw new StoreError('ERR_STORE_VALUE', `${operation}: ${problems.slice(0, MAX_PROBLEMS).join('; ')}`);
}
