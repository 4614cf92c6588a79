import { formatAddress, parseAddress } from '../protocol/bytes/address.js';
import type { HomeOperations } from '../protocol/home/alphabet.js';
import type { Lease, Session, Subscriber } from '../protocol/home/records.js';
import { checkNai, MAX_NAME } from '../protocol/mip6/names.js';
import { release, writeDuty } from './duties.js';
import { page, subscriberChange, subscriberInput, text } from './inputs.js';
import { administrative, internal } from './operation.js';
import { MAX_PAGE, type Page, StoreError } from './records.js';
import {
  contains,
  type Db,
  hasOtherSession,
  isOfOther,
  isOnLink,
  leases,
  pageOf,
  requireHomeAgent,
  subscribers,
  toSubscriber,
} from './rows.js';
import { sessionOperations } from './session-operations.js';
import { Statement } from './statement.js';

/** What was removed with a subscriber. */
export interface RemovedSubscriber {
  readonly lease: Lease | undefined;
  readonly sessions: readonly Session[];
}

export const subscriberOperations = {
  /** Finds the subscriber of a certificate and decides whether it may authenticate now. */
  findSubscriber: internal<HomeOperations['findSubscriber']>({
    kind: 'read',
    measuredAs: 'authentication',
    async run(db, { names, sha256, sessionId, isAtHomeAgent = false }, context) {
      const row = await subscriberOf(db, names, sha256);
      if (!row) return { refusal: 'no-subscriber' };
      const { id, ...fields } = row;
      const { nai } = fields;
      if (row.certificate_sha256 !== null && row.certificate_sha256 !== sha256)
        return { refusal: 'other-certificate', nai };
      if (row.enabled === 0) return { refusal: 'disabled', nai };
      if (await isOfOther(db, sessionId, id)) return { refusal: 'other-subscriber', nai };
      const isSingle = row.sessions === 'one' && !isAtHomeAgent;
      if (isSingle && (await hasOtherSession(db, { subscriber: id, sessionId, now: context.now() }))) {
        return { refusal: 'second-session', nai };
      }
      return { subscriber: toSubscriber(fields) };
    },
  }),

  addSubscriber: administrative({
    kind: 'write',
    input: (z) => z.strictObject({ subscriber: subscriberInput(z) }),
    async run(db, { subscriber }, context): Promise<void> {
      const problem = checkNai(subscriber.nai);
      if (problem)
        throw new StoreError('ERR_STORE_VALUE', `${JSON.stringify(subscriber.nai)} cannot be a subscriber: ${problem}`);
      const nai = subscriber.nai.toLowerCase();
      const { homeAgent, homeAddress, certificateName, certificateSha256, pskRoot, sessionLifetime } = subscriber;
      await refuseTaken(db, nai, {
        certificateName: certificateName ?? null,
        certificateSha256: certificateSha256 ?? null,
      });
      await checkPin(db, nai, homeAddress, homeAgent);
      checkPrivacy(subscriber.privacy, pskRoot);
      const inserted = await db
        .insertInto('subscribers')
        .values({
          nai,
          enabled: Number(subscriber.enabled),
          mip6: Number(subscriber.mip6),
          local_ha: Number(subscriber.localHomeAgent),
          ikev2_hoa: Number(subscriber.ikev2HomeAddress ?? false),
          psk_root: pskRoot ?? null,
          home_agent_id: homeAgent === undefined ? null : (await requireHomeAgent(db, homeAgent)).id,
          hoa: homeAddress === undefined ? null : homeAddressOf(homeAddress),
          session_lifetime: sessionLifetime === undefined ? null : lifetimeOf(sessionLifetime),
          certificate_name: certificateName === undefined ? null : certificateNameOf(certificateName),
          certificate_sha256: certificateSha256 === undefined ? null : sha256Of(certificateSha256),
          sessions: subscriber.sessions,
          privacy: subscriber.privacy ?? 'optional',
          services: subscriber.services ?? 'none',
          takeovers: 0,
          created_at: context.now(),
        })
        .onConflict((conflict) => conflict.column('nai').doNothing())
        .executeTakeFirst();
      if (inserted.numInsertedOrUpdatedRows === 0n)
        throw new StoreError('ERR_STORE_EXISTS', `subscriber ${nai} already exists`);
    },
  }),

  /** Changes the given settings. Existing sessions continue; the caller ends or moves them. */
  changeSubscriber: administrative({
    kind: 'write',
    input: (z) => z.strictObject({ nai: text(z), change: subscriberChange(z) }),
    async run(db, { nai, change }): Promise<Subscriber> {
      const known = await subscribers(db).where('nai', '=', nai.toLowerCase()).executeTakeFirst();
      if (!known) throw new StoreError('ERR_STORE_NOT_FOUND', `no subscriber ${nai}`);
      await refuseTaken(db, known.nai, change);
      const {
        homeAgent,
        homeAddress,
        sessionLifetime: lifetime,
        certificateName: name,
        certificateSha256: sha256,
      } = change;
      if (homeAgent !== undefined || homeAddress !== undefined) {
        const pinned = {
          hoa: homeAddress === undefined ? known.hoa : homeAddress,
          agent: homeAgent === undefined ? known.pin : homeAgent,
        };
        await checkPin(db, known.nai, pinned.hoa ?? undefined, pinned.agent ?? undefined);
      }
      checkPrivacy(change.privacy ?? known.privacy, change.pskRoot === undefined ? known.psk_root : change.pskRoot);
      const values = {
        ...(change.enabled === undefined ? {} : { enabled: Number(change.enabled) }),
        ...(change.mip6 === undefined ? {} : { mip6: Number(change.mip6) }),
        ...(change.localHomeAgent === undefined ? {} : { local_ha: Number(change.localHomeAgent) }),
        ...(change.ikev2HomeAddress === undefined ? {} : { ikev2_hoa: Number(change.ikev2HomeAddress) }),
        ...(change.sessions === undefined ? {} : { sessions: change.sessions }),
        ...(change.privacy === undefined ? {} : { privacy: change.privacy }),
        ...(change.services === undefined ? {} : { services: change.services }),
        ...(change.pskRoot === undefined ? {} : { psk_root: change.pskRoot }),
        ...(lifetime === undefined ? {} : { session_lifetime: lifetime === null ? null : lifetimeOf(lifetime) }),
        ...(homeAgent === undefined
          ? {}
          : { home_agent_id: homeAgent === null ? null : (await requireHomeAgent(db, homeAgent)).id }),
        ...(homeAddress === undefined ? {} : { hoa: homeAddress === null ? null : homeAddressOf(homeAddress) }),
        ...(name === undefined ? {} : { certificate_name: name === null ? null : certificateNameOf(name) }),
        ...(sha256 === undefined ? {} : { certificate_sha256: sha256 === null ? null : sha256Of(sha256) }),
      };
      if (Object.keys(values).length > 0) {
        await db.updateTable('subscribers').set(values).where('id', '=', known.id).execute();
      }
      const { id, ...row } = await subscribers(db).where('subscribers.id', '=', known.id).executeTakeFirstOrThrow();
      return toSubscriber(row);
    },
  }),

  /** Lists subscribers by NAI. `match`: part of the NAI; `from`: end of the previous page. */
  listSubscribers: administrative({
    kind: 'read',
    input: (z) =>
      z.strictObject({
        match: text(z).optional(),
        homeAgent: text(z).optional(),
        enabled: z.boolean().optional(),
        ...page(z),
      }),
    async run(db, filter): Promise<Page<Subscriber>> {
      const { match, homeAgent, enabled, from, limit = MAX_PAGE } = filter;
      let query = subscribers(db).orderBy('subscribers.nai');
      if (match !== undefined) query = query.where(contains('subscribers.nai', match.toLowerCase()));
      if (homeAgent !== undefined) query = query.where('home_agents.name', '=', homeAgent);
      if (enabled !== undefined) query = query.where('enabled', '=', Number(enabled));
      if (from !== undefined) query = query.where('subscribers.nai', '>', from);
      const rows = await query.limit(limit + 1).execute();
      const found = rows.map(({ id, ...row }) => toSubscriber(row));
      return pageOf(found, limit, ({ nai }) => nai);
    },
  }),

  showSubscriber: administrative({
    kind: 'read',
    input: (z) => z.strictObject({ nai: text(z) }),
    async run(db, { nai }): Promise<Subscriber> {
      const row = await subscribers(db).where('nai', '=', nai.toLowerCase()).executeTakeFirst();
      if (!row) throw new StoreError('ERR_STORE_NOT_FOUND', `no subscriber ${nai}`);
      const { id, ...fields } = row;
      return toSubscriber(fields);
    },
  }),

  /** Removes a subscriber with its sessions and its lease, and returns them. */
  removeSubscriber: administrative({
    kind: 'write',
    input: (z) => z.strictObject({ nai: text(z) }),
    async run(db, { nai }, context): Promise<RemovedSubscriber> {
      const row = await db
        .selectFrom('subscribers')
        .select('id')
        .where('nai', '=', nai.toLowerCase())
        .executeTakeFirst();
      if (!row) throw new StoreError('ERR_STORE_NOT_FOUND', `no subscriber ${nai}`);
      const held = await leases(db).where('leases.subscriber_id', '=', row.id).executeTakeFirst();
      const lease = held && (await release(db, held, context.now(), context));
      const { items } = await sessionOperations.listSessions.run(db, { of: nai }, context);
      const sessions: Session[] = [];
      for (const session of items) {
        const duty = await writeDuty(db, { event: 'disconnect', session }, context);
        sessions.push(duty === undefined ? session : { ...session, duty });
      }
      await db.deleteFrom('sessions').where('subscriber_id', '=', row.id).execute();
      await db.deleteFrom('subscribers').where('id', '=', row.id).execute();
      return { lease, sessions };
    },
  }),
} as const;

/**
 * Finds a subscriber by the certificate itself, otherwise by its names: first the name that a subscriber is bound to,
 * then the NAI.
 */
async function subscriberOf(db: Db, names: readonly string[], sha256: string) {
  const bound = await ofCertificate.first(db, { sha256 });
  if (bound) return bound;
  for (const given of names) {
    const name = given.toLowerCase();
    const named = (await ofCertificateName.first(db, { name })) ?? (await ofOwnName.first(db, { name }));
    if (named) return named;
  }
  return undefined;
}

const ofCertificate = new Statement((db, { sha256 }: { readonly sha256: string }) =>
  subscribers(db).where('certificate_sha256', '=', sha256),
);

const ofCertificateName = new Statement((db, { name }: { readonly name: string }) =>
  subscribers(db).where('certificate_name', '=', name),
);

/** By the NAI, unless the subscriber is bound to another name. */
const ofOwnName = new Statement((db, { name }: { readonly name: string }) =>
  subscribers(db).where('subscribers.nai', '=', name).where('certificate_name', 'is', null),
);

interface CertificateChange {
  readonly certificateName?: string | null | undefined;
  readonly certificateSha256?: string | null | undefined;
}

/** Throws StoreError if another subscriber is bound to this certificate or name. */
async function refuseTaken(
  db: Db,
  nai: string,
  { certificateName, certificateSha256 }: CertificateChange,
): Promise<void> {
  const taken = async (column: 'certificate_name' | 'certificate_sha256', value: string | null | undefined) => {
    if (value === undefined || value === null) return;
    const other = await db
      .selectFrom('subscribers')
      .select('nai')
      .where(column, '=', value)
      .where('nai', '<>', nai)
      .executeTakeFirst();
    if (other) throw new StoreError('ERR_STORE_EXISTS', `the subscriber ${other.nai} already has this certificate`);
  };
  await taken('certificate_name', certificateName?.toLowerCase());
  await taken(
    'certificate_sha256',
    certificateSha256 === null ? null : certificateSha256 && sha256Of(certificateSha256),
  );
}

/** Throws StoreError if a sealed assignment, whose IKE key has the EMSK as its root, is required and the root is the MSK. */
export function checkPrivacy(privacy: Subscriber['privacy'] | undefined, root: string | null | undefined): void {
  if (privacy !== 'required' || root !== 'msk') return;
  throw new StoreError('ERR_STORE_VALUE', 'privacy required excludes psk-root msk: the access network has the MSK');
}

/** Throws StoreError if another subscriber has this home address, or if it is not on the home agent's link. */
async function checkPin(db: Db, nai: string, homeAddress: string | undefined, homeAgent: string | undefined) {
  if (homeAddress === undefined) return;
  const hoa = homeAddressOf(homeAddress);
  const other = await db
    .selectFrom('subscribers')
    .select('nai')
    .where('hoa', '=', hoa)
    .where('nai', '<>', nai)
    .executeTakeFirst();
  if (other) throw new StoreError('ERR_STORE_EXISTS', `the subscriber ${other.nai} is already pinned to ${hoa}`);
  const problem = pinProblem(hoa, homeAgent, await db.selectFrom('home_agents').selectAll().execute());
  if (problem !== undefined) throw new StoreError('ERR_STORE_VALUE', problem);
}

/** Why a home address (canonical text) cannot be assigned; undefined if it can. */
export function pinProblem(
  hoa: string,
  homeAgent: string | undefined,
  agents: readonly { readonly name: string; readonly address: string; readonly prefix: string }[],
): string | undefined {
  const wanted = homeAgent === undefined ? agents : agents.filter(({ name }) => name === homeAgent);
  if (wanted.some((agent) => isOnLink(hoa, agent))) return undefined;
  const [only] = wanted;
  if (homeAgent !== undefined && only)
    return `${hoa} is not a node's address on the home link of ${homeAgent}, ${only.prefix}`;
  return homeAgent === undefined ? `${hoa} is not on the home link of any home agent` : undefined;
}

/** Checks a session lifetime in seconds. Throws StoreError. */
export function lifetimeOf(seconds: number): number {
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= 0xffff_fffe) return seconds;
  throw new StoreError('ERR_STORE_VALUE', `a session lifetime is a whole number of seconds from 1, not ${seconds}`);
}

/** Normalizes a name in a certificate. Throws StoreError. */
export function certificateNameOf(name: string): string {
  const hasControls = [...name].some((character) => character < ' ' || character === '\x7f');
  if (name.length >= 1 && name.length <= MAX_NAME && !hasControls) return name.toLowerCase();
  throw new StoreError('ERR_STORE_VALUE', `a name in a certificate has 1 to ${MAX_NAME} printable characters`);
}

/** Converts an IPv6 address to canonical text. Throws StoreError. */
export function homeAddressOf(text: string): string {
  const octets = parseAddress(text);
  if (octets?.length !== 16) throw new StoreError('ERR_STORE_VALUE', `${text} is not an IPv6 address`);
  return formatAddress(octets);
}

/**
 * Normalizes a fingerprint, as printed by `openssl x509 -fingerprint -sha256`, to 64 lower-case digits. Throws
 * StoreError.
 */
export function sha256Of(text: string): string {
  const digits = text.replaceAll(':', '').toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digits)) return digits;
  throw new StoreError('ERR_STORE_VALUE', `${text} is not a SHA-256 fingerprint of 64 hexadecimal digits`);
}
