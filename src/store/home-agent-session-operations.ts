import type { HomeOperations } from '../protocol/home/alphabet.js';
import type { BootstrapResult, HomeAgentRefusal, Lease } from '../protocol/home/records.js';
import { type AssignedSubscriber, keeps, leaseOf, newLease, storeSession, subscriberOf } from './assignment.js';
import { release, withDuty } from './duties.js';
import { internal } from './operation.js';
import { type Context, type Db, isOfOther, type LeaseRow, toLease } from './rows.js';
import { Statement } from './statement.js';

/** Sessions of home agents, which authenticate nodes by EAP in IKEv2. */
export const homeAgentSessionOperations = {
  /**
   * Stores the session of a node at its home agent. A subscriber has one lease, whichever way its address goes out: the
   * lease of its access session stays as it is, and the session at the home agent ends with it at the latest. Without an
   * access session, the session at the home agent has the lease. It replaces the node's former session there.
   */
  bootstrapAtHomeAgent: internal<HomeOperations['bootstrapAtHomeAgent']>({
    kind: 'write',
    measuredAs: 'bootstrap',
    async run(db, given, context): Promise<BootstrapResult> {
      const now = given.now ?? context.now();
      const asked = given.now ?? context.asked();
      const { sessionId } = given;
      const sessionExpires = asked + given.sessionLifetime;
      const leaseExpires = asked + given.leaseLifetime;
      const nai = given.nai.toLowerCase();
      const refuse = (
        reason: Extract<BootstrapResult, { result: 'refused' }>['reason'],
        released: Lease | undefined = undefined,
      ) => ({ result: 'refused', reason, released }) as const;
      const subscriber = await subscriberOf.first(db, { nai });
      if (!subscriber) return refuse('no-subscriber');
      if (subscriber.enabled === 0) return refuse('disabled');
      if (await isOfOther(db, sessionId, subscriber.id)) return refuse('other-subscriber');
      if (subscriber.mip6 === 0 || subscriber.ikev2_hoa === 0) return refuse('not-permitted');
      const agent = await agentOf.first(db, { name: given.homeAgent.toLowerCase() });
      if (!agent) return refuse('unknown-home-agent');
      if (!agent.ike.split(',').includes('ikev2')) return refuse('no-common-ike');

      const current = await leaseOf.first(db, { subscriber: subscriber.id });
      const request = { nai, sessionId, now, leaseExpires };
      const taken =
        current && keeps(current, subscriber, now)
          ? await taking(db, current, agent.id, request)
          : await beginning(db, subscriber, current, agent.id, request, context);
      if ('refused' in taken) {
        // A session that authenticates again has lost its home address.
        if (taken.released) await deleteRefused.change(db, { sessionId });
        return refuse(taken.refused, taken.released);
      }
      const { lease, renewed, released } = taken;
      await deleteFormer.change(db, { subscriber: subscriber.id, origin: given.origin, sessionId });
      await storeSession.change(db, {
        id: sessionId,
        subscriber_id: subscriber.id,
        started_at: now,
        kind: 'ikev2',
        ha: lease.homeAgent.address,
        hoa: lease.homeAddress,
        origin: given.origin,
        origin_realm: given.originRealm ?? null,
        origin_state: given.originState ?? null,
        serial: given.certificate ?? null,
        expires_at: Math.min(sessionExpires, lease.expiresAt),
      });
      const sessionLifetime = Math.min(sessionExpires, lease.expiresAt) - now;
      // The home agent itself replaces the older IKE_SA of a node.
      return { result: 'home', lease, renewed, released, takenFrom: undefined, sessionLifetime, alone: true };
    },
  }),
} as const;

interface Request {
  readonly nai: string;
  readonly sessionId: string;
  readonly now: number;
  readonly leaseExpires: number;
}

type Taken =
  | { readonly lease: Lease; readonly renewed: boolean; readonly released: Lease | undefined }
  | { readonly refused: HomeAgentRefusal; readonly released: Lease | undefined };

/** Takes a lease that is valid. One whose session is not open at an access network becomes that of the home agent. */
async function taking(db: Db, current: LeaseRow, agent: number, request: Request): Promise<Taken> {
  const { sessionId, now, leaseExpires } = request;
  if (current.home_agent_id !== agent) return { refused: 'other-home-agent', released: undefined };
  const owner = await accessSession.first(db, { sessionId: current.session_id, now });
  if (owner) return { lease: toLease(current), renewed: true, released: undefined };
  const change = { session_id: sessionId, expires_at: leaseExpires };
  await takeLease.change(db, { hoa: current.hoa, ...change });
  return { lease: toLease({ ...current, ...change }), renewed: true, released: undefined };
}

/** Gives a new lease on this home agent. */
async function beginning(
  db: Db,
  subscriber: AssignedSubscriber,
  current: LeaseRow | undefined,
  agent: number,
  request: Request,
  context: Context,
): Promise<Taken> {
  const { home_agent_id: pinned } = subscriber;
  if (pinned !== null && pinned !== agent) return { refused: 'other-home-agent', released: undefined };
  const released = current && (await release(db, current, request.now, context, request.sessionId));
  const given = await newLease(db, { ...subscriber, home_agent_id: agent }, request);
  if (typeof given === 'string') return { refused: given, released };
  return { lease: await withDuty(db, 'up', given, context), renewed: false, released };
}

const agentOf = new Statement((db, { name }: { readonly name: string }) =>
  db
    .selectFrom('home_agents')
    .select(['id', 'ike'])
    .where((expression) => expression(expression.fn('lower', ['name']), '=', name)),
);

/** An open session at an access network. */
const accessSession = new Statement((db, { sessionId, now }: { readonly sessionId: string; readonly now: number }) =>
  db
    .selectFrom('sessions')
    .select('id')
    .where('id', '=', sessionId)
    .where('expires_at', '>', now)
    .where((expression) => expression.or([expression('kind', 'is', null), expression('kind', '<>', 'ikev2')])),
);

interface Taking {
  readonly hoa: string;
  readonly session_id: string;
  readonly expires_at: number;
}

const takeLease = new Statement((db, { hoa, session_id, expires_at }: Taking) =>
  db.updateTable('leases').set({ session_id, expires_at }).where('hoa', '=', hoa),
);

const deleteRefused = new Statement((db, { sessionId }: { readonly sessionId: string }) =>
  db.deleteFrom('sessions').where('id', '=', sessionId).where('kind', '=', 'ikev2'),
);

interface Former {
  readonly subscriber: number;
  readonly origin: string;
  readonly sessionId: string;
}

/** A home agent replaces the IKE_SA of a node that begins a new one. */
const deleteFormer = new Statement((db, { subscriber, origin, sessionId }: Former) =>
  db
    .deleteFrom('sessions')
    .where('subscriber_id', '=', subscriber)
    .where('origin', '=', origin)
    .where('kind', '=', 'ikev2')
    .where('id', '<>', sessionId),
);
