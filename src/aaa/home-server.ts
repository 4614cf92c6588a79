import type { ApplicationOutput } from '../protocol/diameter/node/application.js';
import type { DiameterMessage } from '../protocol/diameter/wire/codec.js';
import { APPLICATION } from '../protocol/diameter/wire/commands.js';
import { Dictionary } from '../protocol/diameter/wire/dictionary.js';
import { Grammarian, isViolation, type Violation } from '../protocol/diameter/wire/grammar.js';
import type {
  Demand,
  DemandAnswer,
  DemandOutcome,
  HomeAnswer,
  HomeInput,
  HomeOutput,
  Token,
} from '../protocol/home/alphabet.js';
import { DiameterAccess } from '../protocol/home/diameter/access.js';
import type { HomeEvent } from '../protocol/home/events.js';
import { Home } from '../protocol/home/home.js';
import type { Session, Subscriber } from '../protocol/home/records.js';
import { type DiameterEvent, DiameterNode, type DiameterSurroundings } from '../runtime/diameter/node.js';
import { listenOptions, peerOptions } from '../runtime/diameter/setup.js';
import type { TlsTransport } from '../runtime/diameter/tls.js';
import { tcpTransport } from '../runtime/diameter/transport.js';
import type { EapServer } from '../runtime/eap/server.js';
import type { Logger } from '../runtime/log/events.js';
import { type Guard, unguarded } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';
import { Driver } from '../runtime/system/driver.js';
import { systemHost } from '../runtime/system/host.js';
import { Inbox } from '../runtime/system/inbox.js';
import type { AaaOptions } from './config/options.js';
import { EapConversations, type EapCredentials, type MakeEngine } from './eap-conversations.js';
import type { HomeAgentHooks } from './home-agent-hooks.js';
import { homeReporter } from './home-reporter.js';
import type { StoreCalls } from './measured-store.js';
import { askStore } from './store-questions.js';

export interface HomeServerParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly surroundings?: DiameterSurroundings | undefined;
  readonly store: StoreCalls;
  readonly eap: EapCredentials;
  readonly makeEngine: MakeEngine;
  readonly originState: number;
  readonly guard?: Guard | undefined;
  readonly homeAgents: Pick<HomeAgentHooks, 'run' | 'isBehind'>;
  /** TLS transport for Diameter. Undefined: no TLS. */
  readonly tls: TlsTransport | undefined;
  readonly report: (event: DiameterEvent, grammarian: Grammarian) => void;
}

/** A caller that waits until a demand is completed or a session has ended. */
interface Waiting {
  readonly resolve: (answer: DemandAnswer) => void;
  readonly reject: (error: Error) => void;
}

interface SentDemand {
  readonly demand: Demand;
  readonly session: Session;
}

/** Drives the home machine: requests come from Diameter; EAP, store and hooks answer its questions. */
export class HomeServer {
  readonly node: DiameterNode;
  readonly #options: AaaOptions;
  readonly #parts: HomeServerParts;
  readonly #guard: Guard;
  readonly #access: DiameterAccess;
  readonly #home: Home;
  readonly #driver: Driver<HomeInput, HomeOutput>;
  readonly #eap: EapConversations;
  readonly #report: (event: HomeEvent) => void;
  /** Unanswered requests. */
  readonly #requests = new Map<Token, DiameterMessage>();
  readonly #demands = new Map<Token, SentDemand>();
  readonly #waiting = new Map<Token, Waiting>();
  #last = 0;

  constructor(options: AaaOptions, parts: HomeServerParts) {
    this.#options = options;
    this.#parts = parts;
    this.#guard = parts.guard ?? unguarded;
    this.#report = homeReporter(parts.log, parts.metrics);
    const { diameter, session, eap, limits, mobility, hooks } = options;
    const { host, transport } = parts.surroundings ?? { host: systemHost, transport: tcpTransport };
    const origin = { host: diameter.host, realm: diameter.realm };
    const grammarian = new Grammarian(new Dictionary(diameter['vendor-id']));
    this.#access = new DiameterAccess(grammarian, {
      origin,
      originStateId: parts.originState,
      sharedStore: diameter['shared-store'],
    });
    this.#home = new Home({
      conversations: diameter.conversations,
      roundTimeout: diameter['round-timeout'],
      mtu: eap.mtu,
      sessionLifetime: session.lifetime,
      grace: session.grace,
      outage: session.outage,
      failures: limits['failures-per-subscriber'],
      pskRoot: mobility['psk-root'],
      hookWait: hooks.wait,
    });
    const inputs = new Inbox<HomeInput>();
    const fromNode = new Inbox<ApplicationOutput>();
    this.#eap = new EapConversations(parts.eap, {
      makeEngine: parts.makeEngine,
      host,
      feed: (input) => inputs.put(input),
      isBehind: (nai) => parts.homeAgents.isBehind(nai),
    });
    this.node = new DiameterNode({
      origin,
      productName: 'pana-aaa',
      vendorId: 0,
      originStateId: parts.originState,
      ownVendor: diameter['vendor-id'],
      applications: [APPLICATION.EAP],
      realms: diameter.realms,
      listen: listenOptions(diameter, parts.tls),
      peers: peerOptions(diameter.peers, parts.tls),
      watchdog: diameter.watchdog,
      reconnect: diameter.reconnect,
      timeout: diameter.timeout,
      perform: (output) => fromNode.put(output),
      guard: parts.guard,
      host,
      transport,
      onEvent: (event) => {
        parts.report(event, grammarian);
        if (event.type !== 'peerOpen') return;
        const { host: peer, originStateId: originState } = event.capabilities;
        inputs.put({ type: 'peerOpen', origin: peer, originState });
      },
    });
    this.#driver = new Driver<HomeInput, HomeOutput>(
      this.#home,
      (output) => this.#perform(output),
      host,
      (error, input, output) => this.#faulted(error, input.type, output),
    );
    inputs.open((input) => this.#driver.feed(input));
    fromNode.open((output) => this.#fromNode(output));
  }

  get conversations(): number {
    return this.#home.conversations;
  }

  get eap(): EapServer<Subscriber> {
    return this.#eap.server;
  }

  start(): Promise<void> {
    return this.node.start();
  }

  async stop(): Promise<void> {
    await this.node.stop();
    this.#driver.feed({ type: 'stop' });
    this.#driver.stop();
  }

  /** Forgets remembered authentications, because subscribers have changed. */
  forget(): void {
    this.#driver.feed({ type: 'forget' });
  }

  /**
   * Sends an ASR, after which the PAA ends the session with an STR. Resolves with the answer; rejects if there is none.
   */
  disconnect(session: Session): Promise<DemandAnswer> {
    return this.#wait((token) => ({ type: 'demand', token, demand: 'disconnect', session }));
  }

  /**
   * Sends a RAR, after which the PAA authenticates the client again. Resolves with the answer; rejects if there is none.
   */
  reauthenticate(session: Session): Promise<DemandAnswer> {
    return this.#wait((token) => ({ type: 'demand', token, demand: 'reauthenticate', session }));
  }

  /** Ends a session on this server, whether or not the PAA still has it. */
  async endSession(session: Session, reason: string): Promise<void> {
    await this.#wait((token) => ({ type: 'end', token, session, reason }));
  }

  #wait(input: (token: Token) => HomeInput): Promise<DemandAnswer> {
    this.#last += 1;
    const token = this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(token, { resolve, reject });
      this.#driver.feed(input(token));
    });
  }

  // ---------------------------------------------------------------------------------------------------------- outputs

  #perform(output: HomeOutput): void {
    switch (output.type) {
      case 'answer':
        this.#answer(output.token, output.answer);
        break;
      case 'open':
      case 'eap':
      case 'close':
      case 'authorization':
      case 'turn':
        this.#eap.perform(output);
        break;
      case 'store': {
        const { token, call } = output;
        void askStore(this.#parts.store, call).then((stored) => this.#driver.feed({ type: 'stored', token, stored }));
        break;
      }
      case 'hook':
        void this.#guard.settle('hook', this.#runHook(output));
        break;
      case 'sendDemand': {
        const { token, demand, session } = output;
        this.#demands.set(token, { demand, session });
        const message = this.#access.demand(demand, session);
        this.node.feed({ type: 'request', token, message, target: {}, timeout: this.#options.diameter.timeout });
        break;
      }
      case 'done':
        this.#done(output.token, output.outcome);
        break;
      case 'forgetKeys':
      case 'forgetKeysOf':
        this.node.feed(output);
        break;
      case 'event':
        this.#report(output.event);
        break;
      case 'fault':
        this.#guard.fault('diameter', output.error);
    }
  }

  #faulted(error: unknown, input: string, output: HomeOutput | undefined): void {
    this.#guard.fault(input === 'tick' ? 'timer' : 'diameter', error);
    if (output?.type === 'answer') this.node.feed({ type: 'unserved', token: output.token });
    if (output?.type === 'sendDemand') {
      this.#demands.delete(output.token);
      this.#driver.feed({ type: 'demandAnswered', token: output.token, outcome: { failure: 'internal error' } });
    }
  }

  #answer(token: Token, answer: HomeAnswer): void {
    const request = this.#requests.get(token);
    this.#requests.delete(token);
    try {
      if (!request) return;
      const written = this.#access.write(request, answer);
      const message = isViolation(written) ? this.#refuse(request, written) : written;
      this.node.feed({ type: 'answer', token, message });
    } finally {
      if (answer.type === 'accept') answer.accepted.msk.wipe();
    }
  }

  #refuse(request: DiameterMessage, violation: Violation): DiameterMessage {
    this.#parts.metrics.count('refused_requests', { code: String(violation.resultCode) });
    return this.#access.refuse(request, violation);
  }

  async #runHook({ token, event, lease, key }: Extract<HomeOutput, { type: 'hook' }>): Promise<void> {
    try {
      const run = this.#parts.homeAgents.run(event, lease, key);
      key?.psk.wipe();
      await run;
    } finally {
      if (token !== undefined) this.#driver.feed({ type: 'hooked', token });
    }
  }

  #done(token: Token, outcome: DemandOutcome): void {
    const waiting = this.#waiting.get(token);
    this.#waiting.delete(token);
    if ('failure' in outcome) waiting?.reject(new Error(outcome.failure));
    else waiting?.resolve(outcome);
  }

  // --------------------------------------------------------------------------------------------------------- Diameter

  #fromNode(output: ApplicationOutput): void {
    switch (output.type) {
      case 'serve':
        this.#serve(output.token, output.peer, output.message);
        break;
      case 'answered':
        this.#demandAnswered(output.token, ({ session }) => this.#access.demandOutcome(output.message, session));
        break;
      case 'failed':
        this.#demandAnswered(output.token, () => ({ failure: output.text }));
    }
  }

  #serve(token: Token, peer: string, message: DiameterMessage): void {
    const read = this.#access.read(message, peer);
    if (isViolation(read)) {
      this.node.feed({ type: 'answer', token, message: this.#refuse(message, read) });
      return;
    }
    this.#requests.set(token, message);
    if (read.type === 'termination') {
      this.#driver.feed({ ...read, token });
      return;
    }
    const own = this.node.capabilitiesOf(read.request.origin);
    const connected = own && { originState: own.originStateId };
    this.#driver.feed({ type: 'request', token, request: { ...read.request, connected } });
  }

  #demandAnswered(token: Token, read: (sent: SentDemand) => DemandOutcome): void {
    const sent = this.#demands.get(token);
    if (!sent) return;
    this.#demands.delete(token);
    const outcome = read(sent);
    const { demand, session } = sent;
    if ('result' in outcome) {
      const fields = {
        message: demand === 'disconnect' ? 'ASR' : 'RAR',
        session: session.sessionId,
        nai: session.nai,
        peer: session.origin,
        resultCode: outcome.result,
      };
      this.#parts.log.info(fields, 'request answered');
    }
    this.#driver.feed({ type: 'demandAnswered', token, outcome });
  }
}
