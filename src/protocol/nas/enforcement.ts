import { DeadlineQueue } from '../bytes/deadline-queue.js';
import { checkName } from '../mip6/names.js';
import type { PaaSessionInput } from '../pana/session/paa-interface.js';
import type { Client } from './clients.js';
import { type StepContext, say, subjectOf, type Tokens } from './step-context.js';

/** With `wait`: how long a client is permitted before its PAN[C] has proven that it has the key, in milliseconds. */
export const PROVISIONAL = 10_000;

/**
 * How long the answer to a client that has come waits for its permit, in milliseconds: less than the client waits before
 * it asks again. Its first packets are then not lost.
 */
export const WELCOME_WAIT = 500;

type Success = Extract<PaaSessionInput, { type: 'eapSuccess' }>;

/** What the session gets when its client is permitted: the success, or the answer to a client that has come. */
type Held = Success | Extract<PaaSessionInput, { type: 'welcome' }>;

interface HeldInput {
  readonly client: Client;
  readonly input: Held;
}

/**
 * Decides which clients the enforcement point permits. With `hooks.wait` it holds a success back until the client is
 * permitted, so that the client's first packets are not lost.
 */
export class Enforcement {
  readonly #tokens: Tokens;
  /** Successes that wait for `permitted`, by token, and their time limits. */
  readonly #held = new Map<number, HeldInput>();
  readonly #until = new DeadlineQueue<number>();

  constructor(tokens: Tokens) {
    this.#tokens = tokens;
  }

  get deadline(): number | undefined {
    return this.#until.first;
  }

  /** Takes the success of a client and passes it to the session, immediately or later. */
  succeed(context: StepContext, client: Client, success: Success): void {
    const { enforcement } = context.config;
    if (!enforcement || enforcement.wait === 0 || client.permitted || client.preAuthenticated) {
      context.next.push({ type: 'session', sessionId: client.panaSession, input: success });
      return;
    }
    const { lifetime = PROVISIONAL } = success.grant;
    this.#hold(context, client, success, enforcement.wait, Math.min(lifetime, PROVISIONAL));
  }

  /** Permits a pre-authenticated client that has come, and then has its message answered (RFC 5873 3). */
  welcome(context: StepContext, client: Client): void {
    const input = { type: 'welcome' } as const;
    const { enforcement } = context.config;
    const lifetime = permitLifetime(context, client);
    if (enforcement) this.#hold(context, client, input, Math.max(enforcement.wait, WELCOME_WAIT), lifetime);
    else context.next.push({ type: 'session', sessionId: client.panaSession, input });
  }

  #hold(context: StepContext, client: Client, input: Held, wait: number, lifetime: number | undefined): void {
    const token = this.#tokens.next();
    client.waitsForPermit = token;
    this.#held.set(token, { client, input });
    this.#until.set(token, context.now + wait);
    this.#admit(context, client, lifetime, token);
  }

  /** Passes a held success to the session, because `permitted` has arrived or the time limit has passed. */
  release(context: StepContext, token: number): void {
    const held = this.#take(token);
    if (!held) return;
    held.client.waitsForPermit = undefined;
    context.next.push({ type: 'session', sessionId: held.client.panaSession, input: held.input });
  }

  tick(context: StepContext): void {
    for (let token = this.#until.due(context.now); token !== undefined; token = this.#until.due(context.now)) {
      this.release(context, token);
    }
  }

  /** Permits a client for the lifetime of its session plus a margin, because its PAN[C] has arrived. */
  admit(context: StepContext, client: Client): void {
    this.#admit(context, client, permitLifetime(context, client), undefined);
  }

  move(context: StepContext, { panaSession: sessionId, peer, barred, preAuthenticated }: Client): void {
    if (!context.config.enforcement || barred || preAuthenticated) return;
    context.out.push({ type: 'move', sessionId, address: peer.address, relay: peer.relay?.address });
  }

  /**
   * Revokes the permit of a client whose session is being terminated by this side. Not RFC: RFC 5609 closes the enforcement
   * point when the PTA arrives. A client that does not answer would pass until the last PTR has been sent, for minutes.
   */
  bar(context: StepContext, client: Client): void {
    // A success that waits for its permit is discarded when the session ends.
    if (client.waitsForPermit !== undefined || !client.permitted || client.barred) return;
    client.barred = true;
    say(context, { type: 'terminating', ...subjectOf(client) });
    if (context.config.enforcement) context.out.push({ type: 'expel', sessionId: client.panaSession });
  }

  /** Revokes the permit of a client whose session has ended. */
  expel(context: StepContext, client: Client): void {
    const held = client.waitsForPermit === undefined ? undefined : this.#take(client.waitsForPermit);
    if (held?.input.type === 'eapSuccess') held.input.msk?.wipe();
    if (context.config.enforcement && !client.barred && !client.preAuthenticated) {
      context.out.push({ type: 'expel', sessionId: client.panaSession });
    }
  }

  #take(token: number): HeldInput | undefined {
    const held = this.#held.get(token);
    this.#held.delete(token);
    this.#until.set(token, undefined);
    return held;
  }

  #admit(context: StepContext, client: Client, lifetime: number | undefined, token: number | undefined): void {
    client.permitted = true;
    if (!context.config.enforcement) return;
    const { panaSession: sessionId, granted, peer } = client;
    // A user name that is not safe for a hook is omitted; the client is permitted nevertheless.
    const userName = granted && checkName(granted.userName) === undefined ? granted.userName : undefined;
    context.out.push({
      type: 'admit',
      token,
      sessionId,
      userName,
      address: peer.address,
      relay: peer.relay?.address,
      lifetime,
    });
  }
}

/** The lifetime of the session plus a margin; undefined: no limit. */
function permitLifetime({ config }: StepContext, { granted }: Client): number | undefined {
  const lifetime = granted?.grant.lifetime;
  return lifetime === undefined ? undefined : lifetime + config.paa.lifetimeGrace;
}
