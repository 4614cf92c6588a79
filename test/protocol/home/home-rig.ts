import { Secret } from '../../../src/protocol/bytes/secret.js';
import type {
  AccessRequest,
  EapSuccess,
  EapVerdict,
  HomeAnswer,
  HomeConfig,
  HomeInput,
  HomeOperations,
  HomeOutput,
  Stored,
  Token,
} from '../../../src/protocol/home/alphabet.js';
import type { HomeEvent } from '../../../src/protocol/home/events.js';
import { Home } from '../../../src/protocol/home/home.js';
import type { MobilityWish } from '../../../src/protocol/home/mobility.js';
import {
  type BootstrapResult,
  type HomeAgent,
  type Lease,
  plainSubscriber,
  type Session,
  type Subscriber,
} from '../../../src/protocol/home/records.js';
import { CAPABILITY } from '../../../src/protocol/mip6/assignment.js';

export const PAA = 'paa.example';
export const OTHER_PAA = 'paa2.example';
export const NAI = 'mn@home.example';

export const CONFIG: HomeConfig = {
  conversations: 100,
  roundTimeout: 60_000,
  mtu: 1100,
  sessionLifetime: 3_600_000,
  grace: 60_000,
  outage: 3_600_000,
  failures: 10,
  pskRoot: 'msk',
  hookWait: 500,
  engines: { count: 1, parallel: 2 },
};

export const HOME_WISH: MobilityWish = {
  bits: CAPABILITY.MIP6 | CAPABILITY.HOME_HA | CAPABILITY.HOA_ASSIGN | CAPABILITY.IKEV1_PSK | CAPABILITY.IKEV2_PSK,
  local: undefined,
};

/** The wish for a home agent only, whose home address IKEv2 delivers. */
export const IKE_WISH: MobilityWish = { bits: HOME_WISH.bits & ~CAPABILITY.HOA_ASSIGN, local: undefined };

export const AGENT: HomeAgent = {
  id: 1,
  name: 'ha1',
  address: '2001:db8:1::1',
  host: 'ha1.home.example',
  prefix: '2001:db8:1::/64',
  capacity: 10,
  weight: 1,
  leases: 1,
  state: 'up',
  failedBy: undefined,
  target: undefined,
  ike: ['ikev2', 'ikev1'],
};

export function leaseOf(sessionId: string, agent: Partial<HomeAgent> = {}): Lease {
  const homeAgent = { ...AGENT, ...agent };
  return { homeAddress: '2001:db8:1::77', nai: NAI, homeAgent, sessionId, acquiredAt: 0, expiresAt: 1 };
}

export function sessionOf(sessionId: string, more: Partial<Session> = {}): Session {
  return {
    sessionId,
    nai: NAI,
    origin: PAA,
    originRealm: 'example',
    kind: undefined,
    homeAgent: undefined,
    homeAddress: undefined,
    serial: undefined,
    startedAt: 0,
    expiresAt: 1,
    ...more,
  };
}

export const home = (sessionId: string, more: Partial<Extract<BootstrapResult, { result: 'home' }>> = {}) =>
  ({
    result: 'home',
    lease: leaseOf(sessionId),
    renewed: false,
    released: undefined,
    takenFrom: undefined,
    ...more,
  }) satisfies BootstrapResult;

export const NONE = {
  result: 'none',
  reason: 'not-wanted',
  released: undefined,
} satisfies BootstrapResult;

/** Minimal EAP packets: the machine looks only at their headers and type. */
export const IDENTITY = Uint8Array.of(2, 0, 0, 6, 1, 64);
export const RESPONSE = Uint8Array.of(2, 1, 0, 6, 13, 0);
export const REQUEST = Uint8Array.of(1, 1, 0, 6, 13, 32);
export const SUCCESS = Uint8Array.of(3, 1, 0, 4);
export const FAILURE = Uint8Array.of(4, 1, 0, 4);

type Of<T extends HomeOutput['type']> = Extract<HomeOutput, { type: T }>;
type Question = Extract<HomeOutput, { type: 'store' }>;
type Operation = keyof HomeOperations;

/** The machine in virtual time. The test acts as EAP, the store, the hooks and the NASs. */
export class HomeRig {
  readonly machine: Home;
  now = 0;
  /** All outputs, in order. */
  readonly outputs: HomeOutput[] = [];
  /** Unanswered questions of the machine to the store. */
  readonly questions: Question[] = [];
  /** Successes that `succeed` created, with their keys. */
  readonly successes: EapSuccess[] = [];
  #last = 0;

  constructor(config: Partial<HomeConfig> = {}) {
    this.machine = new Home({ ...CONFIG, ...config });
  }

  feed(input: HomeInput): HomeOutput[] {
    const outputs = this.machine.handle(input, this.now);
    this.outputs.push(...outputs);
    for (const output of outputs) if (output.type === 'store') this.questions.push(output);
    return outputs;
  }

  /** Advances virtual time with a tick at each deadline. Returns the outputs. */
  advance(milliseconds: number): HomeOutput[] {
    const end = this.now + milliseconds;
    const from = this.outputs.length;
    for (let due = this.machine.deadline; due !== undefined && due <= end; due = this.machine.deadline) {
      this.now = Math.max(this.now, due);
      this.feed({ type: 'tick' });
      if ((this.machine.deadline ?? Number.POSITIVE_INFINITY) <= this.now)
        throw new Error('the deadline is still due after its tick');
    }
    this.now = end;
    return this.outputs.slice(from);
  }

  token(): Token {
    this.#last += 1;
    return this.#last;
  }

  // ------------------------------------------------------------------------------------------------------- requests

  /** Sends a request of a client. Returns its token. */
  ask(sessionId: string, packet: Uint8Array, more: Partial<AccessRequest> = {}): Token {
    const token = this.token();
    const request: AccessRequest = {
      sessionId,
      peer: PAA,
      origin: PAA,
      originRealm: 'example',
      originState: undefined,
      connected: undefined,
      callingStation: '2001:db8:2::1',
      mtu: undefined,
      wish: undefined,
      packet,
      ...more,
    };
    this.feed({ type: 'request', token, request });
    return token;
  }

  begin(sessionId: string, more: Partial<AccessRequest> = {}): Token {
    return this.ask(sessionId, IDENTITY, more);
  }

  /** The answer to a request, or undefined while it waits. */
  answerTo(token: Token): HomeAnswer | undefined {
    const answers = this.of('answer').filter((output) => output.token === token);
    if (answers.length > 1) throw new Error(`request ${token} has ${answers.length} answers`);
    return answers[0]?.answer;
  }

  // ------------------------------------------------------------------------------------------------------------ EAP

  /** The conversation opened last. */
  get conversation(): Token {
    return this.of('open').at(-1)?.conversation ?? 0;
  }

  verdict(token: Token, verdict: EapVerdict): HomeOutput[] {
    return this.feed({ type: 'verdict', token, verdict });
  }

  /** The client of the last conversation proves its certificate. Returns the token of the decision. */
  prove(sha256 = 'aa', names: readonly string[] = [NAI]): Token {
    const token = this.token();
    this.feed({ type: 'proven', token, conversation: this.conversation, client: { names, sha256 } });
    return token;
  }

  decision(token: Token) {
    return this.of('authorization').find((output) => output.token === token)?.authorization;
  }

  success(more: Partial<EapSuccess> = {}): EapSuccess & { readonly type: 'success' } {
    const key = (octet: number) => Secret.make(64, (octets) => octets.fill(octet));
    return {
      type: 'success',
      packet: SUCCESS,
      msk: key(1),
      emsk: key(2),
      sessionId: new Uint8Array(65).fill(3),
      nonce: new Uint8Array(12).fill(4),
      certificate: '0a:1',
      sha256: 'aa',
      validFor: 86_400_000,
      subscriber: plainSubscriber(NAI),
      tls: 'TLSv1.3',
      resumed: false,
      hooksBehind: false,
      ...more,
    };
  }

  /** A client succeeds at EAP; its session waits for the store. Returns the token of its last request. */
  succeed(sessionId: string, more: Partial<AccessRequest> = {}, success: Partial<EapSuccess> = {}): Token {
    const token = this.begin(sessionId, more);
    const made = this.success(success);
    this.successes.push(made);
    this.verdict(token, made);
    return token;
  }

  /** A client gets access. Returns the answer. */
  enter(
    sessionId: string,
    more: Partial<AccessRequest> = {},
    subscriber: Partial<Subscriber> = {},
    result: BootstrapResult = NONE,
  ): HomeAnswer {
    const token = this.succeed(sessionId, more, {
      subscriber: { ...plainSubscriber(NAI), sessions: 'one', ...subscriber },
    });
    this.stored('bootstrap', result);
    const answer = this.answerTo(token);
    if (answer?.type !== 'accept') throw new Error(`not accepted: ${answer?.type}`);
    return answer;
  }

  // ---------------------------------------------------------------------------------------------------------- store

  /** Arguments of the unanswered questions with this operation. */
  asked<N extends Operation>(operation: N): HomeOperations[N][0][] {
    return this.questions.flatMap(({ call }) => (call.operation === operation ? [call.given] : [])) as never;
  }

  /** Answers the oldest question with this operation. */
  stored<N extends Operation>(operation: N, result: HomeOperations[N][1]): HomeOutput[] {
    return this.#reply(operation, { operation, result } as Stored);
  }

  storeFails(operation: Operation, full = false): HomeOutput[] {
    return this.#reply(operation, { operation: 'failed', reason: 'the store is lost', full });
  }

  #reply(operation: Operation, stored: Stored): HomeOutput[] {
    const index = this.questions.findIndex(({ call }) => call.operation === operation);
    const [question] = index < 0 ? [] : this.questions.splice(index, 1);
    if (!question) throw new Error(`no question waits for ${operation}`);
    return this.feed({ type: 'stored', token: question.token, stored });
  }

  // -------------------------------------------------------------------------------------------------------- outputs

  of<T extends HomeOutput['type']>(type: T): Of<T>[] {
    return this.outputs.filter((output): output is Of<T> => output.type === type);
  }

  events<N extends HomeEvent['name']>(name: N): Extract<HomeEvent, { name: N }>[] {
    return this.of('event').flatMap(({ event }) => (event.name === name ? [event] : [])) as never;
  }
}
