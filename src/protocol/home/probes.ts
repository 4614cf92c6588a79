import type { StoreCall, Stored, Token } from './alphabet.js';
import type { HomeAgent } from './records.js';

/** Maximum number of home agents that are probed at the same time. */
export const PARALLEL = 16;

/** Number of intervals for which the result of another server's probe is trusted. */
const TRUST = 3;

export interface ProbesConfig {
  /** Milliseconds between the starts of two rounds. */
  readonly interval: number;
  /** Consecutive failures after which a home agent counts as dead. */
  readonly failures: number;
  /** The configured time limit of a probe in milliseconds, which may grow. */
  readonly timeout: number;
  /** Name of this server. It does not override a result of another server while that one is trusted (see TRUST). */
  readonly host: string;
}

/** Store operations for probes. */
export interface ProbeOperations {
  readonly listHomeAgents: readonly [given: Readonly<Record<string, never>>, result: readonly HomeAgent[]];
  /** Returns the agent if its state has changed. */
  readonly probedHomeAgent: readonly [
    given: { readonly name: string; readonly alive: boolean; readonly by: string; readonly trust: number },
    result: HomeAgent | undefined,
  ];
}

export type ProbeOutcome =
  | { readonly ok: true }
  /** `milliseconds`: how long the probe took, or the time limit that ended it. */
  | { readonly ok: false; readonly reason: string; readonly milliseconds: number };

export type ProbesInput =
  | { readonly type: 'start' }
  | { readonly type: 'stored'; readonly token: Token; readonly stored: Stored<ProbeOperations> }
  /** Answers `probe`. */
  | { readonly type: 'probed'; readonly token: Token; readonly outcome: ProbeOutcome }
  | { readonly type: 'tick' };

export type ProbesOutput =
  | { readonly type: 'store'; readonly token: Token; readonly call: StoreCall<ProbeOperations> }
  | { readonly type: 'probe'; readonly token: Token; readonly agent: HomeAgent }
  /** `failed`: number of consecutive failures, including this one. */
  | { readonly type: 'result'; readonly agent: HomeAgent; readonly outcome: ProbeOutcome; readonly failed: number }
  | { readonly type: 'alive'; readonly agent: HomeAgent }
  | { readonly type: 'dead'; readonly agent: HomeAgent; readonly reason: string; readonly failed: number }
  | { readonly type: 'failed'; readonly reason: string };

/** Context of an answer. */
type Question =
  | { readonly of: 'list' }
  | { readonly of: 'probe'; readonly agent: HomeAgent }
  | { readonly of: 'verdict'; readonly agent: HomeAgent; readonly outcome: ProbeOutcome; readonly failed: number };

type State =
  | { readonly name: 'IDLE' }
  /** `waiting`: agents that have not been probed in this round. */
  | { readonly name: 'ROUND'; readonly nextAt: number; readonly waiting: HomeAgent[]; isListed: boolean }
  /** All have been probed, but some may not have answered. */
  | { readonly name: 'PAUSE'; readonly until: number };

/**
 * Probes all home agents periodically, a limited number at a time, and stores the results. A probe that takes longer than
 * the interval does not delay those of other home agents.
 */
export class Probes {
  readonly #config: ProbesConfig;
  readonly #questions = new Map<Token, Question>();
  /** Consecutive failures by name of the agent. */
  readonly #failures = new Map<string, number>();
  #state: State = { name: 'IDLE' };
  #last = 0;

  constructor(config: ProbesConfig) {
    this.#config = config;
  }

  get deadline(): number | undefined {
    return this.#state.name === 'PAUSE' ? this.#state.until : undefined;
  }

  handle(input: ProbesInput, now: number): ProbesOutput[] {
    const state = this.#state;
    switch (input.type) {
      case 'start':
        return state.name === 'IDLE' ? [this.#begin(now)] : [];
      case 'tick':
        return state.name === 'PAUSE' && state.until <= now ? [this.#begin(now)] : [];
      case 'stored':
      case 'probed': {
        const question = this.#questions.get(input.token);
        this.#questions.delete(input.token);
        if (!question) return [];
        const outputs =
          input.type === 'probed' ? this.#probed(question, input.outcome) : this.#stored(question, input.stored);
        return [...outputs, ...this.#goOn(now)];
      }
    }
  }

  #begin(now: number): ProbesOutput {
    this.#state = { name: 'ROUND', nextAt: now + this.#config.interval, waiting: [], isListed: false };
    const token = this.#ask({ of: 'list' });
    return { type: 'store', token, call: { operation: 'listHomeAgents', given: {} } };
  }

  #ask(question: Question): Token {
    this.#last += 1;
    this.#questions.set(this.#last, question);
    return this.#last;
  }

  #stored(question: Question, stored: Stored<ProbeOperations>): ProbesOutput[] {
    if (question.of === 'list' && this.#state.name === 'ROUND') this.#state.isListed = true;
    // A failed query for one agent does not affect the others.
    if (stored.operation === 'failed') return [{ type: 'failed', reason: stored.reason }];
    if (stored.operation === 'listHomeAgents') {
      this.#listed(stored.result);
      return [];
    }
    const { result: agent } = stored;
    if (question.of !== 'verdict' || !agent) return [];
    const { outcome, failed } = question;
    return [outcome.ok ? { type: 'alive', agent } : { type: 'dead', agent, reason: outcome.reason, failed }];
  }

  /** Agents that the operator has taken down are not probed. */
  #listed(agents: readonly HomeAgent[]): void {
    const asked = agents.filter(({ state }) => state !== 'down');
    const names = new Set(asked.map(({ name }) => name));
    for (const name of this.#failures.keys()) if (!names.has(name)) this.#failures.delete(name);
    const busy = new Set<string>();
    for (const question of this.#questions.values()) if (question.of !== 'list') busy.add(question.agent.name);
    if (this.#state.name === 'ROUND') this.#state.waiting.push(...asked.filter(({ name }) => !busy.has(name)));
  }

  #probed(question: Question, outcome: ProbeOutcome): ProbesOutput[] {
    if (question.of !== 'probe') return [];
    const { agent } = question;
    const { name } = agent;
    const { interval, failures, timeout, host } = this.#config;
    // A probe whose time limit has grown counts as several, so that a home agent is found dead after the same time.
    const weight = outcome.ok ? 0 : Math.max(1, Math.floor(outcome.milliseconds / timeout));
    const failed = outcome.ok ? 0 : (this.#failures.get(name) ?? 0) + weight;
    this.#failures.set(name, failed);
    const result = { type: 'result', agent, outcome, failed } as const;
    if (!outcome.ok && failed < failures) return [result];
    const token = this.#ask({ of: 'verdict', agent, outcome, failed });
    const given = { name, alive: outcome.ok, by: host, trust: TRUST * interval };
    return [result, { type: 'store', token, call: { operation: 'probedHomeAgent', given } }];
  }

  /** Probes more agents; when none is left, waits for the next round. */
  #goOn(now: number): ProbesOutput[] {
    const state = this.#state;
    if (state.name !== 'ROUND') return [];
    const outputs: ProbesOutput[] = [];
    while (this.#questions.size < PARALLEL) {
      const agent = state.waiting.shift();
      if (!agent) break;
      outputs.push({ type: 'probe', token: this.#ask({ of: 'probe', agent }), agent });
    }
    if (state.isListed && state.waiting.length === 0)
      this.#state = { name: 'PAUSE', until: Math.max(now, state.nextAt) };
    return outputs;
  }
}
