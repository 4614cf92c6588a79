import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EapSuccess, EapVerdict, HomeInput, HomeOutput, Token } from '../../../src/protocol/home/alphabet.js';
import type { BootstrapResult, Lease } from '../../../src/protocol/home/records.js';
import { plainSubscriber } from '../../../src/protocol/home/records.js';
import { patience, runs } from '../../seed.js';
import {
  FAILURE,
  HOME_WISH,
  HomeRig,
  home,
  IKE_WISH,
  leaseOf,
  NAI,
  NONE,
  OTHER_PAA,
  PAA,
  REQUEST,
  RESPONSE,
  sessionOf,
} from './home-rig.js';

const LIMIT = 6;
/** The last three are sessions of home agents. */
const SESSIONS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'ha1', 'ha2', 'ha3'];
const isAtHomeAgent = (sessionId: string | undefined) => sessionId?.startsWith('ha') === true;

/** The surroundings of the machine: performs any permitted action, in random order, and checks the outputs. */
class Chaos {
  readonly rig = new HomeRig({ conversations: LIMIT, failures: 3, roundTimeout: 20_000 });
  readonly #choices: Iterator<number>;
  /** Tokens of requests, demands, flights and decisions that wait for an output. */
  readonly due = {
    answer: new Set<Token>(),
    done: new Set<Token>(),
    turn: new Set<Token>(),
    authorization: new Set<Token>(),
  };
  readonly #eap: Extract<HomeOutput, { type: 'eap' }>[] = [];
  readonly #hooks: Token[] = [];
  readonly #demands: Token[] = [];
  readonly #flying: Token[] = [];
  readonly #unneeded = new Set<Token>();
  readonly open = new Set<Token>();
  /** Content of the store: the leases, and for each session the number of writes that no answer has promised yet. */
  readonly #written = new Map<string, number>();
  readonly #leases = new Set<Lease>();
  readonly successes = new Map<Token, EapSuccess>();
  readonly accepted = new Set<Token>();
  readonly #sessionOf = new Map<Token, string>();

  constructor(choices: Iterable<number>) {
    this.#choices = choices[Symbol.iterator]();
  }

  /** A random number below `bound`; 0 once the choices are used up. */
  pick(bound: number): number {
    const { value, done } = this.#choices.next();
    return done ? 0 : value % bound;
  }

  #of<T>(items: readonly T[]): T {
    return items[this.pick(items.length)] as T;
  }

  #takeOne<T>(items: T[]): T | undefined {
    return items.splice(this.pick(Math.max(1, items.length)), 1)[0];
  }

  feed(input: HomeInput): void {
    this.#check(this.rig.feed(input));
  }

  advance(milliseconds: number): void {
    this.#check(this.rig.advance(milliseconds));
  }

  #check(outputs: readonly HomeOutput[]): void {
    for (const output of outputs) this.#take(output);
    expect(this.rig.machine.conversations).toBeLessThanOrEqual(LIMIT);
    expect(this.rig.machine.conversations).toBe(this.open.size);
    expect(this.#flying.length).toBeLessThanOrEqual(2);
  }

  #take(output: HomeOutput): void {
    switch (output.type) {
      case 'fault':
        throw output.error;
      case 'answer': {
        expect(this.due.answer.delete(output.token)).toBe(true);
        const { answer } = output;
        if (answer.type !== 'accept') break;
        this.accepted.add(output.token);
        // What an answer promises must already be stored.
        this.#write(this.#sessionOf.get(output.token) ?? '', -1);
        const { mobility } = answer.accepted;
        if (mobility?.kind === 'home') expect(this.#leases.has(mobility.lease)).toBe(true);
        // A home agent never admits a node without its home address.
        if (isAtHomeAgent(this.#sessionOf.get(output.token)))
          expect(mobility).toMatchObject({ kind: 'home', byIke: false });
        break;
      }
      case 'done':
        expect(this.due.done.delete(output.token)).toBe(true);
        break;
      case 'turn':
        expect(this.due.turn.delete(output.token)).toBe(true);
        // A conversation that has ended gets its turn at once and does not use the engine.
        if (output.granted && !this.#unneeded.has(output.token)) this.#flying.push(output.token);
        break;
      case 'authorization':
        expect(this.due.authorization.delete(output.token)).toBe(true);
        break;
      case 'open':
        this.open.add(output.conversation);
        break;
      case 'close':
        expect(this.open.delete(output.conversation)).toBe(true);
        break;
      case 'eap':
        this.#eap.push(output);
        break;
      case 'hook':
        if (output.event !== 'down') expect(this.#leases.has(output.lease)).toBe(true);
        if (output.token !== undefined) this.#hooks.push(output.token);
        output.key?.psk.wipe();
        break;
      case 'sendDemand':
        this.#demands.push(output.token);
        break;
      default:
    }
  }

  /** Counts the writes of a session that no answer has promised yet. */
  #write(sessionId: string, by: 1 | -1): void {
    const written = (this.#written.get(sessionId) ?? 0) + by;
    expect(written).toBeGreaterThanOrEqual(0);
    this.#written.set(sessionId, written);
  }

  /** Performs one random action. */
  step(): void {
    const actions = [
      () => this.#request(),
      () => this.#request(),
      () => this.#request(),
      () => this.#answerEap(),
      () => this.#answerEap(),
      () => this.#answerStore(),
      () => this.#answerStore(),
      () => this.#endHook(),
      () => this.#answerDemand(),
      () => this.#fly(),
      () => this.#land(),
      () => this.#prove(),
      () => this.#terminate(),
      () => this.#demand(),
      () => this.feed({ type: 'peerOpen', origin: this.#of([PAA, OTHER_PAA]), originState: this.pick(4) }),
      () => this.feed({ type: 'forget' }),
      () => this.advance(this.#of([0, 1, 499, 500, 5_000, 20_000])),
    ];
    this.#of(actions)();
  }

  /** Answers everything that waits, then lets silent conversations expire. */
  rest(): void {
    for (let i = 0; i < 10_000 && this.#isBusy; i += 1) {
      this.#answerEap();
      this.#answerStore();
      this.#endHook();
      this.#answerDemand();
      this.#land();
    }
    this.advance(600_000);
  }

  get #isBusy(): boolean {
    const { questions } = this.rig;
    return [this.#eap, questions, this.#hooks, this.#demands, this.#flying].some(({ length }) => length > 0);
  }

  #request(): void {
    const sessionId = this.#of(SESSIONS);
    const origin = this.pick(5) === 0 ? OTHER_PAA : PAA;
    const wish = this.#of([HOME_WISH, IKE_WISH, undefined, undefined]);
    const more = { origin, peer: origin, originState: this.pick(4), wish };
    const token = this.rig.token();
    const user = this.#of([NAI, 'other@home.example']);
    const homeAgent = isAtHomeAgent(sessionId) ? { name: 'ha1', user } : undefined;
    this.due.answer.add(token);
    this.#sessionOf.set(token, sessionId);
    const request = {
      sessionId,
      originRealm: undefined,
      connected: undefined,
      callingStation: `2001:db8::${this.pick(3)}`,
      packet: this.pick(3) ? Uint8Array.of(2, 0, 0, 5, 1) : RESPONSE,
      mtu: undefined,
      homeAgent,
      ...more,
    };
    this.feed({ type: 'request', token, request });
  }

  #answerEap(): void {
    const asked = this.#takeOne(this.#eap);
    if (!asked) return;
    const { token } = asked;
    const success = () => {
      const sessions = this.#of(['one', 'replace'] as const);
      const ikev2HomeAddress = this.pick(2) === 1;
      const more = {
        subscriber: { ...plainSubscriber(NAI), sessions, ikev2HomeAddress },
        hooksBehind: this.pick(4) === 1,
      };
      const made = this.rig.success(more);
      this.successes.set(token, made);
      return made;
    };
    const verdicts: (() => EapVerdict)[] = [
      () => ({ type: 'request', packet: REQUEST }),
      success,
      () => ({ type: 'invalid', packet: REQUEST, reason: '' }),
      () => ({ type: 'invalid', packet: undefined, reason: '' }),
      () => ({ type: 'failure', packet: FAILURE, reason: 'tls-alert', detail: '', identity: undefined }),
      () => ({ type: 'busy' }),
    ];
    this.feed({ type: 'verdict', token, verdict: this.#of(verdicts)() });
  }

  #answerStore(): void {
    const question = this.#takeOne(this.rig.questions);
    if (!question) return;
    const { token, call } = question;
    if (this.pick(6) === 1) {
      const stored = { operation: 'failed', reason: 'lost', full: this.pick(2) === 1 } as const;
      // A session that is not stored can get access without Mobile IPv6.
      if (call.operation === 'bootstrap') this.#write(call.given.sessionId, 1);
      this.feed({ type: 'stored', token, stored });
      return;
    }
    this.feed({ type: 'stored', token, stored: { operation: call.operation, result: this.#result(call) } as never });
  }

  #result(call: Extract<HomeOutput, { type: 'store' }>['call']): unknown {
    switch (call.operation) {
      case 'findSubscriber':
        return this.pick(3) ? { subscriber: plainSubscriber(NAI) } : { refusal: 'disabled' };
      case 'originOfSession':
        return this.#of([undefined, PAA, OTHER_PAA]);
      case 'assignServices':
        return { assigned: [], refused: [], released: [] };
      case 'endSession':
        return { known: true, foreign: this.pick(4) === 1, released: this.pick(2) ? leaseOf('x') : undefined };
      case 'endSessionsOf':
        return this.pick(3);
      case 'reportSession':
        return { known: this.pick(2) === 1 };
      case 'listSessions':
        return { items: [sessionOf('z'), ...SESSIONS.map((each) => sessionOf(each))] };
      case 'bootstrapAtHomeAgent': {
        const { sessionId } = call.given;
        const refused = { result: 'refused', reason: 'other-home-agent', released: undefined } as const;
        const lease = leaseOf('access', this.#of([{}, { ike: [] }]));
        const result = this.#of<BootstrapResult>([home(sessionId, { lease, renewed: this.pick(2) === 1 }), refused]);
        if (result.result !== 'refused') this.#write(sessionId, 1);
        if (result.result === 'home') this.#leases.add(result.lease);
        return result;
      }
      case 'bootstrap': {
        const { sessionId, wish } = call.given;
        const refused = { result: 'refused', reason: 'disabled', released: undefined } as const;
        const unusable = home(sessionId, { lease: leaseOf(sessionId, this.#of([{ ike: [] }, { host: '-' }])) });
        const granted: BootstrapResult[] = wish ? [home(sessionId), unusable] : [];
        const result = this.#of<BootstrapResult>([...granted, NONE, refused]);
        if (result.result !== 'refused') this.#write(sessionId, 1);
        if (result.result === 'home') this.#leases.add(result.lease);
        return result;
      }
    }
  }

  #endHook(): void {
    const token = this.#takeOne(this.#hooks);
    if (token !== undefined) this.feed({ type: 'hooked', token });
  }

  #answerDemand(): void {
    const token = this.#takeOne(this.#demands);
    const outcome = this.#of([
      { result: 'SUCCESS', unknown: false, refused: false },
      { result: 'UNKNOWN_SESSION_ID', unknown: true, refused: false },
      { result: 'UNABLE_TO_DELIVER', unknown: false, refused: true },
      { failure: 'lost' },
    ]);
    if (token !== undefined) this.feed({ type: 'demandAnswered', token, outcome });
  }

  #fly(): void {
    if (this.rig.conversation === 0) return;
    const token = this.rig.token();
    this.due.turn.add(token);
    const conversation = this.#of([...this.open, 1]);
    if (!this.open.has(conversation)) this.#unneeded.add(token);
    this.feed({ type: 'flight', token, conversation });
  }

  #land(): void {
    const token = this.#flying.shift();
    if (token !== undefined) this.feed({ type: 'flown', token });
  }

  #prove(): void {
    if (this.rig.conversation === 0) return;
    const token = this.rig.token();
    this.due.authorization.add(token);
    const client = { names: [NAI], sha256: this.#of(['aa', 'bb']) };
    this.feed({ type: 'proven', token, conversation: this.#of([...this.open, 1]), client });
  }

  #terminate(): void {
    const token = this.rig.token();
    this.due.answer.add(token);
    const request = { sessionId: this.#of(SESSIONS), origin: this.#of([PAA, OTHER_PAA]), cause: 'LOGOUT' };
    this.feed({ type: 'termination', token, request });
  }

  #demand(): void {
    const token = this.rig.token();
    this.due.done.add(token);
    const session = sessionOf(this.#of(SESSIONS));
    const inputs: HomeInput[] = [
      { type: 'demand', token, demand: 'disconnect', session },
      { type: 'demand', token, demand: 'reauthenticate', session },
      { type: 'end', token, session, reason: 'test' },
    ];
    this.feed(this.#of(inputs));
  }
}

describe('Home with random inputs in any order', () => {
  it(
    'answers each request once, promises nothing that is not stored, and leaves nothing behind',
    () => {
      fc.assert(
        fc.property(fc.array(fc.nat(), { minLength: 50, maxLength: 1_000, size: 'max' }), (choices) => {
          const chaos = new Chaos(choices);
          for (let i = 0; i < choices.length / 5; i += 1) chaos.step();
          chaos.rest();
          for (const waiting of Object.values(chaos.due)) expect([...waiting]).toEqual([]);
          expect([...chaos.open]).toEqual([]);
          expect(chaos.rig.machine.deadline).toBeUndefined();
          for (const [token, { msk, emsk }] of chaos.successes) {
            expect(emsk.isWiped).toBe(true);
            // The key of an accepted client belongs to its answer; all others are wiped.
            expect(msk.isWiped).toBe(!chaos.accepted.has(token));
          }
        }),
        { numRuns: runs(500) },
      );
    },
    patience(120_000),
  );
});
