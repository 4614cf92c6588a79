import { DeadlineQueue } from '../bytes/deadline-queue.js';
import { checkName } from '../mip6/names.js';
import type { PaaSessionInput } from '../pana/session/paa-session.js';
import type { Client } from './clients.js';
import type { Tokens, Turn } from './turn.js';

/** With `wait`: how long a client is permitted before its PAN[C] has proven that it has the key, in milliseconds. */
export const PROVISIONAL = 10_000;

type Success = Extract<PaaSessionInput, { type: 'eapSuccess' }>;

interface Held {
  readonly client: Client;
  readonly success: Success;
}

/**
 * Decides which clients the enforcement point permits. With `hooks.wait` it holds a success back until the client is
 * permitted, so that the client's first packets are not lost.
 */
export class Gate {
  readonly #tokens: Tokens;
  /** Successes that wait for `permitted`, by token, and their time limits. */
  readonly #held = new Map<number, Held>();
  readonly #until = new DeadlineQueue<number>();

  constructor(tokens: Tokens) {
    this.#tokens = tokens;
  }

  get deadline(): number | undefined {
    return this.#until.first;
  }

  /** Takes the success of a client and passes it to the session, immediately or later. */
  succeed(turn: Turn, client: Client, success: Success): void {
    const { enforcement } = turn.config;
    if (!enforcement || enforcement.wait === 0 || client.permitted) {
      turn.next.push({ type: 'session', sessionId: client.panaSession, input: success });
      return;
    }
    const token = this.#tokens.next();
    client.waitsForPermit = token;
    this.#held.set(token, { client, success });
    this.#until.set(token, turn.now + enforcement.wait);
    const { lifetime = PROVISIONAL } = success.grant;
    this.#admit(turn, client, Math.min(lifetime, PROVISIONAL), token);
  }

  /** The enforcement point was told, or the time limit has passed. */
  release(turn: Turn, token: number): void {
    const held = this.#take(token);
    if (!held) return;
    held.client.waitsForPermit = undefined;
    turn.next.push({ type: 'session', sessionId: held.client.panaSession, input: held.success });
  }

  tick(turn: Turn): void {
    for (let token = this.#until.due(turn.now); token !== undefined; token = this.#until.due(turn.now)) {
      this.release(turn, token);
    }
  }

  /** PAN[C] has arrived: permits the client for the lifetime of its session plus a margin. */
  admit(turn: Turn, client: Client): void {
    const lifetime = client.granted?.grant.lifetime;
    const { lifetimeGrace } = turn.config.paa;
    this.#admit(turn, client, lifetime === undefined ? undefined : lifetime + lifetimeGrace, undefined);
  }

  move(turn: Turn, { panaSession: sessionId, peer }: Client): void {
    if (turn.config.enforcement) turn.out.push({ type: 'move', sessionId, address: peer.address });
  }

  /** The session has ended. */
  expel(turn: Turn, client: Client): void {
    const held = client.waitsForPermit === undefined ? undefined : this.#take(client.waitsForPermit);
    held?.success.msk?.wipe();
    if (turn.config.enforcement) turn.out.push({ type: 'expel', sessionId: client.panaSession });
  }

  #take(token: number): Held | undefined {
    const held = this.#held.get(token);
    this.#held.delete(token);
    this.#until.set(token, undefined);
    return held;
  }

  #admit(turn: Turn, client: Client, lifetime: number | undefined, token: number | undefined): void {
    client.permitted = true;
    if (!turn.config.enforcement) return;
    const { panaSession: sessionId, granted, peer } = client;
    // A user name that must not be passed to a hook must not keep the user out.
    const userName = granted && checkName(granted.userName) === undefined ? granted.userName : undefined;
    turn.out.push({ type: 'admit', token, sessionId, userName, address: peer.address, lifetime });
  }
}
