import { EAP_TYPE } from '../eap/codec.js';
import { Admission, RANK } from './admission.js';
import type {
  AccessAnswer,
  Denial,
  EapSuccess,
  EapVerdict,
  HomeAnswer,
  HomeConfig,
  HomeInput,
  HomeOutput,
  ProvenClient,
  Stored,
  TerminationRequest,
  Token,
} from './alphabet.js';
import { type AuthorizationQuestion, Authorizations } from './authorization.js';
import { Bootstrap, type Bootstrapped, type Bootstrapping, type BootstrapQuestion, jobOf } from './bootstrap.js';
import { type Conversation, Conversations } from './conversations.js';
import { denialOf, type OwedReply, wipeVerdict } from './denials.js';
import { EngineQueue } from './engine-queue.js';
import {
  type Exchange,
  type IncomingQuestion,
  IncomingRequests,
  type IncomingResult,
  isOfOther,
} from './incoming-requests.js';
import { ServiceGrants, type ServiceQuestion } from './services.js';
import { type SessionQuestion, Sessions } from './sessions.js';
import { HomeContext } from './step-context.js';

/** Interval between checks for silent conversations, in milliseconds. */
const SWEEP_INTERVAL = 5_000;

/** Context of a store query. */
type Question = IncomingQuestion | AuthorizationQuestion | BootstrapQuestion | ServiceQuestion | SessionQuestion;

/**
 * Access decisions and grants, independent of the AAA protocol: each access request gets one answer. The machine sends
 * requests with tokens to EAP, the store, the hooks of home agents and the NASs; their answers are inputs.
 *
 * A session is committed to the store before the answer that promises it is sent. Authorization is decided before EAP
 * sends any result to the client.
 */
export class Home {
  readonly #config: HomeConfig;
  readonly #context = new HomeContext<Question>();
  readonly #conversations: Conversations;
  readonly #admission = new Admission();
  readonly #engine: EngineQueue;
  readonly #authorization: Authorizations;
  readonly #incoming: IncomingRequests;
  readonly #bootstrap: Bootstrap;
  readonly #services: ServiceGrants;
  readonly #sessions: Sessions;
  /** Conversations of the requests that EAP is processing, by token of the request. */
  readonly #asked = new Map<Token, Conversation>();
  /** Clients whose session is being stored. */
  readonly #jobs = new Map<Token, Bootstrapping>();
  #sweptAt = Number.NEGATIVE_INFINITY;
  /** The question that the current step must answer. After an internal error the answer is a denial. */
  #serving: OwedReply | undefined;

  constructor(config: HomeConfig) {
    this.#config = config;
    this.#conversations = new Conversations(config.conversations, config.roundTimeout);
    this.#engine = new EngineQueue(config.engines);
    const parts = { conversations: this.#conversations, admission: this.#admission, engine: this.#engine };
    this.#incoming = new IncomingRequests(this.#context, config, parts);
    this.#authorization = new Authorizations(this.#context, config);
    this.#bootstrap = new Bootstrap(this.#context, config);
    this.#services = new ServiceGrants(this.#context, config);
    this.#sessions = new Sessions(this.#context, this.#admission);
  }

  get conversations(): number {
    return this.#conversations.size;
  }

  get deadline(): number | undefined {
    const { firstUntil } = this.#conversations;
    const sweep = firstUntil === undefined ? undefined : Math.max(firstUntil, this.#sweptAt + SWEEP_INTERVAL);
    const hook = this.#bootstrap.deadline;
    return sweep === undefined || hook === undefined ? (sweep ?? hook) : Math.min(sweep, hook);
  }

  handle(input: HomeInput, now: number): HomeOutput[] {
    this.#context.now = now;
    this.#guarded(() => this.#step(input), input);
    return this.#context.take();
  }

  /** Runs a step. After an exception, denies the question that the step should have answered. */
  #guarded(step: () => void, input: HomeInput): void {
    this.#serving = undefined;
    try {
      step();
    } catch (error) {
      this.#context.put({ type: 'fault', error });
      if (input.type === 'verdict') wipeVerdict(input.verdict);
      if (this.#serving) this.#giveUp(this.#serving);
      // The queue may be in a wrong state, in which the other flights would wait forever.
      if (input.type === 'flight' || input.type === 'flown') this.#putAll(this.#engine.clear());
    }
  }

  #step(input: HomeInput): void {
    switch (input.type) {
      case 'request':
        this.#request(input);
        break;
      case 'termination':
        this.#termination(input.token, input.request);
        break;
      case 'report':
        this.#serve('answer', input.token);
        this.#sessions.report(input.token, input.report);
        break;
      case 'verdict':
        this.#verdict(input.token, input.verdict);
        break;
      case 'proven':
        this.#proven(input.token, input.conversation, input.client);
        break;
      case 'flight':
        this.#flight(input.token, input.conversation);
        break;
      case 'flown':
        this.#putAll(this.#engine.done(input.token, this.#context.now));
        break;
      case 'stored':
        this.#stored(input.token, input.stored);
        break;
      case 'hooked':
        this.#serve('answer', this.#bootstrap.requestOf(input.token));
        this.#bootstrapped(this.#bootstrap.hooked(input.token));
        break;
      case 'peerOpen':
        this.#incoming.peerOpen(input.origin, input.originState);
        break;
      case 'demand':
        this.#serve('done', input.token);
        this.#sessions.demand(input);
        break;
      case 'end':
        this.#serve('done', input.token);
        this.#sessions.end(input);
        break;
      case 'demandAnswered':
        this.#serve('done', this.#sessions.demandOf(input.token));
        this.#sessions.answered(input.token, input.outcome);
        break;
      case 'forget':
        this.#authorization.forget();
        break;
      case 'stop':
        this.#closeAll(this.#conversations.clear());
        break;
      case 'tick':
        this.#tick(input);
        break;
    }
  }

  #tick(input: HomeInput): void {
    const { now } = this.#context;
    for (let done = this.#bootstrap.overdue(now); done; done = this.#bootstrap.overdue(now)) {
      const overdue = done;
      this.#guarded(() => this.#bootstrapped(overdue), input);
    }
    this.#serving = undefined;
    const { firstUntil = Number.POSITIVE_INFINITY } = this.#conversations;
    if (firstUntil > now || this.#sweptAt + SWEEP_INTERVAL > now) return;
    this.#sweptAt = now;
    const silent = this.#conversations.expire(now);
    this.#closeAll(silent);
    this.#context.say({ name: 'conversationsForgotten', conversations: silent.length });
  }

  #stored(token: Token, stored: Stored): void {
    const question = this.#context.answered(token);
    switch (question?.of) {
      case undefined:
        return;
      case 'originState':
      case 'seat':
        this.#serve('answer', question.exchange?.token);
        this.#arrived(question.exchange, this.#incoming.stored(question, stored));
        break;
      case 'authorization':
        this.#serve('authorization', question.proving.token);
        this.#authorized(this.#authorization.stored(question, stored));
        break;
      case 'termination':
        this.#serve('answer', question.token);
        this.#answer(question.token, this.#sessions.terminated(question, stored));
        break;
      case 'bootstrap':
      case 'delivery':
      case 'withdrawal':
        this.#serve('answer', question.job.token);
        this.#bootstrapped(this.#bootstrap.stored(question, stored));
        break;
      case 'services':
        this.#serve('answer', question.job.token);
        this.#bootstrapped(this.#services.stored(question, stored));
        break;
      case 'ending':
        this.#serve('done', question.ending.next === 'done' ? question.ending.token : undefined);
        this.#sessions.stored(question, stored);
        break;
      case 'older':
      case 'report':
        this.#serve('answer', question.of === 'report' ? question.token : undefined);
        this.#sessions.stored(question, stored);
        break;
    }
  }

  // ---------------------------------------------------------------------------------------------------------- requests

  #request(exchange: Exchange): void {
    this.#serve('answer', exchange.token);
    this.#arrived(exchange, this.#incoming.request(exchange));
  }

  #arrived(exchange: Exchange | undefined, arrived: IncomingResult): void {
    if (!exchange || arrived === undefined) return;
    if (typeof arrived === 'string') this.#deny(exchange.token, arrived);
    else this.#feed(exchange, arrived);
  }

  #feed({ token, request }: Exchange, conversation: Conversation): void {
    this.#asked.set(token, conversation);
    this.#context.put({ type: 'eap', token, conversation: conversation.id, packet: request.packet });
  }

  // --------------------------------------------------------------------------------------------------------------- EAP

  #verdict(token: Token, verdict: EapVerdict): void {
    const conversation = this.#asked.get(token);
    if (!conversation) {
      wipeVerdict(verdict);
      return;
    }
    this.#asked.delete(token);
    this.#serve('answer', token);
    switch (verdict.type) {
      case 'busy':
        this.#end(conversation);
        for (const event of this.#admission.turnedAway('engine', conversation.seat, this.#context.now))
          this.#context.say(event);
        this.#deny(token, 'too-busy');
        break;
      case 'request':
        conversation.identityRequest = verdict.packet[4] === EAP_TYPE.IDENTITY ? verdict.packet[1] : undefined;
        this.#answer(token, this.#challenge(verdict.packet, false));
        break;
      case 'invalid': {
        // Meanwhile the conversation was evicted, or its session has ended.
        if (!this.#conversations.has(conversation)) {
          this.#deny(token, 'too-busy');
          return;
        }
        const { packet, reason } = verdict;
        this.#context.say({ name: 'invalidPacket', sessionId: conversation.sessionId, reason });
        this.#answer(token, packet === undefined ? { type: 'unable' } : this.#challenge(packet, true));
        return;
      }
      case 'failure': {
        this.#end(conversation);
        const { packet, reason, detail, identity } = verdict;
        const { sessionId, origin } = conversation;
        this.#context.say({ name: 'refused', sessionId, origin, identity, reason, detail });
        const because = reason === 'unavailable' ? 'unavailable' : 'authentication';
        this.#answer(token, { type: 'reject', packet, because });
        return;
      }
      case 'success':
        this.#succeeded(token, conversation, verdict);
        break;
    }
  }

  #challenge(packet: Uint8Array, reissued: boolean): AccessAnswer {
    return { type: 'challenge', packet, reissued, timeout: Math.ceil(this.#config.roundTimeout / 1000) };
  }

  #succeeded(token: Token, conversation: Conversation, success: EapSuccess): void {
    const job = jobOf(token, conversation, success, this.#config.sessionLifetime, this.#context.now);
    this.#jobs.set(token, job);
    this.#bootstrapped(this.#bootstrap.begin(job));
  }

  /** Answers the request after its session was stored or refused. Undefined: the bootstrap continues. */
  #bootstrapped(done: Bootstrapped | undefined): void {
    // Without a job, the request was already denied, after an internal error.
    const extended = done && this.#jobs.has(done.job.token) ? this.#services.extend(done) : undefined;
    if (!extended) return;
    const { job, outcome } = extended;
    const { token, conversation, success, lifetime } = job;
    this.#serve('answer', token);
    const { sessionId, origin, startedAt } = conversation;
    const { packet, msk, emsk, subscriber, tls, resumed, sha256 } = success;
    const { nai } = subscriber;
    emsk.wipe();
    this.#end(conversation);
    if (typeof outcome === 'string') {
      msk.wipe();
      this.#jobs.delete(token);
      const failed = { type: 'denied', because: 'failed' } as const;
      this.#answer(token, outcome === 'failed' ? failed : { type: 'reject', packet, because: 'authorization' });
      return;
    }
    const duration = this.#context.now - startedAt;
    this.#context.say({ name: 'authenticated', sessionId, origin, nai, tls, resumed, lifetime, duration });
    if (subscriber.sessions === 'replace' && !job.alone) this.#sessions.replaceOlder(nai, sessionId, origin);
    this.#admission.succeeded(sha256, conversation, this.#context.now);
    const grace = Math.ceil(this.#config.grace / 1000);
    const accepted = { packet, msk, nai, lifetime, grace, ...outcome };
    this.#jobs.delete(token);
    this.#answer(token, { type: 'accept', accepted });
  }

  // ----------------------------------------------------------------------------------------------------- authorization

  #proven(token: Token, conversation: Token, client: ProvenClient): void {
    this.#serve('authorization', token);
    const open = this.#conversations.byId(conversation);
    // The conversation has ended, so its client cannot be authorized any more.
    if (!open) this.#context.put({ type: 'authorization', token, authorization: { ok: false, reason: 'unavailable' } });
    else this.#authorization.begin({ token, conversation, session: open, client });
  }

  #authorized(conversation: Token | undefined): void {
    // The decision is final: a later error cannot change it.
    this.#serving = undefined;
    const open = conversation === undefined ? undefined : this.#conversations.byId(conversation);
    if (open) this.#conversations.promote(open, RANK.PROVEN);
  }

  #flight(token: Token, conversation: Token): void {
    this.#serve('turn', token);
    const open = this.#conversations.byId(conversation);
    if (open) this.#putAll(this.#engine.add(token, open, this.#context.now));
    // The conversation has ended and will not use the engine, so it does not wait for a turn.
    else this.#context.put({ type: 'turn', token, granted: true, engine: 0 });
  }

  // ------------------------------------------------------------------------------------------------------- termination

  #termination(token: Token, request: TerminationRequest): void {
    this.#serve('answer', token);
    const open = this.#conversations.get(request.sessionId);
    if (open && !isOfOther(open, request)) this.#end(open);
    this.#sessions.terminate(token, request);
  }

  // ------------------------------------------------------------------------------------------------------------ common

  #end(conversation: Conversation): void {
    if (this.#conversations.end(conversation)) this.#close(conversation);
  }

  #close({ id }: Conversation): void {
    this.#context.put({ type: 'close', conversation: id });
  }

  #closeAll(conversations: readonly Conversation[]): void {
    for (const conversation of conversations) this.#close(conversation);
  }

  #serve(output: OwedReply['output'], token: Token | undefined): void {
    this.#serving = token === undefined ? undefined : { output, token };
  }

  #giveUp(serving: OwedReply): void {
    this.#context.put(denialOf(serving));
    const job = serving.output === 'answer' ? this.#jobs.get(serving.token) : undefined;
    if (!job) return;
    this.#jobs.delete(job.token);
    wipeVerdict({ type: 'success', ...job.success });
    this.#end(job.conversation);
  }

  #deny(token: Token, because: Denial): void {
    this.#answer(token, { type: 'denied', because });
  }

  #answer(token: Token, answer: HomeAnswer): void {
    // An answer is final: a later error cannot deny the request.
    this.#serving = undefined;
    this.#context.put({ type: 'answer', token, answer });
  }

  #putAll(outputs: readonly HomeOutput[]): void {
    for (const output of outputs) this.#context.put(output);
  }
}
