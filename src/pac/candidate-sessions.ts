import {
  Candidates,
  type CandidatesConfig,
  type CandidatesInput,
  type CandidatesOutput,
} from '../protocol/attachment/candidates.js';
import { paasByLink } from '../protocol/attachment/care-of-address.js';
import { Drbg } from '../protocol/bytes/drbg.js';
import type { PacAuthorized } from '../protocol/pana/session/pac-interface.js';
import type { Logger } from '../runtime/log/events.js';
import { sessionText } from '../runtime/log/pana-fields.js';
import type { Barrier } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';
import { Driver } from '../runtime/system/driver.js';
import type { Attempt } from './attempt.js';
import type { AttemptEvent } from './attempt-interface.js';
import type { PacOptions } from './options.js';
import type { PacSurroundings } from './surroundings.js';

export interface CandidateTools {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly barrier: Barrier;
  readonly surroundings: PacSurroundings;
  readonly homeAddresses: () => ReadonlySet<string>;
  /** Opens a socket to a PAA for a pre-authentication. */
  readonly open: (paa: string, onEvent: (event: AttemptEvent) => void) => Promise<Attempt>;
  /** Terminates a session; resolves when it has ended. */
  readonly terminate: (attempt: Attempt) => Promise<void>;
}

/** A PAA to which the node may move, for display. */
export interface CandidateStatus {
  readonly paa: string;
  readonly state: string;
  readonly session: string | undefined;
}

/** Drives the machine of the PAAs to which the node may move, and keeps its sessions with them (RFC 5873). */
export class CandidateSessions {
  readonly #tools: CandidateTools;
  readonly #machine: Candidates;
  readonly #driver: Driver<CandidatesInput, CandidatesOutput>;
  readonly #attempts = new Map<number, Attempt>();
  /** Sessions whose socket is being opened, and those that are not wanted any more. */
  readonly #pending = new Set<number>();
  #access: string | undefined;
  #isStopped = false;

  constructor(options: PacOptions, tools: CandidateTools) {
    const { host } = tools.surroundings;
    this.#tools = tools;
    this.#access = options.pana.interface;
    this.#machine = new Candidates(configOf(options), new Drbg(host.random(32)));
    this.#driver = new Driver<CandidatesInput, CandidatesOutput>(
      this.#machine,
      (output) => this.#perform(output),
      host,
      (error) => tools.barrier.fault('timer', error),
    );
  }

  /** Number of PAAs with which the node is pre-authenticated. */
  get size(): number {
    return [...this.#machine.list()].filter(({ isAuthenticated }) => isAuthenticated).length;
  }

  configure(options: PacOptions): void {
    this.#access = options.pana.interface;
    this.#driver.feed({ type: 'configure', config: configOf(options) });
  }

  /** The node may move to this PAA. */
  name(paa: string): void {
    this.#driver.feed({ type: 'named', paa });
  }

  /** The node has a session with this PAA. The others learn its address, if it has another one. */
  served(paa: string): void {
    this.#driver.feed({ type: 'served', paa });
    for (const [session, attempt] of this.#attempts) this.#inBackground(this.#follow(session, attempt));
  }

  /** The PAAs with which the node is pre-authenticated, and on whose link it is now. */
  async here(): Promise<readonly string[]> {
    const paas = [...this.#machine.list()].flatMap(({ paa, isAuthenticated }) => (isAuthenticated ? [paa] : []));
    if (paas.length === 0) return [];
    const { surroundings, homeAddresses } = this.#tools;
    const link = { interface: this.#access, homeAddresses: homeAddresses() };
    return paasByLink(paas, await surroundings.readAddresses(), link).onLink;
  }

  /** The pre-authenticated session with this PAA, to which the node goes. The caller owns it. */
  take(paa: string): Attempt | undefined {
    const session = this.#machine.ready(paa);
    const attempt = session === undefined ? undefined : this.#attempts.get(session);
    if (session === undefined || !attempt) return undefined;
    this.#attempts.delete(session);
    this.#driver.feed({ type: 'taken', session });
    return attempt;
  }

  status(): readonly CandidateStatus[] {
    return [...this.#machine.list()].map(({ paa, session, isAuthenticated }) => {
      const attempt = session === undefined ? undefined : this.#attempts.get(session);
      const state = isAuthenticated ? 'PRE_AUTHENTICATED' : (attempt?.state ?? 'waiting');
      const id = attempt?.sessionId;
      return { paa, state, session: id === undefined ? undefined : sessionText(id) };
    });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#driver.stop();
    const all = [...this.#attempts.values()];
    this.#attempts.clear();
    await Promise.all(all.map((attempt) => this.#end(attempt)));
  }

  #perform(output: CandidatesOutput): void {
    const { session } = output;
    if (output.type === 'open') {
      this.#pending.add(session);
      this.#inBackground(this.#open(session, output.paa));
      return;
    }
    this.#pending.delete(session);
    const attempt = this.#attempts.get(session);
    this.#attempts.delete(session);
    if (attempt) this.#inBackground(this.#end(attempt));
  }

  /** A session without a key has no PTR. */
  #end(attempt: Attempt): Promise<void> {
    return attempt.authorized ? this.#tools.terminate(attempt) : attempt.close();
  }

  async #open(session: number, paa: string): Promise<void> {
    const { log, open } = this.#tools;
    let attempt: Attempt;
    try {
      attempt = await open(paa, (event) => this.#happened(session, event));
    } catch (error) {
      this.#pending.delete(session);
      log.debug({ address: paa, reason: (error as NodeJS.ErrnoException).code ?? String(error) }, 'PAA unreachable');
      this.#driver.feed({ type: 'closed', session });
      return;
    }
    if (this.#isStopped || !this.#pending.delete(session)) {
      await attempt.close();
      return;
    }
    this.#attempts.set(session, attempt);
    attempt.begin();
  }

  #happened(session: number, event: AttemptEvent): void {
    const attempt = this.#attempts.get(session);
    if (!attempt) return;
    if (event.type === 'authorized') this.#authenticated(session, attempt, event);
    if (event.type === 'closed') this.#closed(session, attempt, event.cause);
  }

  #authenticated(session: number, attempt: Attempt, event: PacAuthorized): void {
    const { log, metrics, surroundings } = this.#tools;
    const { lifetime, algorithms } = event;
    this.#driver.feed({ type: 'authenticated', session });
    if (event.reauthentication) return;
    metrics.count('sessions', { result: 'pre-authenticated' });
    log.info(
      {
        session: sessionText(event.sessionId),
        address: attempt.paa,
        lifetime: lifetime === undefined ? undefined : Math.round(lifetime / 1000),
        duration: Math.round(surroundings.host.monotonic() - attempt.startedAt),
        encryption: algorithms?.encryption?.name ?? 'none',
      },
      'session pre-authenticated',
    );
  }

  #closed(session: number, attempt: Attempt, cause: string): void {
    const { log, metrics } = this.#tools;
    this.#attempts.delete(session);
    this.#driver.feed({ type: 'closed', session });
    const fields = { address: attempt.paa, preAuthenticated: true };
    if (attempt.authorized) log.info({ ...fields, reason: cause }, 'session ended');
    else {
      const reason = attempt.isUnsupported ? 'pre-authentication-refused' : cause;
      metrics.count('sessions', { result: 'pre-authentication-failed' });
      log.warn({ ...fields, reason }, 'session refused');
    }
    this.#inBackground(attempt.close());
  }

  /** Continues a session from the address that the node has now; one that is being made starts again. */
  async #follow(session: number, attempt: Attempt): Promise<void> {
    const isThere = await attempt.isAtSource().catch(() => false);
    if (isThere || this.#attempts.get(session) !== attempt) return;
    if (attempt.authorized) {
      const isMoved = await attempt.move().then(
        () => true,
        () => false,
      );
      if (isMoved || this.#attempts.get(session) !== attempt) return;
    }
    this.#attempts.delete(session);
    this.#driver.feed({ type: 'closed', session });
    await attempt.close();
  }

  #inBackground(going: Promise<unknown>): void {
    void this.#tools.barrier.settle('timer', going);
  }
}

function configOf({ pana, retry }: PacOptions): CandidatesConfig {
  return { paas: pana.candidates, first: retry.first, longest: retry.longest };
}
