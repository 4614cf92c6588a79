import { Worker } from 'node:worker_threads';
import { Secret } from '../../protocol/bytes/secret.js';
import { type Certificate, readCertificate } from '../../protocol/x509/certificate.js';
import { unguarded } from '../service/barrier.js';
import { type CancelTimer, every, type Host, systemHost } from '../system/host.js';
import type { PeerJudge } from '../tls/peer-certificate.js';
import { TICKET_KEY } from '../tls/session-tickets.js';
import type { MasterSecretPolicy } from '../tls/settings.js';
import type { ServerEngine, ServerEngineAnswer, ServerEngineEnd, ServerHandshake } from './engine.js';
import {
  type EngineStart,
  errorOf,
  type FromEngineThread,
  type HandshakeId,
  own,
  settingsOf,
  type ThreadAnswer,
  type ToEngineThread,
} from './engine-messages.js';
import { TlsServerEngine, type TlsServerOptions } from './tls-server.js';

/** Time after which an ended thread no longer delays its replacement, in milliseconds. */
export const CALM = 60_000;

/** Pauses before a thread that has ended again within CALM is replaced, in milliseconds. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;

/**
 * Interval between checks whether the threads answer, in milliseconds, and number of checks without any answer after
 * which a thread is terminated. A pause of the whole process counts as one check.
 */
export const CHECK_INTERVAL = 5_000;
const SILENT_CHECKS = 2;

export type EngineThreadEvent =
  /** A thread has started in place of one that ended. */
  | { readonly type: 'replaced'; readonly worker: number }
  /** `handshakes`: number of handshakes that were lost. `pause`: milliseconds until it is replaced. */
  | {
      readonly type: 'ended';
      readonly worker: number;
      readonly reason: string;
      readonly handshakes: number;
      readonly pause: number;
    };

export interface ThreadedEngineParts {
  /** Number of threads, at least 1. */
  readonly workers: number;
  readonly onEvent?: ((event: EngineThreadEvent) => void) | undefined;
  /** The compiled program of the threads. Node runs no TypeScript. */
  readonly program?: URL | undefined;
}

/** The compiled thread, in the same folder as this file when compiled. */
const PROGRAM = new URL('./engine-thread.js', import.meta.url);

type Answer = (answer: ThreadAnswer) => void;

/** One thread from its start to its end. */
class EngineThread {
  readonly #worker: Worker;
  readonly #hear: (message: FromEngineThread) => void;
  /** Whoever waits for an answer, by handshake. */
  readonly #waiting = new Map<HandshakeId, Answer>();
  /** Handshakes that the thread holds. */
  readonly #open = new Set<HandshakeId>();
  #out: ToEngineThread[] = [];
  #transfer: ArrayBuffer[] = [];
  #last = 0;
  #isOver = false;
  #silentChecks = 0;
  /** Why the thread is about to end. */
  #reason: string | undefined;

  constructor(
    program: URL,
    start: EngineStart,
    hear: (message: FromEngineThread) => void,
    onEnd: (reason: string, handshakes: number) => void,
  ) {
    this.#hear = hear;
    this.#worker = new Worker(program, { workerData: start, name: 'eap-tls' });
    // The daemon's sockets keep the process running, not this thread.
    this.#worker.unref();
    this.#worker.on('message', (messages: readonly FromEngineThread[]) => {
      this.#silentChecks = 0;
      for (const message of messages) this.#take(message);
    });
    this.#worker.on('error', (error) => {
      this.#reason = error instanceof Error ? error.message : String(error);
    });
    this.#worker.on('messageerror', (error) => this.terminate(error.message));
    this.#worker.once('exit', (status) => {
      const handshakes = this.#open.size;
      this.#lose();
      onEnd(this.#reason ?? `exit with status ${status}`, handshakes);
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  begin(): HandshakeId {
    this.#last += 1;
    this.#open.add(this.#last);
    return this.#last;
  }

  ask(message: Extract<ToEngineThread, { type: 'exchange' | 'commit' }>, answer: Answer): void {
    if (!this.#open.has(message.id)) {
      answer({ type: 'busy' });
      return;
    }
    this.#waiting.set(message.id, answer);
    this.send(message);
  }

  end(id: HandshakeId): void {
    if (this.#open.delete(id)) this.send({ type: 'destroy', id });
  }

  /** Messages of one turn are sent together, because waking the other thread costs more than to copy one. */
  send(message: ToEngineThread, ...transfer: ArrayBuffer[]): void {
    if (this.#isOver) return;
    this.#out.push(message);
    this.#transfer.push(...transfer);
    if (this.#out.length === 1) setImmediate(() => this.#flush());
  }

  /** Terminates the thread if it has work but has not answered for some checks. */
  check(): void {
    this.#silentChecks = this.#waiting.size === 0 ? 0 : this.#silentChecks + 1;
    if (this.#silentChecks > SILENT_CHECKS) this.terminate('it does not answer');
  }

  /** Ends the thread at once. Its handshakes are lost. */
  terminate(reason: string): void {
    this.#reason ??= reason;
    void this.#worker.terminate();
  }

  #flush(): void {
    if (this.#isOver) return;
    this.#worker.postMessage(this.#out, this.#transfer);
    this.#out = [];
    this.#transfer = [];
  }

  #take(message: FromEngineThread): void {
    if (message.type !== 'answer') {
      this.#hear(message);
      return;
    }
    const { id, answer } = message;
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    // Nothing follows these.
    if (answer.type === 'finished' || answer.type === 'fault') this.#open.delete(id);
    if (waiting) waiting(answer);
    else if (answer.type === 'finished') for (const key of [answer.msk, answer.emsk]) key.fill(0);
  }

  #lose(): void {
    this.#isOver = true;
    this.#open.clear();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const answer of waiting) answer({ type: 'busy' });
  }
}

/** The server's side of a handshake in a thread. If the thread ends, the answer is `busy`. */
class ThreadHandshake implements ServerHandshake {
  readonly #thread: EngineThread;
  readonly #id: HandshakeId;
  readonly #policy: MasterSecretPolicy | undefined;
  #begun = false;

  constructor(thread: EngineThread, policy: MasterSecretPolicy | undefined) {
    this.#thread = thread;
    this.#policy = policy;
    this.#id = thread.begin();
  }

  exchange(flight: Uint8Array, answer: (answer: ServerEngineAnswer) => void): void {
    const begins = !this.#begun;
    this.#begun = true;
    const asked = { type: 'exchange', id: this.#id, begins, policy: this.#policy, flight: own(flight) } as const;
    this.#thread.ask(asked, (given) => {
      if (given.type === 'finished') throw new Error('an answer to another question');
      answer(given.type === 'fault' ? { type: 'fault', error: errorOf(given.error) } : given);
    });
  }

  commit(applicationData: Uint8Array, answer: (answer: ServerEngineEnd) => void): void {
    this.#thread.ask({ type: 'commit', id: this.#id, applicationData: own(applicationData) }, (given) => {
      if (given.type === 'busy') answer(given);
      else if (given.type === 'fault') answer({ type: 'fault', error: errorOf(given.error) });
      else if (given.type !== 'finished') throw new Error('an answer to another question');
      else {
        const { flight, msk, emsk, sessionId } = given;
        answer({ type: 'finished', flight, keys: { msk: Secret.take(msk), emsk: Secret.take(emsk), sessionId } });
      }
    });
  }

  destroy(): void {
    this.#thread.end(this.#id);
  }
}

/** The place of a thread, which is replaced when it ends. */
interface Place {
  thread: EngineThread | undefined;
  startedAt: number;
  /** Number of times in a row that the thread ended within CALM. */
  failures: number;
}

/**
 * TLS engines in worker threads. A handshake stays in one thread. If a thread ends, its handshakes are lost, and it is
 * replaced. The engine of the main thread checks new options, answers for revoked certificates, and handles the
 * handshakes of a thread that is missing. All have the same credentials, CRLs, ticket key and learned CAs.
 */
export class ThreadedTlsEngine implements ServerEngine<TlsServerOptions> {
  #options: TlsServerOptions;
  readonly #host: Host;
  readonly #program: URL;
  readonly #onEvent: (event: EngineThreadEvent) => void;
  readonly #main: TlsServerEngine;
  readonly #places: readonly Place[];
  readonly #stopChecks: CancelTimer;
  #ticketKey: Secret;
  #isClosed = false;

  /** Throws as TlsServerEngine does. */
  constructor(
    options: TlsServerOptions,
    { workers, onEvent = () => undefined, program = PROGRAM }: ThreadedEngineParts,
  ) {
    this.#options = options;
    this.#host = options.host ?? systemHost;
    this.#program = program;
    this.#onEvent = onEvent;
    this.#main = new TlsServerEngine(this.#ofMain(options));
    this.#ticketKey = Secret.take(this.#host.random(TICKET_KEY));
    this.#ticketKey.use((key) => this.#main.setTicketKey(key));
    this.#places = Array.from({ length: workers }, () => ({ thread: undefined, startedAt: 0, failures: 0 }));
    for (const number of this.#places.keys()) this.#start(number);
    this.#stopChecks = every(
      this.#host,
      CHECK_INTERVAL,
      () => {
        for (const { thread } of this.#places) thread?.check();
      },
      false,
    );
  }

  get judge(): PeerJudge {
    return this.#main.judge;
  }

  /** Number of threads that run. */
  get running(): number {
    return this.#places.filter(({ thread }) => thread !== undefined).length;
  }

  begin(hello: Uint8Array, thread = 0, policy?: MasterSecretPolicy): ServerHandshake {
    const there = this.#places[thread % this.#places.length]?.thread;
    return there && !there.isOver ? new ThreadHandshake(there, policy) : this.#main.begin(hello, thread, policy);
  }

  reload(options: TlsServerOptions): void {
    this.#main.reload(this.#ofMain(options));
    this.#options = options;
    this.#tell(() => ({ type: 'reload', settings: settingsOf(options) }));
  }

  setTicketKey(key: Uint8Array): void {
    this.#main.setTicketKey(key);
    this.#ticketKey.wipe();
    this.#ticketKey = Secret.copyOf(key);
    for (const { thread } of this.#places) if (thread) this.#sendTicketKey(thread);
  }

  close(): void {
    this.#isClosed = true;
    this.#stopChecks();
    for (const { thread } of this.#places) thread?.terminate('the server stops');
    this.#main.close();
    this.#ticketKey.wipe();
  }

  #ofMain(options: TlsServerOptions): TlsServerOptions {
    return { ...options, onLearned: (authorities) => this.#learned(authorities, undefined) };
  }

  #start(number: number): void {
    const place = this.#places[number];
    if (!place || this.#isClosed) return;
    const isReplacement = place.startedAt > 0;
    const thread = new EngineThread(
      this.#program,
      { settings: settingsOf(this.#options) },
      (message) => this.#hear(message, thread, number, isReplacement),
      (reason, handshakes) => this.#ended(number, reason, handshakes),
    );
    place.thread = thread;
    place.startedAt = this.#host.monotonic();
    this.#sendTicketKey(thread);
    this.#teach(thread, this.judge.trust.learned);
  }

  #ended(number: number, reason: string, handshakes: number): void {
    const place = this.#places[number];
    if (!place || this.#isClosed) return;
    place.thread = undefined;
    const isCalm = this.#host.monotonic() - place.startedAt >= CALM;
    place.failures = isCalm ? 1 : place.failures + 1;
    const pause = place.failures === 1 ? 0 : Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (place.failures - 2));
    this.#onEvent({ type: 'ended', worker: number, reason, handshakes, pause });
    this.#host.after(pause, () => this.#start(number), false);
  }

  #hear(message: FromEngineThread, thread: EngineThread, worker: number, isReplacement: boolean): void {
    switch (message.type) {
      case 'ready':
        if (isReplacement) this.#onEvent({ type: 'replaced', worker });
        break;
      case 'learned': {
        const authorities = message.authorities.map((der) => readCertificate(der));
        if (this.#main.learn(authorities)) this.#learned(authorities, thread);
        break;
      }
      case 'fault':
        (this.#options.guard ?? unguarded).fault('tls', errorOf(message.error));
    }
  }

  /** Passes new CAs on to the other threads. */
  #learned(authorities: readonly Certificate[], from: EngineThread | undefined): void {
    for (const { thread } of this.#places) if (thread && thread !== from) this.#teach(thread, authorities);
    this.#options.onLearned?.(authorities);
  }

  #teach(thread: EngineThread, authorities: readonly Certificate[]): void {
    if (authorities.length > 0) thread.send({ type: 'learned', authorities: authorities.map(({ der }) => own(der)) });
  }

  #sendTicketKey(thread: EngineThread): void {
    const key = this.#ticketKey.octets();
    thread.send({ type: 'ticketKey', key }, key.buffer as ArrayBuffer);
  }

  #tell(message: () => ToEngineThread): void {
    for (const { thread } of this.#places) thread?.send(message());
  }
}
