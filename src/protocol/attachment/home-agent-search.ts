import { equalOctets } from '../bytes/octets.js';
import type { FoundAgent } from './found-agents.js';

/** How long what was found holds if its source does not say so, and the limits of what the source may say, in milliseconds. */
export const DEFAULT_HELD = 300_000;
export const MIN_HELD = 60_000;
export const MAX_HELD = 86_400_000;

/** All times in milliseconds. */
export interface SearchConfig {
  /** How long no PAA must have answered before the first search. */
  readonly after: number;
  /** Wait after a search that failed. It doubles with each failure up to the longest. */
  readonly first: number;
  readonly longest: number;
  /** Whether the node also searches while it has a session with a PAA. */
  readonly whileAttached: boolean;
  /** How long what was found holds; undefined: as its source says. */
  readonly held?: number;
}

export type SearchInput =
  | { readonly type: 'start' }
  /** The node has a session with a PAA, or none any more. */
  | { readonly type: 'attached' }
  | { readonly type: 'detached' }
  /** A PAA has answered, so that access is not free. */
  | { readonly type: 'heard' }
  | { readonly type: 'networkChanged' }
  /** Answers `search`. `held`: how long this holds, if the source says so. */
  | {
      readonly type: 'found';
      readonly token: number;
      readonly agents: readonly FoundAgent[];
      readonly held?: number | undefined;
    }
  | { readonly type: 'failed'; readonly token: number; readonly reason: string }
  | { readonly type: 'tick' };

export type SearchOutput =
  | { readonly type: 'search'; readonly token: number }
  /** Use this home agent. Repeated with each answer, because an assignment by PANA may have ended meanwhile. */
  | { readonly type: 'use'; readonly agent: FoundAgent }
  /** The source does not name any home agent any more. */
  | { readonly type: 'lost' }
  /** Reported once in a row of failures. */
  | { readonly type: 'unavailable'; readonly reason: string };

type State =
  | { readonly name: 'IDLE' }
  | { readonly name: 'WAITING'; readonly at: number }
  | { readonly name: 'SEARCHING'; readonly token: number };

/**
 * Decides when a node looks for a home agent outside PANA: by DNS (RFC 5026) where no PAA answers, or in what a DHCPv6
 * client received (RFC 6610).
 */
export class HomeAgentSearch {
  readonly #config: SearchConfig;
  #state: State = { name: 'IDLE' };
  #failures = 0;
  #lastToken = 0;
  /** The home agent in use. */
  #agent: FoundAgent | undefined;

  constructor(config: SearchConfig) {
    this.#config = config;
  }

  get deadline(): number | undefined {
    return this.#state.name === 'WAITING' ? this.#state.at : undefined;
  }

  //   State      Input                           | Outputs            | Next
  //   any        start, detached, heard          |                    | WAITING for `after`
  //   any        attached                        |                    | IDLE; unchanged if it searches then, too
  //   WAITING    tick                            | search             | SEARCHING
  //   SEARCHING  found                           | use                | WAITING while it holds
  //   SEARCHING  found, none; failed             | unavailable, lost  | WAITING, longer each time
  //   not IDLE   networkChanged                  |                    | WAITING for `after`
  handle(input: SearchInput, now: number): SearchOutput[] {
    const { after, whileAttached } = this.#config;
    switch (input.type) {
      case 'attached':
        if (whileAttached) return [];
        this.#state = { name: 'IDLE' };
        this.#agent = undefined;
        return [];
      case 'start':
      case 'detached':
        return this.#restart(now + after);
      case 'heard':
        return whileAttached || this.#state.name === 'IDLE' ? [] : this.#restart(now + after);
      case 'networkChanged':
        return this.#state.name === 'IDLE' ? [] : this.#restart(now + after);
      case 'tick':
        if (this.#state.name !== 'WAITING' || now < this.#state.at) return [];
        this.#lastToken += 1;
        this.#state = { name: 'SEARCHING', token: this.#lastToken };
        return [{ type: 'search', token: this.#lastToken }];
      case 'found':
        if (!this.#isAwaited(input.token)) return [];
        return input.agents.length > 0 ? this.#found(input, now) : this.#failed('no home agent is named', true, now);
      case 'failed':
        return this.#isAwaited(input.token) ? this.#failed(input.reason, whileAttached, now) : [];
    }
  }

  #restart(at: number): SearchOutput[] {
    this.#failures = 0;
    this.#state = { name: 'WAITING', at };
    return [];
  }

  #isAwaited(token: number): boolean {
    return this.#state.name === 'SEARCHING' && this.#state.token === token;
  }

  #found({ agents, held = DEFAULT_HELD }: Extract<SearchInput, { type: 'found' }>, now: number): SearchOutput[] {
    const wait = this.#config.held ?? Math.min(MAX_HELD, Math.max(MIN_HELD, held));
    this.#restart(now + wait);
    const current = this.#agent;
    // The node stays with its home agent, whatever order the answer has this time.
    this.#agent = (current && agents.find((agent) => isSame(agent, current))) ?? agents[0];
    return this.#agent ? [{ type: 'use', agent: this.#agent }] : [];
  }

  /** `ends`: the home agent in use is not named any more. A server that does not answer ends nothing. */
  #failed(reason: string, ends: boolean, now: number): SearchOutput[] {
    const { first, longest } = this.#config;
    this.#state = { name: 'WAITING', at: now + Math.min(longest, first * 2 ** Math.min(this.#failures, 20)) };
    this.#failures += 1;
    const out: SearchOutput[] = this.#failures === 1 ? [{ type: 'unavailable', reason }] : [];
    if (!ends || !this.#agent) return out;
    this.#agent = undefined;
    return [...out, { type: 'lost' }];
  }
}

function isSame(one: FoundAgent, other: FoundAgent): boolean {
  return equalOctets(one.address, other.address);
}
