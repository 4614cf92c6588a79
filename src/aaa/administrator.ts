import { type DutyInput, subjectOfSession } from '../protocol/home/duties.js';
import type { HomeAgent, Lease, ServiceLease, Session } from '../protocol/home/records.js';
import type { Logger } from '../runtime/log/events.js';
import { ControlError } from '../runtime/service/control.js';
import type { Metrics } from '../runtime/service/metrics.js';
import type { Host } from '../runtime/system/host.js';
import { within } from '../runtime/system/within.js';
import { DatabaseError } from '../store/database-error.js';
import { type HomeAgentChange, type Page, StoreError, type SubscriberChange } from '../store/records.js';
import type { RemovedSubscriber } from '../store/subscriber-operations.js';
import type { SessionsRequest, StoreRequest } from './control-api.js';
import type { HomeAgentHooks } from './home-agent-hooks.js';
import type { HomeRunner } from './home-runner.js';
import type { StoreCalls } from './measured-store.js';
import type { RevokedCertificates } from './revoked-sessions.js';
import type { ServiceHooks } from './service-hooks.js';

/** Largest number of sessions per second that a bulk change terminates or re-authenticates. */
const PER_SECOND = 50;

/** Largest number of sessions whose answers one operator command waits for. */
const MAX_SESSIONS = 1_000;

/** Largest number of certificates in one query to the store. */
const SERIALS = 500;

/** Delay before a step is repeated that failed because the store is unavailable, in milliseconds. */
const STORE_RETRY = 10_000;

/** Time limit for work in the background at shutdown, in milliseconds. */
const SETTLE_LIMIT = 1_000;

/** HTTP status codes for an unusable database and for an internal error. */
const UNAVAILABLE = 503;
const FAULT = 500;

export interface AdministratorParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly host: Host;
  readonly store: StoreCalls;
  /** Name of the store in messages. The name of a file is its absolute path. */
  readonly storeName: string;
  readonly application: Pick<HomeRunner, 'disconnect' | 'reauthenticate' | 'endSession'>;
  readonly homeAgents: Pick<HomeAgentHooks, 'run'>;
  readonly services: Pick<ServiceHooks, 'run' | 'look'>;
  /** Called when the work on a duty begins and ends. */
  readonly record: (input: DutyInput) => void;
  /** Whether others than root and the user of the daemon can use the control socket. */
  readonly operatorsHaveGroup: boolean;
  /** Forgets all earlier authentications. */
  readonly forget: () => void;
}

/**
 * Carries out operator requests, and applies their effects to sessions and home agents. It uses promises instead of
 * tokens, because each request is one sequence of steps. The home machine keeps all state that outlives a request.
 *
 * Long, because all requests share the work on sessions.
 */
export class Administrator {
  readonly #parts: AdministratorParts;
  #stopping = false;
  #stopped = false;
  readonly #background = new Set<Promise<void>>();
  /** Ends the pauses before further attempts. */
  readonly #pauses = new Set<() => void>();
  /** `finishOthers` is due after a failure of the database. */
  #finishing = false;

  constructor(parts: AdministratorParts) {
    this.#parts = parts;
  }

  /** Begins no further work on sessions. */
  stop(): void {
    this.#stopping = true;
    for (const end of [...this.#pauses]) end();
  }

  /**
   * Resolves when the work in the background is over, so that the store can be closed, or after the time limit. What is
   * left is done at the next start (`finishOthers`), and is not an error.
   */
  async settle(): Promise<void> {
    await within(Promise.all(this.#background), SETTLE_LIMIT, this.#parts.host);
    this.#stopped = true;
  }

  /** Runs a store operation. `store`, if given, must name this server's store. */
  async administer({ operation, arguments: given, who, store }: StoreRequest): Promise<unknown> {
    if (store !== undefined && store !== this.#parts.storeName) {
      throw new ControlError(
        `this server uses the store ${this.#parts.storeName}, not ${store}: name the store of the running server, or stop it`,
      );
    }
    const by = this.#named(who);
    const administered = this.#parts.store.administer(operation, given, by).catch((error: unknown) => {
      // The change may have been committed, although its answer was lost. A call that was refused because too many are
      // pending was not run.
      if (error instanceof DatabaseError && error.code !== 'ERR_STORE_BUSY') this.#finishLater();
      throw this.#toControlError(error, operation);
    });
    const { result, changed } = await administered;
    this.#parts.log[changed ? 'info' : 'debug']({ operation, operator: by }, 'store operation completed');
    this.#follow(operation, given, result);
    return result;
  }

  /**
   * The operator, for the audit trail: the name that the caller states. Only root and the user of the daemon can use the
   * socket, unless a group may; any of its members could state any name.
   */
  #named(who = 'somebody'): string {
    return this.#parts.operatorsHaveGroup ? `${who} (unverified)` : who;
  }

  /** The error for the operator: an invalid request, an unusable database, or an internal error. */
  #toControlError(error: unknown, operation: string): unknown {
    if (!(error instanceof Error)) return error;
    if (error instanceof StoreError) return new ControlError(error.message);
    if (error instanceof DatabaseError) return new ControlError(error.message, UNAVAILABLE);
    return new ControlError(`${operation}: internal error of the server; see its log`, FAULT);
  }

  /**
   * Sends an ASR or RAR for a session, or for all sessions of a subscriber (`{of, who}`), and records that in the audit
   * trail. Returns the result of each.
   */
  async onSessions({ of, who }: SessionsRequest, what: 'disconnect' | 'reauthenticate'): Promise<object[]> {
    const found = this.#parts.store.run('listSessions', { of, limit: MAX_SESSIONS }).catch((error: unknown) => {
      throw this.#toControlError(error, 'listSessions');
    });
    const { items: sessions } = await found;
    if (sessions.length === 0) throw new ControlError(`no session ${of}: "session list" lists the sessions`);
    const operation = `${what}Sessions` as const;
    const operator = this.#named(who);
    await this.#parts.store.run(operation, { of }, operator).catch((error: unknown) => {
      throw this.#toControlError(error, operation);
    });
    this.#parts.log.info({ operation, operator }, 'operator command');
    return Promise.all(
      sessions.map(async (session) => {
        const { sessionId, origin } = session;
        try {
          const { result } = await this.#parts.application[what](session);
          return { session: sessionId, paa: origin, result };
        } catch (error) {
          return { session: sessionId, paa: origin, result: (error as Error).message };
        }
      }),
    );
  }

  /** Terminates the sessions of revoked certificates. */
  async revoke({ certificates, issuers }: RevokedCertificates): Promise<void> {
    for (let i = 0; i < certificates.length; i += SERIALS) {
      await this.#endRevoked({ certificates: certificates.slice(i, i + SERIALS) });
    }
    for (const certificateIssuer of issuers) await this.#endRevoked({ certificateIssuer });
  }

  async #endRevoked(of: { readonly certificates: readonly string[] } | { readonly certificateIssuer: string }) {
    await this.#each(of, async (session) => {
      this.#parts.log.warn({ nai: session.nai, serial: session.serial }, 'certificate revoked');
      this.#parts.metrics.count('sessions_revoked');
      await this.#endOne(session);
    });
  }

  /** Re-authenticates the nodes of a home agent, so that they get another home agent. */
  async moveNodes({ name, address }: Pick<HomeAgent, 'name' | 'address'>): Promise<void> {
    const fields = { homeAgent: address, homeAgentName: name };
    this.#parts.log.warn(fields, 'home agent down');
    const moved = await this.#each({ homeAgent: address }, async (session) => {
      this.#parts.metrics.count('moves');
      await this.#renew(session);
    });
    this.#parts.log.warn({ ...fields, count: moved }, 'home agent nodes moved');
  }

  /** Terminates the sessions of disabled subscribers, including those that were disabled while no server ran. */
  async endDisabled(): Promise<void> {
    await this.#each({ disabled: true }, (session) => this.#endOne(session));
  }

  /**
   * Completes operator requests whose effects may be missing, because a server was killed or the store's answer was
   * lost: terminates sessions of disabled subscribers, moves nodes away from home agents that are down, and
   * re-authenticates sessions that have lost their lease. Called at startup and after a failure of the database.
   */
  async finishOthers(): Promise<void> {
    await this.endDisabled();
    for (const agent of await this.#persist(() => this.#parts.store.run('listHomeAgents', {}))) {
      const isDown = agent.state === 'down' || agent.failedBy !== undefined;
      if (isDown && agent.leases > 0) await this.moveNodes(agent);
    }
    await this.#each({ withoutLease: true }, async (session) => this.reauthenticate(session));
  }

  /** Runs `finishOthers` when the database works again: once for all failures until then. */
  #finishLater(): void {
    if (this.#finishing) return;
    this.#finishing = true;
    this.#parts.forget();
    const finish = async () => {
      await this.#pause(STORE_RETRY);
      await this.#persist(() => this.#parts.store.run('statistics', {}));
      this.#finishing = false;
      if (!this.#stopping) await this.finishOthers();
    };
    this.inBackground(finish());
  }

  /** Runs an action in the background and logs its error. */
  inBackground(work: Promise<unknown>): void {
    const settled = work.then(
      () => undefined,
      (error: unknown) => this.#failed(error),
    );
    this.#background.add(settled);
    void settled.then(() => this.#background.delete(settled));
  }

  #failed(error: unknown): void {
    if (!this.#stopped) this.#parts.log.error({ reason: (error as Error).message }, 'store operation failed');
  }

  /** Applies a change of the store to sessions and home agents. */
  #follow(operation: string, given: unknown, result: unknown): void {
    const { homeAgents, services, forget } = this.#parts;
    switch (operation) {
      case 'removeSubscriber':
        forget();
        this.#followRemoval(result as RemovedSubscriber);
        services.look();
        break;
      case 'finishImport':
        forget();
        // An import can disable a subscriber that has a session.
        this.inBackground(this.endDisabled());
        break;
      case 'changeSubscriber': {
        const { nai, change } = given as { nai: string; change: SubscriberChange };
        forget();
        this.inBackground(this.#followSubscriber(nai, change));
        break;
      }
      case 'releaseLease':
        void homeAgents.run('down', result as Lease, undefined);
        this.inBackground(this.#reauthenticateAll((result as Lease).nai));
        break;
      case 'changeHomeAgent': {
        const { change } = given as { change: HomeAgentChange };
        if (change.state === 'down') this.inBackground(this.moveNodes(result as HomeAgent));
        break;
      }
      case 'removeHomeAgent': {
        const leases = result as Lease[];
        for (const lease of leases) void homeAgents.run('down', lease, undefined);
        const [first] = leases;
        if (first) this.inBackground(this.moveNodes(first.homeAgent));
        break;
      }
      case 'removeServiceServer':
        for (const lease of result as ServiceLease[]) services.run({ event: 'down', lease, key: undefined });
    }
  }

  #followRemoval({ lease, sessions }: RemovedSubscriber): void {
    if (lease) void this.#parts.homeAgents.run('down', lease, undefined);
    this.inBackground(this.endRemoved(sessions));
  }

  /** Terminates the sessions of a disabled subscriber; re-authenticates those of a subscriber whose policy changed. */
  async #followSubscriber(nai: string, change: SubscriberChange): Promise<void> {
    const { enabled, certificateName, certificateSha256, sessions, sessionLifetime, pskRoot, ...mobility } = change;
    if (enabled === false) await this.#each({ of: nai, disabled: true }, (session) => this.#endOne(session));
    else if (mobility.ikev2HomeAddress === false) await this.#each({ of: nai }, (session) => this.#renew(session));
    else if (Object.keys(mobility).length > 0 || pskRoot !== undefined) await this.#reauthenticateAll(nai);
    else if (certificateName !== undefined || certificateSha256 !== undefined) await this.#reauthenticateAll(nai);
  }

  /** Re-authenticates a session. One at a home agent, which would give its node nothing else, is terminated. */
  async #renew(session: Session): Promise<void> {
    if (session.kind === 'ikev2') await this.#endOne(session);
    else this.reauthenticate(session);
  }

  async #reauthenticateAll(nai: string): Promise<void> {
    for (const session of await this.#sessionsOf(nai)) this.reauthenticate(session);
  }

  /** Requests that the PAA of a session re-authenticate it. Does not wait for the answer. */
  reauthenticate(session: Session): void {
    this.#parts.application.reauthenticate(session).catch((error: Error) => {
      this.#unanswered('RAR', session, error);
    });
  }

  #unanswered(message: 'ASR' | 'RAR', { sessionId: session, nai, origin: peer }: Session, error: Error): void {
    this.#parts.log.warn({ message, session, nai, peer, reason: error.message }, 'request unanswered');
  }

  async #sessionsOf(nai: string): Promise<readonly Session[]> {
    return (await this.#persist(() => this.#parts.store.run('listSessions', { of: nai }))).items;
  }

  /** Resolves with true if the work succeeded. Logs a failure, so that the work on other sessions continues. */
  async #tried(work: Promise<void>): Promise<boolean> {
    try {
      await work;
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  /** Terminates a session at its PAA. If the PAA cannot be reached, terminates it on this server only. */
  async #endOne(session: Session): Promise<void> {
    const { application } = this.#parts;
    try {
      const { result, refused } = await application.disconnect(session);
      if (refused) throw new Error(`the answer is ${result}`);
      this.#ended(session, true);
    } catch (error) {
      this.#ended(session, false);
      this.#unanswered('ASR', session, error as Error);
      await application.endSession(session, 'its PAA cannot be reached');
    }
  }

  /** Terminates sessions that were removed from the store, in the background. */
  endSoon(sessions: readonly Session[]): void {
    this.inBackground(this.endRemoved(sessions));
  }

  /** Terminates sessions that were removed from the store: sends an ASR to the PAA of each. */
  async endRemoved(sessions: readonly Session[]): Promise<void> {
    for (const session of sessions) {
      const { duty: mark } = session;
      if (mark === undefined) continue;
      this.#parts.record({ type: 'dutyBegun', duty: { subject: subjectOfSession(session), mark } });
    }
    // A termination that fails remains a duty and is retried later.
    for (const session of sessions) await this.#tried(this.#endOne(session));
  }

  /** Ends the duty to terminate a session. `over`: the PAA has ended the session. Otherwise the duty is retried. */
  #ended(session: Session, over: boolean): void {
    const { duty: mark } = session;
    if (mark === undefined) return;
    const duty = { subject: subjectOfSession(session), mark, over, notified: undefined };
    this.#parts.record({ type: 'dutyEnded', duty });
  }

  /**
   * Applies an action to many sessions at a limited rate. After failures, starts again with the sessions that the store
   * still lists. Resolves with the number of successes.
   */
  async #each(
    which: {
      readonly of?: string;
      readonly homeAgent?: string;
      readonly certificates?: readonly string[];
      readonly certificateIssuer?: string;
      readonly disabled?: boolean;
      readonly withoutLease?: boolean;
    },
    work: (session: Session) => Promise<void>,
  ): Promise<number> {
    let done = 0;
    let from: string | undefined;
    let failed = false;
    for (;;) {
      const given = { ...which, from, limit: PER_SECOND };
      const page: Page<Session> = await this.#persist(() => this.#parts.store.run('listSessions', given));
      for (const session of page.items) {
        if (this.#stopping) return done;
        if (await this.#tried(work(session))) done += 1;
        else failed = true;
      }
      from = page.next;
      if (this.#stopping || (from === undefined && !failed)) return done;
      await this.#pause(from === undefined ? STORE_RETRY : 1_000);
      if (from === undefined) failed = false;
    }
  }

  /**
   * Repeats a step until the store is available. A change of the store or of a CRL is reported only once, so its
   * consequences must not be lost.
   */
  async #persist<T>(step: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await step();
      } catch (error) {
        if (this.#stopping || !(error instanceof DatabaseError)) throw error;
        this.#parts.log.error({ reason: error.message }, 'store operation failed');
        await this.#pause(STORE_RETRY);
      }
    }
  }

  #pause(milliseconds: number): Promise<void> {
    if (this.#stopping) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#parts.host.after(milliseconds, () => end());
      const end = () => {
        cancel();
        this.#pauses.delete(end);
        resolve();
      };
      this.#pauses.add(end);
    });
  }
}
