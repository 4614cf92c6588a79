import type {
  DemandAnswer,
  DemandOutcome,
  HomeConfig,
  HomeInput,
  HomeOutput,
  Token,
} from '../protocol/home/alphabet.js';
import type { HomeEvent } from '../protocol/home/events.js';
import { Home } from '../protocol/home/home.js';
import type { Session, Subscriber } from '../protocol/home/records.js';
import type { EapServer } from '../runtime/eap/server.js';
import type { Logger } from '../runtime/log/events.js';
import type { Guard } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';
import { Driver } from '../runtime/system/driver.js';
import type { Host } from '../runtime/system/host.js';
import type { Inbox } from '../runtime/system/inbox.js';
import { EapConversations, type EapCredentials, type MakeEngine } from './eap-conversations.js';
import type { HomeAgentHooks } from './home-agent-hooks.js';
import { homeReporter } from './home-reporter.js';
import type { StoreCalls } from './measured-store.js';
import type { NasPort, NasPortOutput } from './nas-port.js';
import type { ServiceHooks } from './service-hooks.js';
import { askStore } from './store-questions.js';

export interface HomeRunnerParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly host: Host;
  readonly guard: Guard;
  readonly store: StoreCalls;
  readonly eap: EapCredentials;
  readonly makeEngine: MakeEngine;
  readonly homeAgents: Pick<HomeAgentHooks, 'run' | 'isBehind'>;
  readonly services: Pick<ServiceHooks, 'run' | 'look'>;
  readonly nas: NasPort;
  /** Queues the inputs from NASs until the runner opens it. */
  readonly inputs: Inbox<HomeInput>;
}

/** A caller that waits until a demand is completed or a session has ended. */
interface Waiting {
  readonly resolve: (answer: DemandAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** Drives the home machine, independent of the AAA protocol. EAP, store and hooks answer its questions. */
export class HomeRunner {
  readonly #parts: HomeRunnerParts;
  readonly #home: Home;
  readonly #driver: Driver<HomeInput, HomeOutput>;
  readonly #eap: EapConversations;
  readonly #report: (event: HomeEvent) => void;
  readonly #waiting = new Map<Token, Waiting>();
  #last = 0;

  constructor(config: HomeConfig, parts: HomeRunnerParts) {
    this.#parts = parts;
    const { log, metrics, host, homeAgents, makeEngine, inputs } = parts;
    this.#report = homeReporter(log, metrics);
    this.#home = new Home(config);
    this.#eap = new EapConversations(parts.eap, {
      makeEngine,
      host,
      feed: (input) => inputs.put(input),
      isBehind: (nai) => homeAgents.isBehind(nai),
    });
    this.#driver = new Driver<HomeInput, HomeOutput>(
      this.#home,
      (output) => this.#perform(output),
      host,
      (error, input, output) => this.#faulted(error, input.type, output),
    );
    inputs.open((input) => this.#driver.feed(input));
  }

  get conversations(): number {
    return this.#home.conversations;
  }

  get eap(): EapServer<Subscriber> {
    return this.#eap.server;
  }

  /** Closes all conversations and ignores all further inputs. */
  stop(): void {
    this.#driver.feed({ type: 'stop' });
    this.#driver.stop();
    this.#eap.server.close();
  }

  /** Forgets remembered authentications, because subscribers have changed. */
  forget(): void {
    this.#driver.feed({ type: 'forget' });
  }

  /** Demands that the NAS end a session (an ASR in Diameter). Resolves with the answer; rejects if there is none. */
  disconnect(session: Session): Promise<DemandAnswer> {
    return this.#wait((token) => ({ type: 'demand', token, demand: 'disconnect', session }));
  }

  /**
   * Demands that the NAS of a session authenticate the client again (a RAR in Diameter). Resolves with the answer;
   * rejects if there is none.
   */
  reauthenticate(session: Session): Promise<DemandAnswer> {
    return this.#wait((token) => ({ type: 'demand', token, demand: 'reauthenticate', session }));
  }

  /** Ends a session on this server, whether or not the NAS still has it. */
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

  #perform(output: HomeOutput): void {
    const { nas, store, guard } = this.#parts;
    switch (output.type) {
      case 'answer':
      case 'sendDemand':
      case 'forgetKeys':
      case 'forgetKeysOf':
        // A session ends.
        if (output.type === 'forgetKeys') this.#parts.services.look();
        try {
          nas.perform(output);
        } finally {
          wipe(output);
        }
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
        void askStore(store, call).then((stored) => this.#driver.feed({ type: 'stored', token, stored }));
        break;
      }
      case 'hook':
        void guard.settle('hook', this.#runHook(output));
        break;
      case 'service':
        try {
          this.#parts.services.run(output);
        } finally {
          output.key?.secret.wipe();
        }
        break;
      case 'done':
        this.#done(output.token, output.outcome);
        break;
      case 'event':
        this.#report(output.event);
        break;
      case 'fault':
        guard.fault('diameter', output.error);
    }
  }

  #faulted(error: unknown, input: string, output: HomeOutput | undefined): void {
    const { nas, guard } = this.#parts;
    guard.fault(input === 'tick' ? 'timer' : 'diameter', error);
    if (output?.type === 'answer' || output?.type === 'sendDemand') nas.failed(output);
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
}

function wipe(output: NasPortOutput): void {
  if (output.type === 'answer' && output.answer.type === 'accept') output.answer.accepted.msk.wipe();
}
