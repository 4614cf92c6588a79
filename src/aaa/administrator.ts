import { z } from 'zod';
import { resultName } from '../protocol/diameter/wire/result-codes.js';
import type { Logger } from '../runtime/log/log.js';
import { ControlError } from '../runtime/service/control.js';
import type { Metrics } from '../runtime/service/metrics.js';
import type { Host } from '../runtime/system/host.js';
import { DatabaseError } from '../store/database-error.js';
import type { HomeAgent, HomeAgentChange, Lease, Page, Session, SubscriberChange } from '../store/records.js';
import { StoreError } from '../store/records.js';
import type { RemovedSubscriber } from '../store/subscriber-operations.js';
import type { HomeAgentHooks } from './home-agent-hooks.js';
import type { HomeServer } from './home-server.js';
import type { StoreCalls } from './measured-store.js';
import type { RevokedCertificates } from './revoked-sessions.js';

/** Sessions that are ended or authenticated again in one second, where many are. */
const PER_SECOND = 50;

/** Sessions that one command of the operator's waits for. */
const MAX_SESSIONS = 1_000;

/** Certificates in one question to the store. */
const SERIALS = 500;

/** Octets of the name of an operator, of an operation or of a store at most. */
const MAX_NAME = 1_024;

/** Statuses of HTTP for a database that cannot be used, and for a fault of ours. */
const UNAVAILABLE = 503;
const FAULT = 500;

const name = () =>
  z
    .string()
    .max(MAX_NAME)
    .refine((value) => !value.includes('\0'), 'a name has no NUL');

/** The body of a request. The store checks the operation and its arguments. */
const REQUEST = z.strictObject({
  operation: name(),
  arguments: z.unknown(),
  who: name().optional(),
  store: name().optional(),
});

export interface AdministratorParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly host: Host;
  readonly store: StoreCalls;
  /** The store as messages name it; a file by its whole path. */
  readonly storeName: string;
  readonly application: Pick<HomeServer, 'disconnect' | 'reauthenticate' | 'endSession'>;
  readonly homeAgents: Pick<HomeAgentHooks, 'run'>;
  /** Nobody's authentication is remembered any more. */
  readonly forget: () => void;
}

/** Carries out what operators ask for, and what follows from it for sessions and home agents. */
export class Administrator {
  readonly #parts: AdministratorParts;
  #stopping = false;

  constructor(parts: AdministratorParts) {
    this.#parts = parts;
  }

  stop(): void {
    this.#stopping = true;
  }

  /** An operation of the store: `{operation, arguments, who}`; with `store` only if that is its name. */
  async administer(body: unknown): Promise<unknown> {
    const parsed = REQUEST.safeParse(body);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw new ControlError(
        `not {operation, arguments, who}: ${issue?.path.join('.') || 'the body'}: ${issue?.message}`,
      );
    }
    const { operation, arguments: given, who, store } = parsed.data;
    if (store !== undefined && store !== this.#parts.storeName) {
      throw new ControlError(`this server has the store ${this.#parts.storeName}, not ${store}: which one is meant?`);
    }
    const by = who ?? 'somebody';
    const administered = this.#parts.store.administer(operation, given, by).catch((error: unknown) => {
      throw this.#toControlError(error, operation);
    });
    const { result, changed } = await administered;
    this.#parts.log[changed ? 'info' : 'debug']({ operation, who: by }, 'store administered');
    this.#follow(operation, given, result);
    return result;
  }

  /** The answer to an operator: what was asked for cannot be, the database cannot be used, or we have failed. */
  #toControlError(error: unknown, operation: string): unknown {
    if (!(error instanceof Error)) return error;
    if (error instanceof StoreError) return new ControlError(error.message);
    if (error instanceof DatabaseError) return new ControlError(error.message, UNAVAILABLE);
    return new ControlError(`${operation}: internal error of the server; its log has the details`, FAULT);
  }

  /** ASR or RAR for a session, or for all of a subscriber: `{of}`; what became of each. */
  async onSessions(body: unknown, what: 'disconnect' | 'reauthenticate'): Promise<object[]> {
    const { of } = (body ?? {}) as { of?: unknown };
    if (typeof of !== 'string' || of === '') throw new ControlError('which session? a Session-Id, or a subscriber');
    const found = this.#parts.store.run('listSessions', { of, limit: MAX_SESSIONS }).catch((error: unknown) => {
      throw this.#toControlError(error, 'listSessions');
    });
    const { items: sessions } = await found;
    if (sessions.length === 0) throw new ControlError(`no session ${of}: "session list" shows them`);
    return Promise.all(
      sessions.map(async (session) => {
        const { sessionId, origin } = session;
        try {
          return { session: sessionId, paa: origin, result: resultName(await this.#parts.application[what](session)) };
        } catch (error) {
          return { session: sessionId, paa: origin, result: (error as Error).message };
        }
      }),
    );
  }

  /** Ends the sessions of certificates that are revoked. */
  async revoke({ certificates, issuers }: RevokedCertificates): Promise<void> {
    for (let i = 0; i < certificates.length; i += SERIALS) {
      await this.#endRevoked({ certificates: certificates.slice(i, i + SERIALS) });
    }
    for (const certificateIssuer of issuers) await this.#endRevoked({ certificateIssuer });
  }

  async #endRevoked(of: { readonly certificates: readonly string[] } | { readonly certificateIssuer: string }) {
    await this.#each(of, async (session) => {
      this.#parts.log.warn({ nai: session.nai, serial: session.serial }, 'certificate revoked: session ends');
      this.#parts.metrics.count('sessions_revoked');
      await this.#endOne(session);
    });
  }

  /** Authenticates the nodes of a home agent again: they get another one. */
  async moveNodes({ name, address }: Pick<HomeAgent, 'name' | 'address'>): Promise<void> {
    this.#parts.log.warn({ homeAgent: name }, 'home agent is down: its nodes are moved');
    const moved = await this.#each({ homeAgent: address }, async (session) => {
      this.#parts.metrics.count('moves');
      this.#reauthenticate(session);
    });
    this.#parts.log.warn({ homeAgent: name, sessions: moved }, 'nodes of the home agent were asked to move');
  }

  /** Ends the sessions of disabled subscribers, also of those that were disabled while no server ran. */
  async endDisabled(): Promise<void> {
    await this.#each({ disabled: true }, (session) => this.#endOne(session));
  }

  /** Does something that nobody waits for. */
  inBackground(work: Promise<unknown>): void {
    work.catch((error: Error) => this.#parts.log.error({ reason: error.message }, 'store failed'));
  }

  /** What a change of the store means for sessions and home agents. */
  #follow(operation: string, given: unknown, result: unknown): void {
    const { homeAgents, forget } = this.#parts;
    switch (operation) {
      case 'removeSubscriber':
        forget();
        this.#followRemoval(result as RemovedSubscriber);
        break;
      case 'finishImport':
        forget();
        // A line of an import may disable a subscriber that is in.
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
      }
    }
  }

  #followRemoval({ lease, sessions }: RemovedSubscriber): void {
    if (lease) void this.#parts.homeAgents.run('down', lease, undefined);
    this.inBackground(this.#end(sessions));
  }

  /** Who may not come in any more goes; whose policy is another gets what it says now. */
  async #followSubscriber(nai: string, change: SubscriberChange): Promise<void> {
    const { enabled, certificateName, certificateSha256, sessions, sessionLifetime, pskRoot, ...mobility } = change;
    if (enabled === false) await this.#end(await this.#sessionsOf(nai));
    else if (Object.keys(mobility).length > 0 || pskRoot !== undefined) await this.#reauthenticateAll(nai);
    else if (certificateName !== undefined || certificateSha256 !== undefined) await this.#reauthenticateAll(nai);
  }

  async #reauthenticateAll(nai: string): Promise<void> {
    for (const session of await this.#sessionsOf(nai)) this.#reauthenticate(session);
  }

  #reauthenticate(session: Session): void {
    this.#parts.application.reauthenticate(session).catch((error: Error) => {
      this.#parts.log.warn({ nai: session.nai, nas: session.origin, reason: error.message }, 'no answer to RAR');
    });
  }

  async #sessionsOf(nai: string): Promise<readonly Session[]> {
    return (await this.#parts.store.run('listSessions', { of: nai })).items;
  }

  async #end(sessions: readonly Session[]): Promise<void> {
    for (const session of sessions) await this.#endOne(session);
  }

  /** Ends a session at its PAA or, where that cannot be reached, here alone. */
  async #endOne(session: Session): Promise<void> {
    const { application, log } = this.#parts;
    try {
      await application.disconnect(session);
    } catch (error) {
      const { nai, origin } = session;
      log.warn({ nai, nas: origin, reason: (error as Error).message }, 'no answer to ASR');
      await application.endSession(session, 'its PAA cannot be reached');
    }
  }

  /** Does something with many sessions, so many in a second; how many there were. */
  async #each(
    of: {
      readonly homeAgent?: string;
      readonly certificates?: readonly string[];
      readonly certificateIssuer?: string;
      readonly disabled?: boolean;
    },
    work: (session: Session) => Promise<void>,
  ): Promise<number> {
    let done = 0;
    let from: string | undefined;
    do {
      const page: Page<Session> = await this.#parts.store.run('listSessions', { ...of, from, limit: PER_SECOND });
      for (const session of page.items) {
        if (this.#stopping) return done;
        await work(session);
        done += 1;
      }
      from = page.next;
      if (from !== undefined) await new Promise<void>((resolve) => this.#parts.host.after(1_000, resolve));
    } while (from !== undefined && !this.#stopping);
    return done;
  }
}
